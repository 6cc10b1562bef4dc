//! Nothing is left to do: how does the run end?
//!
//! When every node is done the cluster is looked at once more, as a whole. A run whose cluster could not start another
//! one is not called completed without the operator's consent.

use super::action::Action;
use super::before_node::forbids;
use super::context::Context;
use super::seen::{LastLook, Seen};
use crate::checks::Finding;
use crate::run::event::{RunKind, RunOutcome};
use crate::run::pause::Pause;
use crate::run::state::RunState;
use crate::steps::{FinalCheck, StepKind, StepStatus};

/// Orders that may still take effect: no run ends while there are any, because nobody would notice what they do.
pub(super) fn still_open(context: &Context<'_>) -> Vec<String> {
    context.state.unsettled_orders(context.snapshot, context.now).map(|order| order.words().to_string()).collect()
}

pub(super) fn finish(state: &RunState, seen: &Seen) -> Action {
    if state.kind == RunKind::Recovery {
        return Action::Finish(RunOutcome::Recovered);
    }
    // Ending a run that only waits for an answer at its end leaves no node unfinished.
    let all_done = state.plan.as_ref().is_some_and(|plan| plan.steps().all(|(_, step)| state.is_done(&step.id)));
    if state.aborting && !(all_done && state.open_changes.is_empty()) {
        return Action::Finish(RunOutcome::Aborted);
    }
    if state.plan.is_none() {
        // The driver was killed between the run's first events: nothing is planned, which is not the same as done.
        let why = "the run was started, and its driver ended before it had a plan".to_owned();
        return Action::Replan { why, else_start: None };
    }
    match state.open_changes.first() {
        None => completed(state, seen),
        Some(open) => Action::Replan { why: format!("still to undo: {}", open.undo.kind().title()), else_start: None },
    }
}

fn completed(state: &RunState, seen: &Seen) -> Action {
    // An aborted run ends without asking; one that has upgraded nothing has seen all that bears on it in its last step.
    let asks = !state.aborting && state.drain().is_none();
    let Some(last) = state.node_done_last().filter(|_| asks) else {
        return Action::Finish(RunOutcome::Completed);
    };
    match &seen.last_look {
        None => Action::LookAtTheEnd { last: last.clone() },
        Some(look) => seen_at_the_end(look).map_or(Action::Finish(RunOutcome::Completed), Action::Pause),
    }
}

fn seen_at_the_end(look: &LastLook) -> Option<Pause> {
    // PVE's checker takes its time: by then the last step's snapshot is out of date.
    if let StepStatus::Blocked(why) = FinalCheck::default().status(&look.snapshot) {
        return Some(Pause::NotWhole { why });
    }
    let findings: Vec<Finding> = look.findings.iter().filter(|finding| forbids(finding)).cloned().collect();
    (!findings.is_empty()).then_some(Pause::FoundAtTheEnd { findings })
}
