//! Preferences of the operator: home or balanced at the end, a spare node, processors, overlap.

use super::*;
use crate::plan::{MoveWhy, StepWhy};
use crate::planner::report::report;
use crate::policy::{End, Overlap};

/// The node of every guest once the plan is done.
fn at_the_end(snapshot: &Snapshot, plan: &Plan) -> std::collections::BTreeMap<GuestId, String> {
    let mut at: std::collections::BTreeMap<GuestId, String> =
        snapshot.guests.iter().map(|(id, guest)| (*id, guest.node.to_string())).collect();
    for step in moves(plan) {
        at.insert(step.guest, step.to.to_string());
    }
    at
}

fn three_full() -> Snapshot {
    Fixture::cluster(3).vm(101, "pve1", 20).vm(102, "pve2", 20).vm(103, "pve3", 20).vm(104, "pve3", 4).snapshot()
}

#[test]
fn all_guests_are_home_again_after_two_moves_each_where_each_drain_fits_by_itself() {
    let snapshot = three_full();
    let home = Policy { end: End::Home, ..Policy::default() };
    let plan = planned(&snapshot, &home);
    assert_eq!((plan.costs.moves, plan.bound.moves), (8, 8));
    for (guest, node) in at_the_end(&snapshot, &plan) {
        assert_eq!(node, snapshot.guests[&guest].node.to_string());
    }
    crate::forecast::verify(&plan, &snapshot, &home).expect("the check agrees");
    // Without the preference there are fewer moves, and the guests are somewhere else.
    assert!(planned(&snapshot, &Policy::default()).costs.moves < 8);
}

#[test]
fn guests_of_nodes_too_full_to_drain_alone_return_home_when_all_nodes_are_done() {
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 50).vm(102, "pve2", 50).snapshot();
    let policy = Policy { end: End::Home, first: vec!["pve3".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert_eq!(at_the_end(&snapshot, &plan)[&GuestId::vm(101)], "pve1");
    assert_eq!(at_the_end(&snapshot, &plan)[&GuestId::vm(102)], "pve2");
}

#[test]
fn a_balanced_end_fills_nodes_alike_and_its_bound_counts_what_the_last_node_must_hold() {
    let mut fixture = Fixture::cluster(4);
    for vmid in 101..125 {
        fixture = fixture.vm(vmid, &format!("pve{}", vmid % 4 + 1), 6);
    }
    let snapshot = fixture.snapshot();
    let policy = Policy { end: End::Balanced, ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    let mut load = std::collections::BTreeMap::from([("pve1", 0), ("pve2", 0), ("pve3", 0), ("pve4", 0)]);
    for node in at_the_end(&snapshot, &plan).values() {
        *load.get_mut(node.as_str()).expect("a node of the cluster") += 6;
    }
    let (most, least) = (load.values().max().copied().unwrap_or(0), load.values().min().copied().unwrap_or(0));
    assert!((most - least) * 100 <= 64 * 10, "{load:?}");
    assert!(plan.bound.moves > planned(&snapshot, &Policy::default()).bound.moves);
    assert!(plan.costs.moves <= plan.bound.moves + 1, "{} of {}", plan.costs.moves, plan.bound.moves);
    crate::forecast::verify(&plan, &snapshot, &policy).expect("the check agrees");
}

/// A node that needs no upgrade gives up a guest that the other must hold at the end: one move, which the bound must
/// know about.
#[test]
fn guests_of_a_node_that_needs_no_upgrade_may_fill_the_last_node() {
    let fixture = Fixture::cluster(2).vm(101, "pve1", 3).vm(102, "pve2", 3).vm(103, "pve2", 4).vm(104, "pve1", 2);
    let snapshot = fixture.upgraded("pve2").snapshot();
    let plan = planned(&snapshot, &Policy { end: End::Balanced, ..Policy::default() });
    assert_eq!((plan.costs.moves, plan.bound.moves), (3, 3), "{:?}", at_the_end(&snapshot, &plan));
}

#[test]
fn a_spare_node_comes_first_and_is_empty_again_at_the_end() {
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 50).vm(102, "pve2", 50).snapshot();
    refused(&Fixture::cluster(2).vm(101, "pve1", 50).vm(102, "pve2", 50).snapshot(), &Policy::default());
    let policy = Policy { spare: vec!["pve3".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert_eq!(order(&plan)[0], "pve3");
    assert!(at_the_end(&snapshot, &plan).values().all(|node| node != "pve3"));
    assert!(at_the_end(&snapshot, &planned(&snapshot, &Policy::default())).values().any(|node| node == "pve3"));
    let unknown = Policy { spare: vec!["pve9".into()], ..Policy::default() };
    assert_eq!(refused(&snapshot, &unknown).findings[0].check, "plan-order");
}

#[test]
fn processors_are_a_second_capacity_where_the_operator_sets_a_limit() {
    // 32 processors each: at 25 % there are 8 for guests, and each guest here has 5.
    let fixture = || {
        let fixture = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4);
        [101, 102, 103].into_iter().fold(fixture, |fixture, id| fixture.guest(GuestId::vm(id), |guest| guest.cpus = 5))
    };
    let limit = |percent| Policy { cpu_limit_percent: Some(percent), ..Policy::default() };
    refused(&fixture().snapshot(), &limit(25));
    planned(&fixture().snapshot(), &limit(32));
    planned(&fixture().snapshot(), &Policy::default());
    let containers = Fixture::cluster(3).ct(101, "pve1", 4).ct(102, "pve2", 4);
    let unknown = containers.node("pve2", |node| node.cpu = Observed::unknown("x", "y")).snapshot();
    assert!(refused(&unknown, &limit(32)).findings[0].problem.contains("processors of pve2"));
}

#[test]
fn guests_of_the_next_node_move_while_one_reboots_and_never_to_that_node() {
    let mut fixture = Fixture::cluster(5);
    for vmid in 101..121 {
        fixture = fixture.vm(vmid, &format!("pve{}", vmid % 5 + 1), 8);
    }
    let snapshot = fixture.snapshot();
    let policy = Policy { overlap: Overlap::Reboot, ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    crate::forecast::verify(&plan, &snapshot, &policy).expect("the check agrees");
    let mut meanwhile = 0;
    for node_step in &plan.node_steps {
        let Some(node) = &node_step.node else { continue };
        let reboot =
            node_step.steps.iter().position(|planned| matches!(planned.step, Step::Reboot(_))).expect("it reboots");
        let proof =
            node_step.steps.iter().position(|planned| matches!(planned.step, Step::WaitBack(_))).expect("proven");
        for planned in &node_step.steps[reboot + 1..proof] {
            let Step::Migrate(step) = &planned.step else { panic!("{} while {node} reboots", planned.id) };
            assert!(step.to != *node && step.from != *node, "{} touches the node that is away", planned.id);
            meanwhile += 1;
        }
    }
    assert!(meanwhile > 4, "{meanwhile} moves are hidden behind reboots");
    let alone = planned(&snapshot, &Policy::default());
    assert!(plan.costs.duration_s < alone.costs.duration_s, "{} {}", plan.costs.duration_s, alone.costs.duration_s);
    // With three nodes, losing the one that is drained would cost the quorum: nothing moves meanwhile.
    let three = three_full();
    assert_eq!(verbs(&planned(&three, &policy)), verbs(&planned(&three, &Policy::default())));
}

/// Three nodes with a guest each; `vm:101` of pve1 prefers to be there.
fn with_a_preference() -> Fixture {
    let pulled = GuestId::vm(101);
    let fixture = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4).managed(pulled);
    fixture.node_rule("prefer", &[pulled], &[("pve1", 2), ("pve2", 1)], false)
}

#[test]
fn a_guest_that_ha_would_move_back_is_moved_back_by_the_plan_and_counted() {
    let pulled = GuestId::vm(101);
    let policy = Policy { last: vec!["pve1".into()], ..Policy::default() };
    let end = |snapshot: &Snapshot| {
        let plan = planned(snapshot, &policy);
        crate::forecast::verify(&plan, snapshot, &policy).expect("the check agrees");
        let there = at_the_end(snapshot, &plan)[&pulled].clone();
        let report = report(&plan, snapshot, &policy, &ongoing());
        (there, plan, report.ha_moves.len())
    };
    let (there, plan, by_ha) = end(&with_a_preference().snapshot());
    assert_eq!((there.as_str(), by_ha), ("pve1", 0), "nothing is left for HA to do");
    // Every guest once, the first node's guest once more, and this one once more.
    assert_eq!((plan.costs.moves, plan.bound.moves), (5, 5));
    let back = plan.steps().filter(|(_, planned)| planned.why == StepWhy::Move(MoveWhy::HaPrefers)).count();
    assert_eq!(back, 1);
    // Failback is off permanently: HA leaves it where it is, and so does the plan.
    let off = with_a_preference().ha(|ha| ha.services.get_mut(&pulled).unwrap().failback = false).snapshot();
    let (there, plan, by_ha) = end(&off);
    assert_ne!(there, "pve1");
    assert_eq!((plan.costs.moves, by_ha), (4, 0));
}

#[test]
fn a_guest_whose_failback_is_held_by_the_run_is_still_moved_back_when_planning_again() {
    let pulled = GuestId::vm(101);
    let half = with_a_preference().guest(pulled, |guest| guest.node = "pve2".into()).ha(|ha| {
        let service = ha.services.get_mut(&pulled).unwrap();
        (service.failback, service.node) = (false, Some("pve2".into()));
    });
    let snapshot = half.snapshot();
    let to_undo = vec![crate::steps::undo(crate::steps::Failback { guest: pulled })];
    let policy = Policy { last: vec!["pve1".into()], ..Policy::default() };
    let plan = plan(&snapshot, &policy, &Ongoing { to_undo, ..ongoing() }).expect("there is a plan");
    assert_eq!(at_the_end(&snapshot, &plan)[&pulled], "pve1");
}

#[test]
fn moves_that_are_left_to_ha_because_no_plan_can_make_them_are_named_and_count_in_the_ratio() {
    // Both prefer pve1, which has room for only one of them; failback of one of them is held.
    let (one, two) = (GuestId::vm(101), GuestId::vm(102));
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 30)
        .vm(102, "pve2", 31)
        .managed(one)
        .managed(two)
        .node_rule("prefer", &[one, two], &[("pve1", 2)], false)
        .ha(|ha| ha.services.get_mut(&two).unwrap().failback = false)
        .snapshot();
    let ongoing = Ongoing { to_undo: vec![crate::steps::undo(crate::steps::Failback { guest: two })], ..ongoing() };
    let plan = plan(&snapshot, &Policy::default(), &ongoing).expect("there is a plan");
    let report = report(&plan, &snapshot, &Policy::default(), &ongoing);
    let [own] = report.ha_moves.as_slice() else { panic!("one does not fit: {:?}", report.ha_moves) };
    assert_eq!((own.to[0].as_str(), own.bytes), ("pve1", snapshot.guests[&own.guest].memory_bytes));
    let with_it = f64::from(plan.costs.moves + 1) / f64::from(plan.bound.moves);
    assert!((report.moves_ratio - with_it).abs() < 1e-9, "{report:#?}");
    // Without that move the plan would seem to cost less than any plan can.
    assert!((report.cost_ratio - 1.0).abs() < 1e-9, "{report:#?}");
}

#[test]
fn moves_planned_for_a_reboot_begin_once_it_is_ordered_and_everything_else_waits_for_its_end() {
    use crate::ids::{RunId, UnixMs};
    use crate::run::{Action, Event, RunKind, RunState, Seen, decide};
    let mut fixture = Fixture::cluster(5);
    for vmid in 101..121 {
        fixture = fixture.vm(vmid, &format!("pve{}", vmid % 5 + 1), 8);
    }
    let mut world = fixture.snapshot();
    let policy = Policy { overlap: Overlap::Reboot, ..Policy::default() };
    let plan = planned(&world, &policy);
    let mut state = RunState::default();
    let now = UnixMs(0);
    let version = "0".to_owned();
    state.apply(
        now,
        &Event::RunStarted { run: RunId::new("r"), kind: RunKind::Upgrade, cluster: "five".into(), policy, version },
    );
    state.apply(now, &Event::DriverTookOver { driver: "first".into(), id: Some("first".into()) });
    state.apply(now, &Event::PlanAdopted { plan: plan.clone(), why: "first".into() });
    // Everything up to the first reboot that is followed by moves is done.
    let steps: Vec<_> = plan.steps().map(|(_, planned)| planned.clone()).collect();
    let is_move = |index: usize| matches!(steps[index].step, Step::Migrate(_));
    let is_reboot = |index: usize| matches!(steps[index].step, Step::Reboot(_));
    let at = (0..steps.len()).find(|index| is_reboot(*index) && is_move(index + 1)).expect("something is hidden");
    for planned in &steps[..at] {
        planned.step.after(&mut world);
        let (id, step) = (planned.id.clone(), planned.step.clone());
        state.apply(now, &Event::StepEnded { id, step, outcome: crate::run::StepOutcome::Done });
    }
    let reboot = &steps[at];
    let begun = |attempt| Event::StepStarted {
        id: reboot.id.clone(),
        step: reboot.step.clone(),
        attempt,
        command: reboot.step.kind().command(&world).filter(|_| attempt > 0),
        undo: None,
    };
    let next = |state: &RunState, world: &Snapshot| {
        let mut state = state.clone();
        loop {
            match decide(&state, &Seen::of(&state, world), now, &|_, _, _| Ok(())) {
                Action::Note { events } => events.iter().for_each(|event| state.apply(now, event)),
                action => return action,
            }
        }
    };
    // The reboot itself has not been ordered yet: no guest moves before that.
    let mut waiting = state.clone();
    waiting.apply(now, &begun(0));
    let action = next(&waiting, &world);
    assert!(matches!(&action, Action::Perform(start) if start.step == reboot.step), "{action:?}");
    state.apply(now, &begun(1));
    reboot.step.during(&mut world);
    let action = next(&state, &world);
    assert!(matches!(&action, Action::Perform(start) if start.id == steps[at + 1].id), "{action:?}");
    // All of it is under way or done: the proof that the node is back waits for the reboot.
    let proof = (at..steps.len()).find(|index| matches!(steps[*index].step, Step::WaitBack(_))).expect("it is proven");
    for planned in &steps[at + 1..proof] {
        planned.step.after(&mut world);
        let (id, step) = (planned.id.clone(), planned.step.clone());
        state.apply(now, &Event::StepEnded { id, step, outcome: crate::run::StepOutcome::Done });
    }
    let action = next(&state, &world);
    assert!(matches!(action, Action::Wait { .. }), "{action:?}");
}

#[test]
fn a_spare_node_comes_first_even_if_another_one_would_be_cheaper() {
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 2).vm(102, "pve2", 2).vm(103, "pve3", 30).snapshot();
    assert_ne!(order(&planned(&snapshot, &Policy::default()))[0], "pve3");
    let policy = Policy { spare: vec!["pve3".into()], ..Policy::default() };
    assert_eq!(order(&planned(&snapshot, &policy))[0], "pve3");
}

#[test]
fn a_guest_that_ha_leaves_elsewhere_today_moves_back_there_and_not_to_the_node_that_its_rules_prefer() {
    let left = GuestId::vm(101);
    let snapshot = Fixture::cluster(3)
        .memory("pve1", 6)
        .vm(101, "pve3", 20)
        .managed(left)
        .node_rule("prefer", &[left], &[("pve1", 2)], false)
        .snapshot();
    let policy = Policy { last: vec!["pve3".into(), "pve1".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert_eq!(at_the_end(&snapshot, &plan)[&left], "pve3");
    assert!(report(&plan, &snapshot, &policy, &ongoing()).ha_moves.is_empty());
}

#[test]
fn the_plan_says_which_moves_through_ha_leave_the_firewalls_connections_behind() {
    let (alone, managed) = (GuestId::vm(101), GuestId::vm(102));
    let fixture = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve1", 4).managed(managed);
    let behind = |fixture: Fixture| {
        let plan = planned(&fixture.snapshot(), &Policy::default());
        let says = |planned: &crate::plan::PlannedStep| planned.why.to_string().contains("connections behind");
        plan.steps()
            .filter(|(_, planned)| says(planned))
            .map(|(_, planned)| planned.step.kind().title())
            .collect::<Vec<_>>()
    };
    assert_eq!(behind(fixture.clone()), [""; 0], "no firewall follows connections");
    let walled = [alone, managed].into_iter().fold(fixture, |it, id| it.facts(id, |facts| facts.firewalled = true));
    let told = behind(walled);
    assert!(
        !told.is_empty() && told.iter().all(|title| title.contains("vm:102") && title.contains("through HA")),
        "{told:?}"
    );
}
