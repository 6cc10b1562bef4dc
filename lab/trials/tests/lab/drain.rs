//! A node is drained, handed over to its administrator, and given back: with the rules, the journal and the undo of a
//! run, and without an upgrade.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use common::{JournalFile, block_on, demo, policy, tell};
use quorate_core::ids::{GuestId, NodeName, RunId};
use quorate_core::run::{Event, Pause, PauseCause, Request, RunOutcome};
use quorate_core::steps::Step;
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{AtStep, DiesAt, Outcome, SimulatedRun, unless_it_dies};
use quorate_world::World;
use quorate_world::faults::{Fault, FaultKind};

/// A cluster, a journal, and the run in it.
struct Stage {
    sim: SimPorts,
    journal: Journal,
    _file: JournalFile,
}

impl Stage {
    fn of(world: World) -> Self {
        let file = JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        Self { sim: SimPorts::new(Arc::new(Mutex::new(world))), journal, _file: file }
    }

    fn run(&self) -> RunId {
        self.journal.latest_run().unwrap().unwrap()
    }

    fn begin(&self, simulated_run: &SimulatedRun) -> Outcome {
        block_on(simulated_run.begin(&self.sim, &self.journal)).unwrap()
    }

    fn resume(&self) -> Outcome {
        block_on(drain().resume(&self.sim, &self.journal, &self.run())).unwrap()
    }

    fn undrain(&self) -> Outcome {
        block_on(drain().undrain(&self.sim, &self.journal, &self.run())).unwrap()
    }

    fn abort(&self) -> Outcome {
        block_on(drain().abort(&self.sim, &self.journal, &self.run())).unwrap()
    }

    /// It happens after so many seconds.
    fn later(&self, seconds: u64, kind: FaultKind) {
        let mut world = self.sim.world();
        let at_s = world.now_ms.saturating_sub(world.started_ms) / 1000 + seconds;
        world.inject(Fault { at_s, kind });
    }

    fn passes(&self, seconds: u64) {
        let mut world = self.sim.world();
        let until = world.now_ms + seconds * 1000;
        world.advance_to(until);
    }

    /// The administrator switches the node off, works on it, and switches it on again.
    fn works_on_it(&self) {
        self.later(0, FaultKind::PowerOff { node: pve2() });
        self.passes(3000);
        self.later(0, FaultKind::PowerOn { node: pve2() });
        self.passes(600);
    }

    fn on_pve2(&self) -> BTreeSet<GuestId> {
        let world = self.sim.world();
        let here = world.guests.values().filter(|guest| guest.node == pve2() && guest.is_running());
        here.map(|guest| guest.id).collect()
    }

    /// Flags and modes that are set for the node.
    fn is_set_aside(&self) -> bool {
        let world = self.sim.world();
        let noout = world.ceph.as_ref().is_some_and(|ceph| !ceph.noout_group.is_empty());
        noout || world.ha.manager.maintenance_requests.contains(&pve2())
    }
}

fn pve2() -> NodeName {
    NodeName::from("pve2")
}

fn drain() -> SimulatedRun {
    SimulatedRun { policy: policy().for_a_drain(), drain: Some(pve2()), ..SimulatedRun::default() }
}

/// The demo with pve2 drained.
fn drained() -> Stage {
    let stage = Stage::of(demo());
    let outcome = stage.begin(&drain());
    assert!(is_drained(&outcome), "{:?} {:?}\n{}", outcome.ended, outcome.refused, tell(&outcome));
    stage
}

fn is_drained(outcome: &Outcome) -> bool {
    matches!(&outcome.ended, Some(Ended::Paused(Pause::Drained { node })) if *node == pve2())
}

fn ends(outcome: &Outcome, how: RunOutcome) {
    assert_eq!(outcome.ended, Some(Ended::Over(how)), "{}", tell(outcome));
}

#[test]
fn a_node_is_emptied_worked_on_and_given_back_with_its_guests_and_nothing_is_upgraded() {
    let at_home = Stage::of(demo()).on_pve2();
    let stage = drained();
    assert_eq!(stage.on_pve2(), BTreeSet::new());
    assert!(stage.is_set_aside());
    stage.works_on_it();
    stage.works_on_it();
    let outcome = stage.undrain();
    ends(&outcome, RunOutcome::Completed);
    assert_eq!(stage.on_pve2(), at_home, "guests are at home again");
    assert!(!stage.is_set_aside());
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert_eq!(outcome.impact.nodes_upgraded, 0);
    let outside = |event: &Event| matches!(event, Event::ChangedOutside { .. });
    assert!(!outcome.events.iter().any(|(_, event)| outside(event)), "{}", tell(&outcome));
    let upgrades = |event: &Event| matches!(event, Event::StepStarted { step: Step::UpgradePackages(_), .. });
    assert!(!outcome.events.iter().any(|(_, event)| upgrades(event)));
}

#[test]
fn while_it_is_held_a_resume_does_nothing_and_no_process_has_to_run() {
    let stage = drained();
    let before = stage.journal.head().unwrap().seq;
    stage.later(0, FaultKind::PowerOff { node: pve2() });
    stage.passes(3 * 24 * 3600);
    let outcome = stage.resume();
    assert!(is_drained(&outcome), "{:?}", outcome.ended);
    assert_eq!(stage.journal.head().unwrap().seq, before + 1, "a driver took over, and left: {}", tell(&outcome));
    assert!(stage.is_set_aside());
}

#[test]
fn after_a_driver_dies_in_a_drain_the_next_one_drains_on() {
    let steps = [
        ("pve2.migrate.vm:102", 1),
        ("pve2.shutdown-guest.vm:116", 0),
        ("pve2.enter-maintenance", 0),
        ("pve2.set-noout", 1),
    ];
    for (step, after_calls) in steps {
        let stage = Stage::of(demo());
        let dying = SimulatedRun { dies: Some(DiesAt { step: step.into(), after_calls }), ..drain() };
        let died = block_on(unless_it_dies(&stage.sim, dying.begin(&stage.sim, &stage.journal))).is_none();
        assert!(died, "it did not die at {step}");
        let world = stage.sim.world().clone();
        let Stage { journal, _file, .. } = stage;
        drop(journal);
        let journal = Journal::open(&_file.0, Mode::Drive).unwrap();
        let stage = Stage { sim: SimPorts::new(Arc::new(Mutex::new(world))), journal, _file };
        let outcome = stage.resume();
        assert!(is_drained(&outcome), "{step}: {:?}\n{}", outcome.ended, tell(&outcome));
        assert_eq!(stage.on_pve2(), BTreeSet::new(), "{step}");
        let outcome = stage.undrain();
        ends(&outcome, RunOutcome::Completed);
        assert!(outcome.impact.clean, "{step}: {:#?}", outcome.impact);
    }
}

#[test]
fn an_abort_while_it_is_held_waits_for_the_node_and_sets_everything_back() {
    let stage = drained();
    stage.later(0, FaultKind::PowerOff { node: pve2() });
    stage.passes(600);
    stage.later(300, FaultKind::PowerOn { node: pve2() });
    let outcome = stage.abort();
    ends(&outcome, RunOutcome::Aborted);
    assert!(!stage.is_set_aside());
    assert!(stage.sim.world().guests[&GuestId::vm(116)].is_running());
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    let undone_at = |verb: &str| {
        let ended = |event: &Event| matches!(event, Event::StepEnded { step, .. } if step.kind().verb() == verb);
        outcome.events.iter().position(|(_, event)| ended(event)).unwrap_or_else(|| panic!("no {verb}"))
    };
    assert!(undone_at("wait-back") < undone_at("unset-noout"), "its OSDs are back first");
}

#[test]
fn a_node_that_is_given_back_while_it_is_off_is_waited_for_and_nothing_is_set_back_before() {
    let stage = drained();
    stage.later(0, FaultKind::PowerOff { node: pve2() });
    stage.passes(600);
    let outcome = stage.undrain();
    let Some(Ended::Paused(pause)) = &outcome.ended else { panic!("{:?}", outcome.ended) };
    assert_eq!(pause.cause(), PauseCause::Stuck, "{:?}", pause.lines());
    assert!(stage.is_set_aside());
    stage.later(0, FaultKind::PowerOn { node: pve2() });
    stage.passes(600);
    let outcome = stage.undrain();
    ends(&outcome, RunOutcome::Completed);
    assert!(!stage.is_set_aside());
}

#[test]
fn a_node_is_not_handed_over_before_ceph_has_all_its_copies_again() {
    let stage = Stage::of(demo());
    let (osd, of_another) = (quorate_core::ids::OsdId(0), "pve1");
    assert_eq!(stage.sim.world().ceph.as_ref().unwrap().osds[&osd].host.as_str(), of_another);
    let at_step = vec![AtStep { step: "pve2.set-noout".into(), faults: vec![FaultKind::OsdFails { osd }] }];
    let outcome = stage.begin(&SimulatedRun { at_step, ..drain() });
    assert!(is_drained(&outcome), "{:?}\n{}", outcome.ended, tell(&outcome));
    let begun = |of: u32| {
        let is_it = |event: &Event| matches!(event, Event::StepStarted { step: Step::HandOver(_), attempt, .. } if *attempt == of);
        outcome.events.iter().find(|(_, event)| is_it(event)).map(|(at, _)| *at).unwrap_or_else(|| panic!("no {of}"))
    };
    // The OSD is given up after ten minutes, and its data copied elsewhere.
    let waited_s = begun(1).since_s(begun(0));
    assert!(waited_s > 600, "{waited_s} s\n{}", tell(&outcome));
}

#[test]
fn a_second_node_is_not_drained_while_one_is_out() {
    let mut world = demo();
    world.inject(Fault { at_s: 0, kind: FaultKind::AdminMaintenance { node: "pve3".into(), on: true } });
    world.advance_to(world.now_ms + 120_000);
    let outcome = Stage::of(world).begin(&drain());
    assert_eq!(outcome.ended, None);
    assert!(outcome.refused.iter().any(|why| why.starts_with("one-node-out")), "{:?}", outcome.refused);
}

#[test]
fn what_is_said_of_an_upgrade_or_of_other_nodes_does_not_stand_in_the_way() {
    let mut world = demo();
    let disks = |world: &mut World, node: &str| {
        let disks = &mut world.nodes.get_mut(&NodeName::from(node)).unwrap().surroundings.disks;
        disks.smart.insert("/dev/sda".to_owned(), "FAILED!".to_owned());
    };
    world.nodes.get_mut(&pve2()).unwrap().root_free_bytes = 1 << 20;
    disks(&mut world, "pve3");
    assert!(is_drained(&Stage::of(world.clone()).begin(&drain())));
    disks(&mut world, "pve2");
    let refused = Stage::of(world).begin(&drain()).refused;
    assert!(refused.iter().any(|why| why.contains("SMART says FAILED! of /dev/sda of pve2")), "{refused:?}");
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[test]
fn a_guest_that_has_gone_meanwhile_does_not_keep_the_others_from_going_home() {
    let stage = drained();
    let gone = GuestId::vm(111);
    assert!(stage.sim.world().guests.contains_key(&gone));
    stage.later(0, FaultKind::AdminStops { guest: gone });
    stage.passes(600);
    let outcome = stage.undrain();
    let mut ended = outcome.ended.clone();
    if matches!(&ended, Some(Ended::Paused(_))) {
        stage
            .journal
            .post_request(&stage.run(), quorate_core::ids::UnixMs(0), "the operator", &Request::Resume)
            .unwrap();
        ended = stage.resume().ended;
    }
    assert_eq!(ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    assert!(stage.on_pve2().len() > 3, "{:?}", stage.on_pve2());
}
