//! Each policy for guests that cannot move, used once in one run; checked against what the world says about each guest.

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use common::{JournalFile, block_on, tell};
use quorate_core::ids::{GuestId, UnixMs};
use quorate_core::policy::Policy;
use quorate_core::run::{Event, Pause, PauseCause, Request, RunOutcome};
use quorate_core::view::View;
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{DiesAt, OperatorAt, Outcome, SimulatedRun, unless_it_dies};
use quorate_world::World;
use quorate_world::cluster_file::{POLICIES, POLICIES_POLICY, world_from_toml};
use quorate_world::impact::Impact;

fn policy() -> Policy {
    let text: toml::Table = toml::from_str(POLICIES_POLICY).unwrap();
    text["policy"].clone().try_into().unwrap()
}

fn vm(vmid: u32) -> GuestId {
    GuestId::vm(vmid)
}

fn medium(world: &World, guest: GuestId) -> String {
    world.guests[&guest].disks.iter().find(|disk| disk.key == "ide2").unwrap().volume.clone()
}

/// A run over the cluster of policies, and the world after it.
fn run(simulated_run: &SimulatedRun) -> (Outcome, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(world_from_toml(POLICIES, 1).unwrap()));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let outcome = block_on(simulated_run.begin(&SimPorts::new(world.clone()), &journal)).unwrap();
    (outcome, world)
}

#[test]
fn each_policy_once_and_no_guest_is_down_for_longer_than_was_agreed_to() {
    let (outcome, world) = run(&SimulatedRun { policy: policy(), ..SimulatedRun::default() });
    assert!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert_eq!(outcome.impact.nodes_upgraded, 3);
    let world = world.lock().unwrap();
    let plan = outcome.plan.as_ref().unwrap();
    let agreed = plan.downtime_allowed_s(&policy());
    let was = Impact::downtime_by_guest(&world);
    let down: Vec<GuestId> = vec![vm(113), vm(114), vm(115), vm(116), GuestId::ct(201)];
    assert_eq!(was.keys().copied().collect::<Vec<_>>(), down, "no other guest, not for a second: {was:?}");
    for (guest, seconds) in &was {
        assert!(*seconds > 0 && *seconds <= agreed[guest], "{guest} {seconds} s of {agreed:?}");
    }
    // What the tool says it has spent is never less than what it was.
    let view = View::of(outcome.events.iter().map(|(at, event)| (*at, event)));
    for (guest, down) in view.downtimes() {
        assert!(!down.still_down && down.seconds >= was[&guest] && down.seconds <= agreed[&guest], "{guest} {down:?}");
    }
    // The image that is on every node is back; the other one is handed over by name.
    assert_eq!((medium(&world, vm(110)).as_str(), medium(&world, vm(111)).as_str()), ("iso/virtio-win.iso", "none"));
    let left: Vec<String> = outcome.events.iter().filter_map(|(_, event)| left_to_the_operator(event)).collect();
    assert!(matches!(&left[..], [why] if why.contains("local:iso/rescue.iso is on pve3")), "{left:?}");
    let told = |guest: u32| &plan.consents.iter().find(|consent| consent.guest == vm(guest)).unwrap().what;
    assert!(
        told(110).contains("put back at the end") && told(111).contains("NOT put back"),
        "{} {}",
        told(110),
        told(111)
    );
    // Not touched, and its node last.
    for guest in [118, 119] {
        assert_eq!(world.guests[&vm(guest)].node.as_str(), "pve1");
    }
    assert_ne!(world.guests[&vm(117)].node.as_str(), "pve1");
    assert_eq!(plan.node_steps[2].node.as_ref().unwrap().as_str(), "pve3");
}

fn left_to_the_operator(event: &Event) -> Option<String> {
    match event {
        Event::StepEnded { outcome: quorate_core::run::StepOutcome::HandedOver(why), .. } => Some(why.to_string()),
        _ => None,
    }
}

#[test]
fn with_less_downtime_agreed_to_than_needed_the_run_asks_before_the_guest_is_stopped() {
    // The container moves twice at most; with no margin at all its second stop is one too many, or it is within.
    let tight = Policy { downtime_margin_percent: 0, ..policy() };
    let world = Arc::new(Mutex::new(world_from_toml(POLICIES, 1).unwrap()));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let sim = SimPorts::new(world.clone());
    let simulated_run = SimulatedRun { policy: tight, ..SimulatedRun::default() };
    let outcome = block_on(simulated_run.begin(&sim, &journal)).unwrap();
    let mut ended = outcome.ended.clone();
    let mut questions = 0;
    let run = journal.latest_run().unwrap().unwrap();
    let asks = |pause: &Pause| pause.cause() == PauseCause::NeedsConsent;
    while let Some(Ended::Paused(pause)) = &ended
        && asks(pause)
    {
        let why = pause.lines();
        questions += 1;
        assert!(questions < 5 && why[0].contains("s agreed to"), "{why:?}");
        journal.post_request(&run, UnixMs(0), "the operator", &Request::Approve { kinds: [].into() }).unwrap();
        ended = block_on(simulated_run.resume(&sim, &journal, &run)).unwrap().ended;
    }
    assert_eq!(ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    let spent: BTreeMap<GuestId, u64> = Impact::downtime_by_guest(&world.lock().unwrap());
    assert_eq!(spent.len(), 5, "{spent:?}");
}

/// Whatever happens in the middle of an offline move, the guest runs at the end.
#[test]
fn an_abort_between_stop_and_start_starts_the_guest_where_it_is() {
    for step in ["pve1.stop-to-move.vm:113", "pve1.migrate.vm:113", "pve1.stop-to-move.vm:114", "pve1.migrate.vm:114"] {
        let abort = OperatorAt { step: step.into(), request: Request::Abort };
        let simulated_run = SimulatedRun { policy: policy(), operator: vec![abort], ..SimulatedRun::default() };
        let (outcome, world) = run(&simulated_run);
        assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Aborted)), "{step}: {}", tell(&outcome));
        let world = world.lock().unwrap();
        assert!(world.guests[&vm(113)].serves() && world.guests[&vm(114)].serves(), "{step}");
        assert_eq!(
            (outcome.impact.guests_lost, outcome.impact.unconsented_downtime_s),
            (0, 0),
            "{:#?}",
            outcome.impact
        );
    }
}

#[test]
fn an_abort_after_the_ejection_puts_the_image_back() {
    let abort = OperatorAt { step: "pve3.eject-media.vm:111.ide2".into(), request: Request::Abort };
    let (outcome, world) = run(&SimulatedRun { policy: policy(), operator: vec![abort], ..SimulatedRun::default() });
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Aborted)), "{}", tell(&outcome));
    assert_eq!(medium(&world.lock().unwrap(), vm(111)), "iso/rescue.iso", "it had not moved yet");
}

#[test]
fn after_a_driver_dies_in_the_middle_of_an_offline_move_the_next_one_finishes_it() {
    for (step, after_calls) in
        [("pve1.stop-to-move.vm:114", 1), ("pve1.migrate.vm:114", 0), ("pve1.start-moved.vm:113", 0)]
    {
        let dies = DiesAt { step: step.into(), after_calls };
        let simulated_run = SimulatedRun { policy: policy(), dies: Some(dies), ..SimulatedRun::default() };
        let world = Arc::new(Mutex::new(world_from_toml(POLICIES, 1).unwrap()));
        let file = JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let sim = SimPorts::new(world.clone());
        assert!(
            block_on(unless_it_dies(&sim, simulated_run.begin(&sim, &journal))).is_none(),
            "it did not die at {step}"
        );
        drop(journal);
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let run = journal.latest_run().unwrap().unwrap();
        let again = SimulatedRun { dies: None, ..simulated_run };
        let outcome = block_on(again.resume(&SimPorts::new(world.clone()), &journal, &run)).unwrap();
        assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{step}: {}", tell(&outcome));
        let impact = Impact::report(&world.lock().unwrap(), 0, 0.0);
        assert!(impact.clean, "{step}: {impact:#?}");
    }
}

/// A run whose driver dies at a step and that is resumed three hours later: how it ended, and the world after it.
fn taken_up_three_hours_later(step: &str, after_calls: u64) -> (Outcome, View, Arc<Mutex<World>>) {
    let dies = DiesAt { step: step.into(), after_calls };
    let simulated_run = SimulatedRun { policy: policy(), dies: Some(dies), ..SimulatedRun::default() };
    let world = Arc::new(Mutex::new(world_from_toml(POLICIES, 1).unwrap()));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let sim = SimPorts::new(world.clone());
    assert!(block_on(unless_it_dies(&sim, simulated_run.begin(&sim, &journal))).is_none(), "it did not die at {step}");
    drop(journal);
    {
        let mut world = world.lock().unwrap();
        let later_ms = world.now_ms + 3 * 3_600_000;
        world.advance_to(later_ms);
    }
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let run = journal.latest_run().unwrap().unwrap();
    let again = SimulatedRun { dies: None, ..simulated_run };
    let outcome = block_on(again.resume(&SimPorts::new(world.clone()), &journal, &run)).unwrap();
    let entries = journal.events(&run).unwrap();
    (outcome, View::of(entries.iter().map(|entry| (entry.at, &entry.event))), world)
}

#[test]
fn a_guest_that_came_back_without_a_driver_was_down_only_until_then() {
    // Its start was sent; and a container whose move was sent, which starts it again by itself.
    for (step, after_calls, guest) in
        [("pve1.start-moved.vm:113", 1, vm(113)), ("pve1.migrate.ct:201", 1, GuestId::ct(201))]
    {
        let (outcome, view, world) = taken_up_three_hours_later(step, after_calls);
        assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{step}: {}", tell(&outcome));
        let (told, was) = (view.downtimes()[&guest].seconds, Impact::downtime_by_guest(&world.lock().unwrap())[&guest]);
        assert!(told >= was && told <= was + 30, "{step}: {told} s reported, {was} s in truth");
    }
}

#[test]
fn a_guest_that_was_down_without_a_driver_counts_as_down() {
    let (outcome, view, world) = taken_up_three_hours_later("pve1.migrate.vm:113", 0);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    let was = Impact::downtime_by_guest(&world.lock().unwrap())[&vm(113)];
    assert!(was > 3 * 3600 && view.downtimes()[&vm(113)].seconds >= was, "{was} s");
}
