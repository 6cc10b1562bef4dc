//! Ceph as clusters really have it: hosts in CRUSH that are not called like the nodes, nodes without Ceph, OSDs that are
//! dead or never ran.

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::sync::{Arc, Mutex};

use common::{JournalFile, block_on, demo, policy, tell};
use quorate_core::checks::{Asked, Finding, Severity, run_all};
use quorate_core::ids::{NodeName, OsdId};
use quorate_core::policy::Policy;
use quorate_core::run::{Event, RunOutcome};
use quorate_core::snapshot::Snapshot;
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_pve::observe::{Look, observe};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{Outcome, SimulatedRun};
use quorate_world::World;
use quorate_world::faults::{Fault, FaultKind};

/// A whole run, and the world as it is afterwards.
fn run_over(world: World) -> (Outcome, World) {
    let (file, world) = (JournalFile::new(), Arc::new(Mutex::new(world)));
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let run = SimulatedRun { policy: policy(), ..SimulatedRun::default() };
    let outcome = block_on(run.begin(&SimPorts::new(world.clone()), &journal)).unwrap();
    let world = world.lock().unwrap().clone();
    (outcome, world)
}

#[track_caller]
fn completes(world: World) -> (Outcome, World) {
    let (outcome, world) = run_over(world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    (outcome, world)
}

fn seen(world: World) -> Snapshot {
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    block_on(observe(&sim.ports(), Look::full()))
}

fn found(snapshot: &Snapshot) -> Vec<Finding> {
    run_all(snapshot, &Policy::default(), Asked::BeforeARun)
}

/// Two hosts in CRUSH for each node, neither of which is called like it.
fn two_trees() -> World {
    let mut world = demo();
    for (id, osd) in &mut world.ceph.as_mut().unwrap().osds {
        osd.crush_host = format!("{}-{}", osd.host, if id.0 % 2 == 0 { "ssd" } else { "hdd" });
    }
    world
}

#[test]
fn noout_is_set_and_cleared_for_the_osds_of_a_node_whatever_crush_calls_its_hosts() {
    let (outcome, world) = completes(two_trees());
    let sent: Vec<String> = outcome
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::StepStarted { command: Some(command), .. } => Some(command.to_string()),
            _ => None,
        })
        .filter(|command| command.contains("set-group"))
        .collect();
    assert!(sent.len() >= 6 && sent.iter().all(|command| command.contains("osd.")), "{sent:#?}");
    assert!(world.ceph.unwrap().noout_group.is_empty());
}

#[test]
fn an_osd_that_an_administrator_gave_noout_keeps_it() {
    let mut world = demo();
    let osd = *world.ceph.as_ref().unwrap().osds.keys().next().unwrap();
    world.ceph_group(&[osd.to_string()], true).unwrap();
    let (_, world) = completes(world);
    assert_eq!(world.ceph.unwrap().noout_group, [osd.to_string()].into());
}

/// The first two nodes have no Ceph.
fn with_compute_nodes() -> World {
    let text = include_str!("fixtures/compute_nodes.toml");
    quorate_world::cluster_file::world_from_toml(text, 1).unwrap()
}

#[test]
fn ceph_is_asked_of_a_node_that_has_it() {
    let snapshot = seen(with_compute_nodes());
    let ceph = snapshot.ceph.known().unwrap_or_else(|| panic!("{:?}", snapshot.ceph)).as_ref().unwrap();
    assert_eq!((ceph.osds.len(), ceph.daemons.len()), (6, 6));
    assert!(ceph.osds_ok_to_stop.len() == 3 && ceph.osds_ok_to_stop.values().all(|said| said.known().is_some()));
}

#[test]
fn a_cluster_whose_first_nodes_have_no_ceph_is_upgraded() {
    completes(with_compute_nodes());
}

/// An OSD has failed and is out, its data are elsewhere.
fn with_a_dead_osd() -> (World, OsdId, NodeName) {
    let mut world = demo();
    let (id, osd) = world.ceph.as_ref().unwrap().osds.iter().next_back().unwrap();
    let (id, node) = (*id, osd.host.clone());
    world.inject(Fault { at_s: 0, kind: FaultKind::OsdFails { osd: id } });
    world.advance_to(world.now_ms + 4 * 3_600_000);
    let ceph = world.ceph.as_ref().unwrap();
    assert!(!ceph.osds[&id].up && !ceph.osds[&id].in_, "it is given up by now");
    assert_eq!(ceph.health(world.now_ms).0, "HEALTH_OK");
    (world, id, node)
}

#[test]
fn a_dead_osd_that_is_out_is_a_warning_and_its_node_has_its_turn() {
    let (world, id, node) = with_a_dead_osd();
    let of_it: Vec<Finding> =
        found(&seen(world.clone())).into_iter().filter(|finding| finding.problem.contains(&id.to_string())).collect();
    assert!(of_it.iter().any(|finding| finding.severity == Severity::Warning), "{of_it:#?}");
    assert!(of_it.iter().all(|finding| finding.severity < Severity::Blocking), "{of_it:#?}");
    let (outcome, _) = completes(world);
    let rebooted = format!("{node}.reboot");
    assert!(
        outcome.events.iter().any(|(_, event)| matches!(event, Event::StepEnded { id, .. } if id.as_str() == rebooted))
    );
}

#[test]
fn an_osd_that_never_ran_is_a_warning_and_no_gap() {
    let mut world = demo();
    let ceph = world.ceph.as_mut().unwrap();
    let any = ceph.osds.values().next().unwrap().clone();
    let never = quorate_world::ceph::Osd {
        never_ran: true,
        running: false,
        up: false,
        in_: false,
        returns: false,
        down_since_ms: None,
        ..any
    };
    ceph.osds.insert(OsdId(40), never);
    let snapshot = seen(world.clone());
    let ceph = snapshot.ceph.known().unwrap_or_else(|| panic!("{:?}", snapshot.ceph)).as_ref().unwrap();
    assert!(ceph.never_ran.contains(&OsdId(40)) && !ceph.osds.contains_key(&OsdId(40)));
    assert!(
        found(&snapshot).iter().any(|finding| finding.problem.contains("osd.40 is down and out and has never run"))
    );
    completes(world);
}
