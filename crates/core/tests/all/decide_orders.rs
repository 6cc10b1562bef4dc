//! Orders that may still take effect, and orders whose condition did not hold.

use quorate_core::fixture::Fixture;
use quorate_core::ids::{StepId, UnixMs};
use quorate_core::observed::Observed;
use quorate_core::policy::Policy;
use quorate_core::run::{Action, Event, RunOutcome, RunState, StepOutcome};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{Maintenance, ShutdownGuest, Step, set};

use crate::decide::{allowed, guest, node, plan_of, snapshot, started, stuck, taken_over};

/// A shutdown whose answer was lost, in a run that is aborted: the guest still runs.
#[test]
fn what_undoes_an_order_is_kept_and_no_run_ends_while_the_order_may_still_come() {
    let world = Fixture::cluster(3).vm(101, "pve1", 4).snapshot();
    let (begun, id) = (world.taken, StepId::new("pve1.shutdown-guest.vm:101"));
    let step = Step::from(ShutdownGuest { guest: guest(), node: node() });
    let mut state = RunState::of([(begun, &started(Policy::default())), (begun, &taken_over())]);
    let (command, undo) = (step.kind().command(&world), step.undone_later_by());
    state.apply(begun, &Event::StepStarted { id: id.clone(), step: step.clone(), attempt: 1, command, undo });
    state.apply(begun, &Event::CommandInDoubt { id: id.clone(), why: "no answer".into() });
    state.apply(begun, &Event::AbortBegun { by: "anna".into() });
    let at = |world: &Snapshot, after_s: u64| allowed(&state, world, begun.plus_s(after_s));
    for after_s in [60, 600, 899] {
        let waiting = at(&world, after_s);
        let Action::Wait { on, .. } = &waiting else { panic!("{waiting:?}") };
        assert!(on.iter().any(|line| line.contains("may still happen")), "{on:?}");
    }
    // It comes late after all: that is seen, and the guest is started again.
    let mut late = world.clone();
    step.after(&mut late);
    let Action::Conclude { id, step, outcome } = at(&late, 600) else { panic!("{:?}", at(&late, 600)) };
    assert!(matches!(outcome, StepOutcome::Done), "{outcome:?}");
    let mut stopped = state.clone();
    stopped.apply(begun.plus_s(600), &Event::StepEnded { id, step, outcome });
    let undone = allowed(&stopped, &late, begun.plus_s(600));
    assert!(matches!(&undone, Action::Perform(start) if start.step.kind().verb() == "start-guest"), "{undone:?}");
    // It can come no more: it had no effect, and the run ends.
    let Action::Conclude { id, step, outcome } = at(&world, 901) else { panic!("{:?}", at(&world, 901)) };
    assert!(matches!(outcome, StepOutcome::NoEffect(_)), "{outcome:?}");
    let mut over = state.clone();
    over.apply(begun.plus_s(901), &Event::StepEnded { id, step, outcome });
    assert_eq!(allowed(&over, &world, begun.plus_s(901)), Action::Finish(RunOutcome::Aborted));
    // What is open is also in the way of the end by itself.
    let mut nothing = state.clone();
    nothing.open_changes.clear();
    nothing.steps.clear();
    assert!(matches!(allowed(&nothing, &world, begun.plus_s(600)), Action::Wait { .. }));
    assert_eq!(allowed(&nothing, &world, begun.plus_s(901)), Action::Finish(RunOutcome::Aborted));
}

/// Where the condition cannot be given, nothing is sent; where it did not hold, it is tried again at once, a few times.
#[test]
fn an_order_without_a_condition_is_not_sent_and_a_refused_one_is_decided_anew() {
    let first = plan_of(&[("pve1.enter-maintenance", set(Maintenance { node: node() }))]);
    let state = |driver: Event| {
        let adopted = Event::PlanAdopted { plan: first.clone(), why: "first plan".into() };
        RunState::of([(UnixMs(0), &started(Policy::default())), (UnixMs(0), &driver), (UnixMs(0), &adopted)])
    };
    let attempt = |state: &RunState, world: &Snapshot| match allowed(state, world, UnixMs(0)) {
        Action::Perform(start) => Some((start.attempt, start.command)),
        _ => None,
    };
    let nobody = Event::DriverTookOver { driver: "old".into(), id: None };
    assert_eq!(attempt(&state(nobody), &snapshot()), Some((0, None)));
    let mut blind = snapshot();
    blind.nodes.get_mut(&node()).unwrap().boot = Observed::unknown("boot_id", "refused");
    assert_eq!(attempt(&state(taken_over()), &blind), Some((0, None)));

    let mut run = state(taken_over());
    let (id, step) = (StepId::new("pve1.enter-maintenance"), set(Maintenance { node: node() }));
    let limit = step.kind().limits(&Policy::default().deadlines).attempts;
    for expected in 1..=limit + 2 {
        let Some((attempt, command @ Some(_))) = attempt(&run, &snapshot()) else { panic!("not sent: {expected}") };
        assert_eq!(attempt, expected);
        let undo = step.undone_later_by();
        run.apply(UnixMs(0), &Event::StepStarted { id: id.clone(), step: step.clone(), attempt, command, undo });
        run.apply(UnixMs(0), &Event::CommandNotDone { id: id.clone(), why: "it comes too late".into() });
    }
    assert!(stuck(allowed(&run, &snapshot(), UnixMs(0))).iter().any(|line| line.contains("too late")));
}
