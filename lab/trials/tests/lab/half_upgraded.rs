//! Nodes that do not run what they have installed, are not offered what others are, or are not what they were after
//! their reboot: each has its turn, or is named, and none stalls the end of a run.

use crate::common;

use std::sync::{Arc, Mutex};

use common::{block_on, demo, hold, policy, tell};
use quorate_core::checks::parse_waiver;
use quorate_core::ids::{GuestId, NodeName};
use quorate_core::run::{Event, RunOutcome};
use quorate_engine::{Ended, Lists, Prepared, prepare};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::SimulatedRun;
use quorate_world::World;
use quorate_world::faults::{Fault, FaultKind};

fn calm() -> SimulatedRun {
    SimulatedRun { policy: policy(), ..SimulatedRun::default() }
}

/// What an operator sees before a run, with fresh lists.
fn prepared(world: World) -> Prepared {
    let known_nodes: Vec<NodeName> = world.nodes.keys().cloned().collect();
    let ports = SimPorts::new(Arc::new(Mutex::new(world))).ports();
    block_on(prepare(&ports, known_nodes, &policy(), &"test".into(), Lists::Refresh))
}

/// An administrator has refreshed and upgraded every node by hand: nothing is offered any more, and nothing was
/// restarted.
fn upgraded_by_hand(mut world: World) -> World {
    let nodes: Vec<NodeName> = world.nodes.keys().cloned().collect();
    for node in &nodes {
        world.apt_update(node, "root@pam").unwrap();
    }
    world.advance_to(world.now_ms + 30_000);
    for node in nodes {
        world.inject(Fault { at_s: 0, kind: FaultKind::AdminUpgrades { node } });
    }
    world.advance_to(world.now_ms + 900_000);
    world
}

#[test]
fn where_ceph_was_installed_by_hand_each_node_with_old_daemons_has_a_turn() {
    let mut world = demo();
    world.archive.versions.retain(|name, _| name.starts_with("ceph"));
    world.archive.kernels.clear();
    let world = upgraded_by_hand(world);
    assert!(world.nodes.keys().all(|node| world.pending(node).is_empty() && world.runs_old_ceph(node)));
    let plan = prepared(world.clone()).plan.expect("there is a plan").0;
    assert_eq!(plan.costs.reboots, 3);
    let outcome = hold(&calm(), world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert_eq!(outcome.impact.nodes_upgraded, 3, "{}", tell(&outcome));
    assert!(!outcome.events.iter().any(|(_, event)| matches!(event, Event::Paused { .. })), "{}", tell(&outcome));
}

#[test]
fn a_node_whose_mirror_is_stale_is_not_called_up_to_date_and_the_run_waits_for_a_decision() {
    let stale = || {
        let mut world = demo();
        let kind = FaultKind::MirrorStale { node: "pve2".into(), times: 9 };
        world.inject(Fault { at_s: 0, kind });
        world.advance_to(world.now_ms + 1_000);
        world
    };
    let findings = prepared(stale()).findings;
    let about = |words: &str| findings.iter().any(|finding| finding.problem.contains(words));
    assert!(about("apt-get update on pve2 kept old package lists"), "{findings:#?}");
    assert!(about("pve2 is not offered what other nodes have or are offered: "), "{findings:#?}");
    let outcome = hold(&calm(), stale());
    assert_eq!(outcome.ended, None, "{}", tell(&outcome));
    assert!(outcome.refused.iter().any(|line| line.contains("pve2")), "{:#?}", outcome.refused);
    let mut run = calm();
    run.policy.waive = ["old-package-lists:pve2=its mirror is repaired on Monday", "offered-versions:pve2=the same"]
        .map(|text| parse_waiver(text).unwrap())
        .to_vec();
    let outcome = hold(&run, stale());
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert_eq!((outcome.impact.clean, outcome.impact.nodes_upgraded), (true, 2), "{:#?}", outcome.impact);
}

#[test]
fn a_stopped_guest_that_starts_with_its_node_is_in_the_plan_and_runs_afterwards() {
    let mut world = demo();
    let find =
        |world: &World| *world.guests.iter().find(|(_, guest)| !guest.is_running() && !guest.template).unwrap().0;
    let id: GuestId = find(&world);
    world.ha.resources.remove(&id);
    world.guests.get_mut(&id).unwrap().onboot = true;
    let prepared = prepared(world.clone());
    assert!(prepared.findings.iter().any(|finding| finding.check == "start-at-boot"), "{:#?}", prepared.findings);
    let plan = prepared.plan.expect("there is a plan").0;
    assert_eq!(plan.costs.starts.get(&id), Some(&world.guests[&id].node));
    let outcome = hold(&calm(), world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    let seen = |(_, event): &(_, Event)| matches!(event, Event::FirstSeen { running, .. } if running.contains_key(&id));
    assert!(outcome.events.iter().any(seen), "it runs now: {}", tell(&outcome));
}
