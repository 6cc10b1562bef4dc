//! What the planner makes, the plan check accepts, and what the plan check accepts, the guard lets begin: independent
//! pieces of code agree.

use proptest::prelude::*;

use super::super::*;
use crate::fixture::Fixture;
use crate::ids::GuestKind;
use crate::invariants::{RuleId, RuleOutcome, guard, sample};
use crate::planner::{Ongoing, plan};

fn ongoing() -> Ongoing {
    Ongoing::fresh("quorate-upgrade-ab12".into())
}

#[track_caller]
fn agreed(snapshot: &Snapshot, policy: &Policy) -> Plan {
    let plan = plan(snapshot, policy, &ongoing()).expect("there is a plan");
    if let Err(findings) = verify(&plan, snapshot, policy) {
        let steps: Vec<String> = plan.steps().map(|(_, step)| format!("{} {}", step.stage, step.id)).collect();
        panic!("{findings:#?}\n{steps:#?}");
    }
    plan
}

/// Does the guard let every step of a plan begin: one by one, and together with those of its stage that began before
/// it?
fn refused_by_guard(plan: &Plan, snapshot: &Snapshot, policy: &Policy) -> Vec<String> {
    let mut state = at_rest(snapshot);
    let mut refused = Vec::new();
    for node_step in &plan.node_steps {
        let context = Context { current_node: node_step.node.clone(), ..Context::new(policy) };
        for stage in node_step.steps.chunk_by(|one, next| one.stage == next.stage) {
            let before = state.clone();
            for (index, planned) in stage.iter().enumerate() {
                let beside: Vec<&Step> = stage[..index].iter().map(|planned| &planned.step).collect();
                for (in_flight, seen) in [(&[][..], &state), (&beside[..], &before)] {
                    if planned.step.kind().status(seen) != StepStatus::Done {
                        let outcome = guard(&planned.step, in_flight, seen, &context);
                        refused.extend(outcome.err().into_iter().flatten().map(|why| format!("{}: {why}", planned.id)));
                    }
                }
                planned.step.after(&mut state);
                planned.step.kind().effect().promise.apply(&mut state);
            }
        }
    }
    refused
}

#[test]
fn both_agree_on_the_sample_cluster_with_ceph_ha_and_a_pair_kept_apart() {
    let plan = agreed(&sample::cluster(), &Policy::default());
    assert_eq!(plan.node_steps.iter().filter(|node_step| node_step.node.is_some()).count(), 3);
    assert_eq!(refused_by_guard(&plan, &sample::cluster(), &Policy::default()), Vec::<String>::new());
}

#[test]
fn both_agree_on_the_rest_of_a_plan_after_its_first_node_step() {
    let mut snapshot = sample::cluster();
    let mut plan = agreed(&snapshot, &Policy::default());
    for planned in plan.node_steps.remove(0).steps {
        planned.step.after(&mut snapshot);
    }
    assert_eq!(verify(&plan, &snapshot, &Policy::default()).map(|_| ()), Ok(()));
    agreed(&snapshot, &Policy::default());
}

#[test]
fn both_agree_in_the_middle_of_a_node_step() {
    let (mut snapshot, policy) = (sample::cluster(), Policy::default());
    let first = agreed(&snapshot, &policy).node_steps.remove(0);
    let current_node = first.node.clone();
    let mut to_undo: Vec<Step> = Vec::new();
    for planned in first.steps {
        to_undo.retain(|to_undo| *to_undo != planned.step);
        to_undo.extend(planned.step.undone_later_by());
        planned.step.after(&mut snapshot);
        let again = Ongoing { current_node: current_node.clone(), to_undo: to_undo.clone(), ..ongoing() };
        let plan = plan(&snapshot, &policy, &again).expect("there is a plan");
        let outcome = verify(&plan, &snapshot, &policy).map(|_| ());
        assert_eq!(outcome, Ok(()), "after {}", planned.id);
    }
}

#[test]
fn both_agree_while_ceph_recovers_from_the_reboot_of_the_current_node() {
    let (mut snapshot, policy) = (sample::cluster(), Policy::default());
    let first = agreed(&snapshot, &policy).node_steps.remove(0);
    let to_undo = first.steps.iter().filter_map(|planned| planned.step.undone_later_by());
    let to_undo: Vec<Step> =
        to_undo.filter(|to_undo| first.steps.iter().any(|planned| planned.step == *to_undo)).collect();
    for planned in &first.steps {
        if matches!(planned.step, Step::WaitBack(_)) {
            break;
        }
        planned.step.after(&mut snapshot);
    }
    sample::ceph_mut(&mut snapshot).pgs[0].state = "active+undersized+degraded".to_owned();
    let again = Ongoing { current_node: first.node.clone(), to_undo, ..ongoing() };
    let rest = plan(&snapshot, &policy, &again).expect("there is a plan");
    assert_eq!(verify(&rest, &snapshot, &policy).map(|_| ()), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn both_agree_on_clusters_drawn_at_random(
        nodes in 3_u32..6,
        guests in prop::collection::vec((0_u32..6, 1_u64..16, any::<bool>(), any::<bool>()), 0..24),
        pairs in prop::collection::vec((0_usize..24, 0_usize..24, any::<bool>()), 0..3),
        upgraded in 0_u32..4,
        with_ceph in any::<bool>(),
    ) {
        let mut fixture = Fixture::cluster(nodes);
        let mut managed = Vec::new();
        for (number, (node, gib, vm, ha)) in guests.into_iter().enumerate() {
            let (vmid, node) = (100 + number as u32, format!("pve{}", node % nodes + 1));
            let kind = if vm { GuestKind::Vm } else { GuestKind::Ct };
            let id = GuestId { vmid: crate::ids::Vmid(vmid), kind };
            fixture = if vm { fixture.vm(vmid, &node, gib) } else { fixture.ct(vmid, &node, gib) };
            if ha {
                fixture = fixture.managed(id);
                managed.push(id);
            }
        }
        for (one, other, together) in pairs {
            if let (Some(one), Some(other)) = (managed.get(one), managed.get(other)) {
                let id = format!("{one}-{other}");
                let pair = [*one, *other];
                fixture = if together { fixture.together(&id, &pair) } else { fixture.apart(&id, &pair) };
            }
        }
        if upgraded > 0 {
            fixture = fixture.upgraded(&format!("pve{upgraded}"));
        }
        let snapshot = if with_ceph { fixture.ceph().snapshot() } else { fixture.snapshot() };
        let policy = Policy::default();
        // A rule that is broken already is for HA and an administrator to fix: the plan check refuses to begin.
        prop_assume!(RuleId::RulesKept.holds(&snapshot, &Context::new(&policy)) == RuleOutcome::Holds);
        if let Ok(plan) = plan(&snapshot, &policy, &ongoing()) {
            let steps: Vec<String> = plan.steps().map(|(_, step)| format!("{} {}", step.stage, step.id)).collect();
            prop_assert_eq!(verify(&plan, &snapshot, &policy).map(|_| ()), Ok(()), "{:#?}", steps);
            prop_assert_eq!(refused_by_guard(&plan, &snapshot, &policy), Vec::<String>::new(), "{:#?}", steps);
        }
    }
}

#[test]
fn no_step_changes_a_guest_while_it_runs_and_only_an_upgrade_and_a_reboot_change_anything() {
    let plan = Plan { node_steps: super::node_steps(), ..agreed(&sample::cluster(), &Policy::default()) };
    let mut state = sample::cluster();
    for (_, planned) in plan.steps() {
        let effect = planned.step.kind().effect();
        let changes = matches!(planned.step.on_node(), OnNode::Upgrades | OnNode::Reboots);
        assert_eq!(effect.during.is_nothing(), !changes, "{}", planned.id);
        let mut during = state.clone();
        planned.step.during(&mut during);
        assert_eq!(during.guests, state.guests, "{}", planned.id);
        assert!(changes || during == state, "{}", planned.id);
        let before = guest_memory(&state);
        planned.step.after(&mut state);
        assert!(effect.after.reaches_guests() || guest_memory(&state) == before, "{}", planned.id);
    }
}
