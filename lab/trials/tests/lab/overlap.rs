//! Whole runs in which guests of the next node leave it while one reboots: the same harmless end, sooner.

use std::collections::BTreeMap;

#[allow(dead_code, reason = "other tests of whole runs need the rest")]
use crate::common;

use common::{hold, policy, tell};
use quorate_core::ids::{GuestId, NodeName};
use quorate_core::plan::Plan;
use quorate_core::policy::{End, Overlap, Policy};
use quorate_core::run::{Event, RunOutcome};
use quorate_core::steps::Step;
use quorate_engine::Ended;
use quorate_trials::simulated_run::{AtStep, Outcome, SimulatedRun};
use quorate_world::World;
use quorate_world::cluster_file::world_from_toml;
use quorate_world::faults::FaultKind;

/// Five nodes with Ceph and HA, three guests each.
fn five() -> World {
    let node = |number: u32| {
        let (name, link) = (format!("pve{number}"), format!("10.10.1.{number}"));
        let mon = if number < 4 { "\"mon\", \"mgr\"" } else { "" };
        format!(
            "[[node]]\nname = \"{name}\"\nmemory_gib = 64\ncpus = 16\nlinks = [\"{link}\"]\nosds = 1\nceph = [{mon}]\n"
        )
    };
    let guest = |number: u32| {
        let (id, node) = (100 + number, number % 5 + 1);
        let ha = if number < 4 { "ha = \"started\"\n" } else { "" };
        format!(
            "[[guest]]\nid = \"vm:{id}\"\nname = \"g{id}\"\nnode = \"pve{node}\"\nmemory_mib = 6144\nstorage = \"vms\"\n{ha}"
        )
    };
    let head = r#"
storage = [{ id = "vms", kind = "rbd", shared = true, content = ["images"], pool = "vms", total_gib = 3400 }]
[cluster]
name = "five"
[ceph]
release = "squid"
pool = [{ name = ".mgr", pg_num = 1, application = "mgr" }, { name = "vms", pg_num = 32, application = "rbd", stored_gib = 400 }]
"#;
    let nodes: String = (1..=5).map(node).collect();
    let guests: String = (1..=15).map(guest).collect();
    world_from_toml(&format!("{head}{nodes}{guests}"), 1).unwrap()
}

/// How long it took, and which moves began while a node was rebooting.
fn run(with: &Policy) -> (Outcome, u64, usize) {
    let outcome = hold(&SimulatedRun { policy: with.clone(), ..SimulatedRun::default() }, five());
    assert!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert_eq!(outcome.impact.nodes_upgraded, 5);
    let (mut rebooting, mut meanwhile) = (None, 0);
    for (_, event) in &outcome.events {
        match event {
            Event::StepStarted { step: Step::Reboot(reboot), attempt: 1.., .. } => {
                rebooting = Some(reboot.node.clone())
            }
            Event::StepEnded { step: Step::Reboot(_), .. } => rebooting = None,
            Event::StepStarted { step: Step::Migrate(step), attempt: 1.., .. } if rebooting.is_some() => {
                assert_ne!(Some(&step.to), rebooting.as_ref(), "{step:?} goes to the node that is away");
                assert_ne!(Some(&step.from), rebooting.as_ref(), "{step:?}");
                meanwhile += 1;
            }
            _ => {}
        }
    }
    let at = |at: Option<&(_, Event)>| at.map_or(0, |(at, _): &(quorate_core::ids::UnixMs, Event)| at.0);
    let took_ms = at(outcome.events.last()) - at(outcome.events.first());
    (outcome, took_ms / 1000, meanwhile)
}

#[test]
fn guests_of_the_next_node_move_while_one_reboots_and_the_run_is_over_sooner() {
    let (_, alone_s, none) = run(&policy());
    let (_, overlapped_s, meanwhile) = run(&Policy { overlap: Overlap::Reboot, ..policy() });
    assert_eq!(none, 0);
    assert!(meanwhile > 0, "nothing moved while a node rebooted");
    assert!(overlapped_s < alone_s, "{overlapped_s} s with overlap, {alone_s} s without");
}

#[test]
fn every_guest_is_where_it_was_when_the_operator_wants_them_back_home() {
    let (outcome, _, _) = run(&Policy { end: End::Home, ..policy() });
    let mut at: BTreeMap<_, _> = BTreeMap::new();
    for (_, event) in &outcome.events {
        if let Event::StepStarted { step: Step::Migrate(step), attempt: 1.., .. } = event {
            at.entry(step.guest).or_insert((step.from.clone(), step.to.clone())).1 = step.to.clone();
        }
    }
    assert_eq!(at.len(), 15);
    assert!(at.values().all(|(first, last)| first == last), "{at:?}");
}

/// Where the first plan takes each guest from.
fn homes(plan: &Plan) -> BTreeMap<GuestId, NodeName> {
    let mut homes = BTreeMap::new();
    for (_, planned) in plan.steps() {
        if let Step::Migrate(step) = &planned.step {
            homes.entry(step.guest).or_insert_with(|| step.from.clone());
        }
    }
    homes
}

/// While the first node reboots, guests of the second have left already. Then a user moves a guest of the last one, and
/// the rest of the plan does not fit any more.
#[test]
fn a_new_plan_in_the_middle_of_a_run_still_brings_every_guest_home() {
    let with = Policy { end: End::Home, overlap: Overlap::Reboot, ..policy() };
    let plan = run(&with).0.plan.unwrap();
    let node_steps: Vec<&NodeName> = plan.node_steps.iter().filter_map(|node_step| node_step.node.as_ref()).collect();
    let reboots = |node: &NodeName| {
        let reboot =
            plan.steps().find(|(_, planned)| matches!(&planned.step, Step::Reboot(step) if step.node == *node));
        reboot.unwrap().1.id.clone()
    };
    let homes = homes(&plan);
    let guest = *homes.iter().rev().find(|(_, home)| *home == node_steps[4]).unwrap().0;
    let fault = FaultKind::AdminMoves { guest, target: node_steps[3].clone() };
    let at_step = vec![AtStep { step: reboots(node_steps[0]), faults: vec![fault] }];
    let outcome = hold(&SimulatedRun { policy: with, at_step, ..SimulatedRun::default() }, five());
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    let mut plans = 0;
    let mut at: BTreeMap<GuestId, NodeName> = BTreeMap::new();
    for (_, event) in &outcome.events {
        match event {
            Event::PlanAdopted { .. } => plans += 1,
            Event::StepStarted { step: Step::Migrate(step), attempt: 1.., .. } => {
                at.insert(step.guest, step.to.clone());
            }
            _ => {}
        }
    }
    assert!(plans > 1, "a new plan was due");
    assert_eq!(at, homes);
}
