//! The fold for people: what it reports about a run that had its troubles.

use std::collections::BTreeSet;

use quorate_core::ids::{GuestId, NodeName, RunId, StepId, UnixMs};
use quorate_core::plan::{Bound, Costs, NodeStep, NodeWhy, Plan, PlannedStep, StepWhy};
use quorate_core::policy::{ConsentKind, Policy};
use quorate_core::run::{Event, OutsideChange, Pause, RunKind, RunOutcome, StepOutcome};
use quorate_core::steps::{Migrate, MoveMode, Reboot, ShutdownGuest, StartGuest, Step};
use quorate_core::view::{NodePhase, RunPhase, View};

fn node(number: u32) -> NodeName {
    NodeName::new(format!("pve{number}"))
}

fn migrate(vmid: u32) -> Step {
    Step::Migrate(Migrate {
        guest: GuestId::vm(vmid),
        from: node(1),
        to: node(2),
        mode: MoveMode::Live,
        storages: [].into(),
    })
}

fn shutdown() -> Step {
    Step::ShutdownGuest(ShutdownGuest { guest: GuestId::vm(105), node: node(1) })
}

fn start() -> Step {
    Step::StartGuest(StartGuest { guest: GuestId::vm(105), node: node(1) })
}

fn id(step: &Step) -> StepId {
    let kind = step.kind();
    StepId::new(format!("pve1.{}.{}", kind.verb(), kind.profile().about.subject().unwrap_or_default()))
}

fn planned(step: Step) -> PlannedStep {
    PlannedStep { id: id(&step), stage: 0, step, why: StepWhy::Undo, estimate_s: 10, down_s: 0 }
}

fn plan(first: Vec<Step>, moves: u32) -> Event {
    let node_step = |number, steps: Vec<Step>| NodeStep {
        node: Some(node(number)),
        why: NodeWhy::NothingMoves,
        steps: steps.into_iter().map(planned).collect(),
    };
    let last = PlannedStep { id: StepId::new("pve2.migrate.vm:101"), ..planned(migrate(101)) };
    let node_steps = vec![node_step(1, first), NodeStep { steps: vec![last], ..node_step(2, vec![]) }];
    let costs = Costs { moves, ..Costs::default() };
    let plan = Plan::new(None, UnixMs(0), node_steps, costs, vec![], Bound::default());
    Event::PlanAdopted { plan, why: "vm:102 is on pve3".to_owned() }
}

fn begin(step: &Step, attempt: u32) -> Event {
    Event::StepStarted { id: id(step), step: step.clone(), attempt, command: None, undo: None }
}

fn end(step: &Step) -> Event {
    Event::StepEnded { id: id(step), step: step.clone(), outcome: StepOutcome::Done }
}

fn fold(events: &[(u64, Event)]) -> View {
    View::of(events.iter().map(|(second, event)| (UnixMs(second * 1000), event)))
}

/// Two moves and a guest that is shut down on pve1; the first move is tried twice; a pause; a second plan that no
/// longer has what is done.
fn troubled() -> Vec<(u64, Event)> {
    let run = RunId::new("r1");
    let policy = Policy::default();
    let why = "vm:102 does not move".to_owned();
    vec![
        (
            0,
            Event::RunStarted {
                run,
                kind: RunKind::Upgrade,
                cluster: "lab".to_owned(),
                policy,
                version: "0.1.0".to_owned(),
            },
        ),
        (0, plan(vec![migrate(101), migrate(102), shutdown(), start()], 3)),
        (10, begin(&migrate(101), 1)),
        (20, begin(&migrate(101), 2)),
        (30, end(&migrate(101))),
        (40, Event::Paused { pause: Pause::SamePlan { why } }),
        (100, Event::Resumed { by: "anna".to_owned() }),
        (101, plan(vec![shutdown(), start()], 2)),
        (110, begin(&shutdown(), 1)),
        (120, end(&shutdown())),
    ]
}

#[test]
fn a_step_tried_twice_is_one_step_with_two_attempts_and_a_new_plan_does_not_forget_it() {
    let view = fold(&troubled());
    let first = &view.steps[0];
    assert_eq!((first.attempts, first.started, first.node.clone()), (2, UnixMs(10_000), Some(node(1))));
    assert_eq!(view.moves(), 1);
    assert_eq!(view.promised.moves, 3);
    assert_eq!(view.replans.len(), 1);
    let nodes: Vec<_> = view.nodes().into_iter().map(|node| (node.phase, node.done, node.total)).collect();
    assert_eq!(nodes, [(NodePhase::Working, 2, 3), (NodePhase::Waiting, 0, 1)]);
}

#[test]
fn a_pause_lasts_until_someone_resumes() {
    let events = troubled();
    let paused = fold(&events[..6]);
    assert_eq!((paused.phase(), paused.pauses[0].to), (RunPhase::Paused, None));
    let resumed = fold(&events[..7]);
    assert_eq!((resumed.phase(), resumed.pauses[0].to), (RunPhase::Running, Some(UnixMs(100_000))));
}

#[test]
fn a_guest_is_down_from_the_shutdown_command_until_it_is_seen_running() {
    let mut events = troubled();
    let down = fold(&events).downtimes()[&GuestId::vm(105)];
    assert_eq!((down.seconds, down.still_down), (10, true));
    events.push((400, begin(&start(), 1)));
    events.push((410, end(&start())));
    events.push((420, Event::Consented { kinds: BTreeSet::from([ConsentKind::EjectMedia]), by: "ben".to_owned() }));
    events.push((430, Event::RunEnded { outcome: RunOutcome::Aborted }));
    let view = fold(&events);
    let down = view.downtimes()[&GuestId::vm(105)];
    assert_eq!((down.seconds, down.still_down), (300, false));
    assert_eq!((view.phase(), view.duration_s(), view.approvals.len()), (RunPhase::Aborted, 430, 1));
    assert_eq!(view.nodes()[0].ended, Some(UnixMs(410_000)));
}

#[test]
fn a_guest_that_was_already_down_is_not_counted() {
    let mut events = troubled()[..8].to_vec();
    events.push((110, Event::StepEnded { id: id(&shutdown()), step: shutdown(), outcome: StepOutcome::FoundDone }));
    assert!(fold(&events).downtimes().is_empty());
}

#[test]
fn every_reboot_is_counted_whoever_made_it() {
    let rebooted = OutsideChange::Rebooted { node: node(1), up_s: Some(80), guests: [GuestId::vm(101)].into() };
    let moved = OutsideChange::Moved { guest: GuestId::vm(102), from: node(1), to: node(2) };
    let reboot = Step::Reboot(Reboot { node: node(2), from_boot: "a".into() });
    let mut events = troubled();
    events.push((500, begin(&reboot, 1)));
    events.push((600, end(&reboot)));
    let before = fold(&events);
    assert_eq!((before.reboots(), before.reboots_by_others()), (1, 0));
    for change in [rebooted, moved] {
        events.push((700, Event::ChangedOutside { change }));
    }
    let view = fold(&events);
    assert_eq!((view.reboots(), view.reboots_by_others(), view.outside.len()), (2, 1, 2));
}
