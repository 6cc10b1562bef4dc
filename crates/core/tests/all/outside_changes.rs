//! What another hand does in the middle of a run: a node that reboots, a guest that stops or moves. Each is noted when it
//! is there, and not when it is not, not known, or the run's own doing.

use quorate_core::fixture::Fixture;
use quorate_core::ids::GuestId;
use quorate_core::observed::Observed::{self, Known};
use quorate_core::run::{Action, Event, OutsideChange, Pause, PauseCause, RunState, StepOutcome, decide};
use quorate_core::snapshot::{ArmedState, Ha, HaRequest, HaServiceState, Job, JobKind, Lock, Snapshot};
use quorate_core::steps::{Migrate, MoveMode, Reboot, ShutdownGuest, StartMoved, Step};

use crate::decide_inputs::{NOW, goes_on, noted, seen, state, with, world};

/// The run has looked at the cluster once.
fn after_a_look(world: &Snapshot) -> RunState {
    let mut state = state();
    let looked = seen(&state, world);
    noted(&mut state, &looked, NOW);
    assert!(!state.expected.boots.is_empty() && state.unanswered.is_empty());
    state
}

/// What is noted at the next look, and what is decided then.
fn next_look(state: &RunState, world: &Snapshot) -> (Vec<OutsideChange>, Action) {
    let (mut changes, mut state, looked) = (Vec::new(), state.clone(), seen(state, world));
    loop {
        match decide(&state, &looked, NOW, &|_, _, _| Ok(())) {
            Action::Note { events } => {
                events.iter().for_each(|event| state.apply(NOW, event));
                changes.extend(events.into_iter().filter_map(|event| match event {
                    Event::ChangedOutside { change } => Some(change),
                    _ => None,
                }));
            }
            action => return (changes, action),
        }
    }
}

/// vm:101 under HA, in this state.
fn under_ha(request: HaRequest, state: HaServiceState) -> Fixture {
    Fixture::cluster(3).ct(201, "pve1", 1).vm(101, "pve1", 4).managed(GuestId::vm(101)).ha(|ha| {
        let service = ha.services.get_mut(&GuestId::vm(101)).unwrap();
        (service.request, service.state) = (request, Some(state));
    })
}

fn stopped(world: Fixture) -> Snapshot {
    world.stopped(GuestId::vm(101)).snapshot()
}

fn under_way(state: RunState, step: impl Into<Step>, world: &Snapshot) -> RunState {
    let step = step.into();
    let command = step.kind().command(world);
    with(state, Event::StepStarted { id: "x".into(), step, attempt: 1, command, undo: None })
}

#[test]
fn a_node_that_reboots_by_another_hand_is_noted_once_and_pauses_the_run_with_the_guests_that_it_took_down() {
    let state = after_a_look(&world());
    let mut rebooted = stopped(Fixture::cluster(3).ct(201, "pve1", 1).vm(101, "pve1", 4));
    let node = rebooted.nodes.get_mut(&"pve1".into()).unwrap();
    (node.boot, node.uptime_s) = (Known("another".into()), Known(80));
    let guests = [GuestId::vm(101), GuestId::ct(201)].into();
    let change = OutsideChange::Rebooted { node: "pve1".into(), up_s: Some(80), guests };
    let (changes, action) = next_look(&state, &rebooted);
    assert_eq!(changes, std::slice::from_ref(&change), "and its guest has not stopped by itself");
    let pause = Pause::ChangedOutside { changes: changes.clone(), down: [GuestId::vm(101)].into() };
    assert_eq!((action, pause.cause()), (Action::Pause(pause.clone()), PauseCause::ChangedOutside));
    assert!(pause.lines().iter().any(|line| line.contains("pve1") && line.contains("1 min 20 s")), "{pause:?}");
    // A run that is told to go on does, and the boot counts as seen.
    let noted = with(state.clone(), Event::ChangedOutside { change });
    assert!(
        matches!(next_look(&noted, &rebooted), (none, Action::Pause(_)) if none.is_empty()),
        "until it is answered"
    );
    let answered = with(noted, Event::Resumed { by: "anna".into() });
    assert!(matches!(next_look(&answered, &rebooted), (none, action) if none.is_empty() && goes_on(&action)));
    // Not known is no change, and neither is what a run that only undoes has to wait for.
    rebooted.nodes.get_mut(&"pve1".into()).unwrap().boot = Observed::unknown("boot id", "no route to host");
    assert_eq!(next_look(&after_a_look(&rebooted), &rebooted).0, []);
    let aborted = with(state, Event::AbortBegun { by: "anna".into() });
    rebooted.nodes.get_mut(&"pve1".into()).unwrap().boot = Known("another".into());
    assert!(matches!(next_look(&aborted, &rebooted), (noted, Action::Finish(_)) if noted.len() == 1));
}

#[test]
fn a_reboot_that_the_run_has_ordered_is_no_outside_change_and_the_next_one_of_that_node_is() {
    let state = after_a_look(&world());
    let boot = |boot: &str| {
        let mut world = Fixture::cluster(3).ct(201, "pve2", 1).vm(101, "pve2", 4).upgraded("pve1").snapshot();
        world.nodes.get_mut(&"pve1".into()).unwrap().boot = Known(boot.into());
        world
    };
    let elsewhere = after_a_look(&boot("boot-pve1"));
    let reboot = Reboot { node: "pve1".into(), from_boot: "boot-pve1".into() };
    let mut ours = under_way(elsewhere.clone(), reboot.clone(), &world());
    let looked = seen(&ours, &boot("ours"));
    assert!(!matches!(noted(&mut ours, &looked, NOW), Action::Pause(_)));
    let done = Event::StepEnded { id: "x".into(), step: reboot.clone().into(), outcome: StepOutcome::Done };
    let mut done = with(ours, done);
    noted(&mut done, &looked, NOW);
    assert_eq!(done.expected.boots[&"pve1".into()].as_str(), "ours");
    let (changes, _) = next_look(&done, &boot("again"));
    assert!(matches!(&changes[..], [OutsideChange::Rebooted { node, .. }] if node.as_str() == "pve1"), "{changes:?}");
    // A step that has only waited explains nothing, and none explains the reboot of another node.
    let waits =
        Event::StepStarted { id: "x".into(), step: reboot.clone().into(), attempt: 0, command: None, undo: None };
    assert_eq!(next_look(&with(elsewhere, waits), &boot("another")).0.len(), 1);
    let mut other = world();
    other.nodes.get_mut(&"pve2".into()).unwrap().boot = Known("another".into());
    assert_eq!(next_look(&under_way(state, reboot, &world()), &other).0.len(), 1);
}

#[test]
fn a_guest_that_stops_by_another_hand_is_noted_and_pauses_the_run() {
    let plain = || Fixture::cluster(3).ct(201, "pve1", 1).vm(101, "pve1", 4);
    let (guest, state) = (GuestId::vm(101), after_a_look(&world()));
    let change = OutsideChange::Stopped { guest, node: "pve1".into() };
    let (changes, action) = next_look(&state, &stopped(plain()));
    assert_eq!(changes, std::slice::from_ref(&change));
    assert_eq!(action, Action::Pause(Pause::ChangedOutside { changes, down: [guest].into() }));
    assert_eq!(next_look(&state, &world()).0, [], "it runs");
    let nothing = |state: &RunState, world: &Snapshot, why: &str| assert_eq!(next_look(state, world).0, [], "{why}");
    let mut unread = stopped(plain());
    unread.guests.get_mut(&guest).unwrap().status = Observed::unknown("its node", "no answer");
    nothing(&state, &unread, "unknown is not stopped");
    nothing(&after_a_look(&stopped(plain())), &stopped(plain()), "it did not run before");
    let shutdown = ShutdownGuest { guest, node: "pve1".into() };
    nothing(&under_way(state.clone(), shutdown.clone(), &world()), &stopped(plain()), "this run stops it");
    let done = Event::StepEnded { id: "x".into(), step: shutdown.clone().into(), outcome: StepOutcome::Done };
    let by_us = with(under_way(state.clone(), shutdown, &world()), done);
    nothing(&by_us, &stopped(plain()), "this run has stopped it");
    let restart =
        Migrate { guest, from: "pve1".into(), to: "pve2".into(), mode: MoveMode::Restart, storages: [].into() };
    let (undo, step) = (Some(StartMoved { guest }.into()), Step::from(restart));
    let begun = Event::StepStarted { id: "x".into(), step: step.clone(), attempt: 1, command: None, undo };
    let given_up = Event::StepEnded { id: "x".into(), step, outcome: StepOutcome::Abandoned(Vec::new()) };
    nothing(&with(with(state.clone(), begun), given_up), &stopped(plain()), "this run still has to start it");
    let upid = "UPID:pve1:0:0:0:qmreboot:101:root@pam:".into();
    let (kind, user) = (JobKind("qmreboot".into()), "root@pam".to_owned());
    let task = Job { upid, node: "pve1".into(), kind, vmid: Some(guest.vmid), user, started: NOW };
    nothing(&state, &stopped(plain().change(|world| world.jobs = Known(vec![task]))), "a task starts it again");
    let jobs = |world: &mut Snapshot| world.jobs = Observed::unknown("tasks", "no answer");
    nothing(&state, &stopped(plain().change(jobs)), "whether one does is not known");
    let locked = |lock: &str| Known(Some(Lock(lock.to_owned())));
    nothing(&state, &stopped(plain().guest(guest, |it| it.lock = locked("backup"))), "a backup starts it again");
    assert_eq!(next_look(&state, &stopped(plain().guest(guest, |it| it.lock = locked("suspended")))).0.len(), 1);
}

#[test]
fn a_guest_that_ha_starts_again_is_no_outside_change_and_one_that_it_gave_up_or_was_told_to_stop_is() {
    use HaServiceState::{Error, Started, Stopped};
    let state = after_a_look(&under_ha(HaRequest::Started, Started).snapshot());
    let noted = |world: Fixture| next_look(&state, &stopped(world)).0.len();
    assert_eq!(noted(under_ha(HaRequest::Started, Started)), 0, "HA restarts it");
    assert_eq!(noted(under_ha(HaRequest::Started, Error)), 1);
    assert_eq!(noted(under_ha(HaRequest::Stopped, Stopped)), 1);
    let disarmed = |ha: &mut Ha| ha.armed = Some(ArmedState::Disarmed);
    assert_eq!(noted(under_ha(HaRequest::Started, Started).ha(disarmed)), 1);
    let unread = |world: &mut Snapshot| world.ha = Observed::unknown("HA", "no answer");
    assert_eq!(noted(under_ha(HaRequest::Started, Started).change(unread)), 0, "whether HA has it is not known");
}

#[test]
fn a_guest_that_moves_by_another_hand_is_noted_and_pauses_nothing() {
    let guest = GuestId::vm(101);
    let state = after_a_look(&world());
    let moved = || Fixture::cluster(3).ct(201, "pve1", 1).vm(101, "pve2", 4);
    let change = OutsideChange::Moved { guest, from: "pve1".into(), to: "pve2".into() };
    let (changes, action) = next_look(&state, &moved().snapshot());
    assert_eq!(changes, [change]);
    assert!(!matches!(action, Action::Pause(_)), "{action:?}");
    let migrate =
        |to: &str| Migrate { guest, from: "pve1".into(), to: to.into(), mode: MoveMode::Live, storages: [].into() };
    let ours = under_way(state.clone(), migrate("pve2"), &world());
    assert_eq!(next_look(&ours, &moved().snapshot()).0, [], "this run moves it");
    let done = Event::StepEnded { id: "x".into(), step: migrate("pve2").into(), outcome: StepOutcome::Done };
    assert_eq!(next_look(&with(ours, done), &moved().snapshot()).0, [], "this run has moved it");
    // HA moves a guest to the node that its rule prefers: the plan counts on that.
    let with_rule = |node: &str, best: &str| {
        let fixture = Fixture::cluster(3).ct(201, "pve1", 1).vm(101, node, 4).managed(guest);
        fixture.node_rule("likes", &[guest], &[(best, 2), ("pve1", 1), ("pve3", 1)], false).snapshot()
    };
    let managed = after_a_look(&with_rule("pve1", "pve2"));
    assert_eq!(next_look(&managed, &with_rule("pve2", "pve2")).0, []);
    assert_eq!(next_look(&managed, &with_rule("pve3", "pve2")).0.len(), 1);
}
