//! Planning again in the middle of a run: the rest stays the same where the cluster is unchanged, and is fixed where it
//! is not.

use super::*;
use crate::planner::steady::{Revision, revise};
use crate::policy::{End, Overlap};

/// The state and the rest of the plan after every step of the first node steps has succeeded.
fn after_node_steps(snapshot: &Snapshot, plan: &Plan, node_steps: usize) -> (Snapshot, Plan) {
    let (mut state, mut rest) = (snapshot.clone(), plan.clone());
    for node_step in rest.node_steps.drain(..node_steps) {
        for planned in &node_step.steps {
            planned.step.after(&mut state);
        }
    }
    (state, rest)
}

/// What is still to undo by then: failback that is held.
fn ongoing_after(plan: &Plan, node_steps: usize) -> Ongoing {
    let held = plan.node_steps[..node_steps].iter().flat_map(|node_step| &node_step.steps);
    let held = held.filter(|planned| planned.step.kind().verb() == "hold-failback");
    let to_undo = held.filter_map(|planned| planned.step.undone_later_by());
    Ongoing { to_undo: to_undo.collect(), ..ongoing() }
}

fn demo_like() -> Fixture {
    let mut fixture = Fixture::cluster(5);
    for vmid in 101..126 {
        fixture = fixture.vm(vmid, &format!("pve{}", vmid % 5 + 1), u64::from(vmid % 7) + 2);
    }
    for vmid in [101, 104, 107] {
        fixture = fixture.managed(GuestId::vm(vmid));
    }
    let pair = [GuestId::vm(101), GuestId::vm(104)];
    fixture.ct(203, "pve2", 2).apart("apart", &pair).node_rule("prefer", &[GuestId::vm(107)], &[("pve3", 2)], false)
}

#[test]
fn planning_again_after_every_node_step_of_a_run_changes_nothing() {
    let snapshot = demo_like().snapshot();
    let home = Policy { end: End::Home, ..Policy::default() };
    let balanced = Policy { end: End::Balanced, ..Policy::default() };
    let overlap = Policy { overlap: Overlap::Reboot, ..Policy::default() };
    for policy in [Policy::default(), home, balanced, overlap] {
        let plan = planned(&snapshot, &policy);
        for node_steps in 0..plan.node_steps.len() {
            let (state, rest) = after_node_steps(&snapshot, &plan, node_steps);
            let revision = revise(&rest, &state, &policy, &ongoing_after(&plan, node_steps));
            assert_eq!(revision, Ok(Revision::Keep), "after {node_steps} node steps, {:?}", policy.end);
        }
    }
}

/// The first `count` steps are done: the cluster, the rest of the plan, and what is begun and still to undo by then.
fn after_steps(snapshot: &Snapshot, plan: &Plan, count: usize) -> (Snapshot, Plan, Ongoing) {
    let (mut state, mut rest, mut then) = (snapshot.clone(), plan.clone(), ongoing());
    let mut left = count;
    for node_step in &mut rest.node_steps {
        let done: Vec<_> = node_step.steps.drain(..left.min(node_step.steps.len())).collect();
        left -= done.len();
        for planned in &done {
            planned.step.after(&mut state);
            then.to_undo.retain(|to_undo| *to_undo != planned.step);
            then.to_undo.extend(planned.step.undone_later_by());
        }
        if !done.is_empty() && !node_step.steps.is_empty() {
            then.current_node.clone_from(&node_step.node);
        }
    }
    rest.node_steps.retain(|node_step| !node_step.steps.is_empty());
    (state, rest, then)
}

#[test]
fn planning_again_after_every_step_of_a_run_changes_nothing() {
    let id = GuestId::vm(109);
    let device = crate::snapshot::LocalResource { key: "hostpci0".to_owned(), mapping: None, live_capable: false };
    let snapshot = demo_like().ceph().facts(id, |facts| facts.local_resources.push(device)).snapshot();
    let shut_down = Policy { guests: [(id, GuestPolicy::Shutdown)].into(), ..Policy::default() };
    let home = Policy { end: End::Home, ..shut_down.clone() };
    let balanced = Policy { end: End::Balanced, ..shut_down.clone() };
    let overlap = Policy { overlap: Overlap::Reboot, ..shut_down.clone() };
    for policy in [shut_down, home, balanced, overlap] {
        let plan = planned(&snapshot, &policy);
        let count = plan.steps().count();
        assert!(count > 80, "{count} steps");
        for steps in 0..count {
            let (state, rest, then) = after_steps(&snapshot, &plan, steps);
            let last = plan.steps().nth(steps.saturating_sub(1)).map(|(_, planned)| planned.id.clone());
            let revision = revise(&rest, &state, &policy, &then);
            let why = crate::forecast::verify(&rest, &state, &policy).err();
            assert_eq!(revision, Ok(Revision::Keep), "after {steps} steps, {last:?}, {:?}: {why:#?}", policy.end);
        }
    }
}

#[test]
fn a_new_guest_is_moved_too_and_the_rest_of_the_plan_stays_the_same() {
    let snapshot = demo_like().snapshot();
    let policy = Policy::default();
    let plan = planned(&snapshot, &policy);
    let (state, rest) = after_node_steps(&snapshot, &plan, 1);
    let last = rest.node_steps.iter().rev().find_map(|node_step| node_step.node.clone()).expect("a node is left");
    let mut come = state;
    let mut guest = come.guests[&GuestId::vm(102)].clone();
    (guest.id, guest.node, guest.memory_bytes) = (GuestId::vm(150), last.clone(), 3 << 30);
    come.guests.insert(guest.id, guest);
    let Ok(Revision::Mended(mended)) = revise(&rest, &come, &policy, &ongoing_after(&plan, 1)) else {
        panic!("the rest should be fixed");
    };
    let path = |plan: &Plan| -> Vec<Migrate> { moves(plan).into_iter().cloned().collect() };
    let before = path(&rest);
    let after: Vec<Migrate> = path(&mended).into_iter().filter(|step| step.guest != GuestId::vm(150)).collect();
    assert_eq!(after, before, "the others move as planned before");
    assert!(path(&mended).iter().any(|step| step.guest == GuestId::vm(150)));
    crate::forecast::verify(&mended, &come, &policy).expect("the check agrees");
}

/// One node of three is upgraded. The plan has a detour for a guest of `gib` GiB, which is not needed once another
/// guest is gone.
fn with_a_detour(gib: u64, others_gib: u64) -> (Plan, Snapshot) {
    let crowded =
        Fixture::cluster(3).upgraded("pve1").memory("pve2", 256).memory("pve3", 256).vm(100, "pve1", 62 - gib);
    let snapshot = crowded.vm(101, "pve2", gib).vm(102, "pve3", others_gib).snapshot();
    let policy = Policy { first: vec!["pve2".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    let mut roomy = snapshot;
    roomy.guests.remove(&GuestId::vm(100));
    roomy.nodes.values_mut().for_each(|node| {
        node.local_guests.known_mut().unwrap().retain(|listed| listed.vmid.0 != 100);
    });
    (plan, roomy)
}

#[test]
fn a_rest_that_still_fits_is_replaced_only_by_a_plan_that_saves_more_than_a_twentieth() {
    let policy = Policy { first: vec!["pve2".into()], ..Policy::default() };
    // The whole detour of a guest of 20 GiB beside one of 4 is saved: far more.
    let (plan, roomy) = with_a_detour(20, 4);
    assert_eq!(moves_of(&plan, GuestId::vm(101)).len(), 2, "it waits on pve3 first");
    let Ok(Revision::Another(another)) = revise(&plan, &roomy, &policy, &ongoing()) else {
        panic!("half of the cost is saved");
    };
    assert_eq!(moves_of(&another, GuestId::vm(101)).len(), 1);
    // A small detour beside big moves: less than a twentieth, and the plan stays.
    let (plan, roomy) = with_a_detour(1, 200);
    assert_eq!(moves_of(&plan, GuestId::vm(101)).len(), 2);
    assert_eq!(moves(&planned(&roomy, &policy)).len(), 2, "there is one with a move less");
    assert_eq!(revise(&plan, &roomy, &policy, &ongoing()), Ok(Revision::Keep));
}

#[test]
fn a_rest_is_fixed_where_a_target_is_no_longer_allowed() {
    let snapshot = Fixture::cluster(4).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4).snapshot();
    let policy = Policy::default();
    let plan = planned(&snapshot, &policy);
    let first = moves(&plan)[0].clone();
    let mut narrower = snapshot;
    let facts = narrower.guests.get_mut(&first.guest).unwrap().migration.known_mut().unwrap();
    let refusal = crate::snapshot::TargetRefusal::Other("not any more".to_owned());
    facts.refused.insert(first.to.clone(), vec![refusal]);
    let (Revision::Mended(mended) | Revision::Another(mended)) =
        revise(&plan, &narrower, &policy, &ongoing()).expect("there are other nodes")
    else {
        panic!("the guest may not go to {}", first.to);
    };
    let there = moves(&mended).iter().any(|step| step.guest == first.guest && step.to == first.to);
    assert!(!there, "{:#?}", moves(&mended));
    crate::forecast::verify(&mended, &narrower, &policy).expect("the check agrees");
}

#[test]
fn a_rest_that_does_not_fit_and_cannot_be_replaced_has_its_reasons() {
    let snapshot = demo_like().snapshot();
    let plan = planned(&snapshot, &Policy::default());
    let full = demo_like().vm(150, "pve1", 60).vm(151, "pve2", 60).vm(152, "pve3", 60).vm(153, "pve4", 60);
    let none = revise(&plan, &full.snapshot(), &Policy::default(), &ongoing()).expect_err("nothing fits any more");
    assert!(!none.findings.is_empty());
}

#[test]
fn guests_that_the_run_has_moved_already_still_return_home_when_planning_again() {
    let snapshot = demo_like().snapshot();
    let policy = Policy { end: End::Home, ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    let reboot = plan.steps().position(|(_, planned)| matches!(planned.step, Step::Reboot(_))).expect("it reboots");
    let (state, rest, then) = after_steps(&snapshot, &plan, reboot);
    let gone: Vec<_> = snapshot.guests.values().filter(|guest| state.guests[&guest.id].node != guest.node).collect();
    assert!(!gone.is_empty(), "the first node is empty by now");
    // A run knows this from its plans.
    let homes = gone.iter().map(|guest| (guest.id, guest.node.clone())).collect();
    let again = super::plan(&state, &policy, &Ongoing { homes, ..then }).expect("there is a plan");
    crate::forecast::verify(&again, &state, &policy).expect("the check agrees");
    for guest in gone {
        let last = moves(&again).into_iter().rev().find(|step| step.guest == guest.id).map(|step| step.to.clone());
        assert_eq!(last.as_ref(), Some(&guest.node), "{}", guest.id);
    }
    assert_eq!(moves(&again).len(), moves(&rest).len(), "the rest needs no more moves than before");
}
