//! Others at work on the cluster: another driver, a driver that has died, an administrator who has set a node's
//! maintenance mode or a flag. The run keeps away, and clears nothing that it did not set.

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::sync::{Arc, Mutex};

use common::{JournalFile, block_on, demo, policy, tell};
use quorate_core::ids::{DriverId, GuestId, NodeName, UnixMs};
use quorate_core::run::{Event, RunOutcome};
use quorate_core::steps::Step;
use quorate_engine::{Beginning, Driver, Ended, Lists, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{AfterStep, AtStep, Outcome, SimulatedRun};
use quorate_world::World;
use quorate_world::faults::{Fault, FaultKind};

const LOCK: &str = "/etc/pve/priv/lock/quorate";
const HOLDER: &str = "/etc/pve/priv/quorate-driver.json";

/// A cluster in which a driver with another journal took the lock, and no longer renews it.
fn left_locked() -> World {
    let mut world = demo();
    let node = NodeName::from("pve3");
    world.pmxcfs_mkdir(&node, LOCK).unwrap();
    let renewed = world.now_ms;
    let head = r#"{"seq":7,"hash":"ab"}"#;
    let holder = format!(
        r#"{{"run":"0badcafe","holder":"admin@laptop, process 7","id":"00000000000000aa","head":{head},"journal":"cd","renewed":{renewed},"released":false,"ended":false}}"#
    );
    world.pmxcfs_write(&node, HOLDER, &holder).unwrap();
    world
}

fn calm() -> SimulatedRun {
    SimulatedRun { policy: policy(), ..SimulatedRun::default() }
}

fn in_maintenance(world: &World, node: &str) -> bool {
    world.ha.manager.maintenance_requests.contains(&NodeName::from(node))
}

/// Runs it, and returns the world as it is afterwards.
fn held(simulated_run: &SimulatedRun, world: World) -> (Outcome, Arc<Mutex<World>>) {
    let (file, world) = (JournalFile::new(), Arc::new(Mutex::new(world)));
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let outcome = block_on(simulated_run.begin(&SimPorts::new(world.clone()), &journal)).unwrap();
    (outcome, world)
}

#[test]
fn the_lock_of_a_driver_that_died_on_another_laptop_runs_out_and_the_run_is_done() {
    let mut world = left_locked();
    let until_ms = world.now_ms + 125_000;
    world.advance_to(until_ms);
    let (outcome, world) = held(&calm(), world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert!(!world.lock().unwrap().files.contains_key(LOCK), "our own is released");
}

#[test]
fn a_lock_that_was_renewed_a_moment_ago_is_waited_for_before_even_package_lists_are_refreshed() {
    let world = left_locked();
    let begun_ms = world.now_ms;
    let (outcome, _) = held(&calm(), world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    let at = |wanted: fn(&Event) -> bool| {
        outcome.events.iter().find(|(_, event)| wanted(event)).map(|(at, _)| at.since_s(UnixMs(begun_ms)))
    };
    let refreshed = at(|event| matches!(event, Event::ListsRefreshBegun { .. })).expect("its lists are old");
    assert!((120..200).contains(&refreshed), "{refreshed}");
    let first = at(|event| matches!(event, Event::StepStarted { .. }));
    assert!(first.is_some_and(|first| first >= refreshed), "{first:?}");
}

#[test]
fn a_run_is_refused_while_a_node_is_in_another_users_maintenance_mode_which_stays_set() {
    let mut world = demo();
    world.inject(Fault { at_s: 0, kind: FaultKind::AdminMaintenance { node: "pve3".into(), on: true } });
    let until_ms = world.now_ms + 300_000;
    world.advance_to(until_ms);
    let (outcome, world) = held(&calm(), world);
    assert_eq!(outcome.ended, None, "{}", tell(&outcome));
    assert!(
        outcome.refused.iter().any(|line| line.contains("pve3") && line.contains("maintenance")),
        "{:#?}",
        outcome.refused
    );
    assert!(in_maintenance(&world.lock().unwrap(), "pve3"));
}

#[test]
fn maintenance_mode_set_by_an_administrator_meanwhile_stops_the_run_and_is_never_ended_by_it() {
    let faults = vec![FaultKind::AdminMaintenance { node: "pve1".into(), on: true }];
    let at_step = vec![AtStep { step: "pve2.migrate.ct:203".into(), faults }];
    let (outcome, world) = held(&SimulatedRun { at_step, ..calm() }, demo());
    assert!(matches!(outcome.ended, Some(Ended::Paused(_))), "{}", tell(&outcome));
    assert_eq!(outcome.impact.rules_broken, 0, "{:#?}", outcome.impact);
    assert!(in_maintenance(&world.lock().unwrap(), "pve1"), "it is the administrator's");
}

#[test]
fn noout_that_an_administrator_set_is_still_set_when_the_run_is_done() {
    let faults = vec![FaultKind::AdminNoout { set: true }];
    let at_step = vec![AtStep { step: "pve2.set-noout".into(), faults }];
    let (outcome, world) = held(&SimulatedRun { at_step, ..calm() }, demo());
    let world = world.lock().unwrap();
    let flags = &world.ceph.as_ref().unwrap().flags;
    assert!(flags.contains("noout"), "{flags:?}\n{}", tell(&outcome));
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
}

#[test]
fn a_power_loss_under_dpkg_is_repaired_by_the_next_try_and_the_run_completes() {
    let after = |seconds, fault| AfterStep { step: "pve2.upgrade-packages".into(), seconds, fault };
    let node = NodeName::from("pve2");
    let off = FaultKind::PowerOff { node: node.clone() };
    let after_step = vec![after(60, off), after(90, FaultKind::PowerOn { node })];
    let (file, world) = (JournalFile::new(), Arc::new(Mutex::new(demo())));
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let sim = SimPorts::new(world.clone());
    let simulated_run = SimulatedRun { after_step, ..calm() };
    let first = block_on(simulated_run.begin(&sim, &journal)).unwrap();
    assert!(matches!(first.ended, Some(Ended::Paused(_))), "a person must know of it: {}", tell(&first));
    let run = journal.latest_run().unwrap().unwrap();
    let again = block_on(calm().resume(&sim, &journal, &run)).unwrap();
    assert_eq!(again.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&again));
    let sent = again
        .events
        .iter()
        .any(|(_, event)| serde_json::to_string(event).unwrap().contains("ExecStartPre=/usr/bin/dpkg --force-confdef"));
    assert!(sent, "{}", tell(&again));
    assert!(world.lock().unwrap().nodes.values().all(|node| node.packages.broken.is_empty()));
}

#[test]
fn with_a_guest_brought_to_a_half_done_node_the_run_continues_with_the_other_nodes_as_the_pause_says() {
    let brought = FaultKind::AdminMoves { guest: GuestId::vm(120), target: "pve2".into() };
    let after_step = vec![AfterStep { step: "pve2.upgrade-packages".into(), seconds: 60, fault: brought }];
    let (file, world) = (JournalFile::new(), Arc::new(Mutex::new(demo())));
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let sim = SimPorts::new(world.clone());
    let first = block_on(SimulatedRun { after_step, ..calm() }.begin(&sim, &journal)).unwrap();
    let Some(Ended::Paused(pause)) = &first.ended else { panic!("{}", tell(&first)) };
    let why = pause.lines().join("\n");
    assert!(why.contains("`quorate abort` puts pve2 back into service as it is") && why.contains("then pve2"), "{why}");

    let run = journal.latest_run().unwrap().unwrap();
    let aborted = block_on(calm().abort(&sim, &journal, &run)).unwrap();
    assert_eq!(aborted.ended, Some(Ended::Over(RunOutcome::Aborted)), "{}", tell(&aborted));
    assert_eq!(aborted.impact.still_to_undo, 0, "{:#?}", aborted.impact);

    let second = block_on(calm().begin_within(&sim, &journal)).unwrap();
    assert_eq!(second.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", second.refused, tell(&second));
    let order =
        second.plan.unwrap().node_steps.iter().filter_map(|node_step| node_step.node.clone()).collect::<Vec<_>>();
    assert_eq!(order.last(), Some(&"pve2".into()), "{order:?}");
    let impact = second.impact;
    assert_eq!((impact.backward_moves, impact.guests_lost, impact.unconsented_downtime_s), (0, 0, 0), "{impact:#?}");
}

/// Sets the clock of the driver's machine when the first node is back. From then on another laptop tries to get the
/// lock.
struct SetsTheClock {
    sim: SimPorts,
    by_s: i64,
    is_set: bool,
    other_got_it: bool,
}

impl SetsTheClock {
    fn tries(&mut self) {
        let (mut world, node) = (self.sim.world(), NodeName::from("pve3"));
        if self.is_set && world.pmxcfs_touch(&node, LOCK, true).is_ok() {
            self.other_got_it |= world.pmxcfs_mkdir(&node, LOCK).is_ok();
        }
    }
}

impl Watcher for SetsTheClock {
    fn event(&mut self, _: u64, _: UnixMs, event: &Event) {
        if matches!(event, Event::StepEnded { step: Step::WaitBack(_), .. }) && !self.is_set {
            self.is_set = true;
            self.sim.set_clock_off(self.by_s);
        }
        self.tries();
    }

    fn waiting(&mut self, _: UnixMs, _: &[String]) {
        self.tries();
    }
}

#[test]
fn a_clock_that_is_set_during_a_run_costs_neither_the_lock_nor_the_run() {
    for by_s in [-3_600, 3_600] {
        block_on(async {
            let sim = SimPorts::new(Arc::new(Mutex::new(demo())));
            let (ports, policy) = (sim.ports(), policy());
            let run = new_run_id(ports.clock.now(), "clock");
            let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
            let prepared = prepare(&ports, nodes.clone(), &policy, &run, Lists::Refresh).await;
            let (plan, _) = prepared.plan.expect("the demo has a plan");
            let journal = Journal::in_memory().unwrap();
            let beginning = Beginning { run, cluster: "demo".to_owned(), policy, plan };
            let mut watcher = SetsTheClock { sim: sim.clone(), by_s, is_set: false, other_got_it: false };
            let mut driver = Driver::begin(
                ports,
                &journal,
                &Holder::this_process("clock", DriverId::drawn(1)),
                beginning,
                &mut watcher,
            )
            .unwrap()
            .known_nodes(nodes)
            .when_paused(WhenPaused::Leave);
            let ended = driver.drive().await.unwrap();
            drop(driver);
            assert_eq!(ended, Ended::Over(RunOutcome::Completed), "set by {by_s} s");
            assert!(watcher.is_set && !watcher.other_got_it, "set by {by_s} s");
        });
    }
}
