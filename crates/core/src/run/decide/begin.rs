//! How a step starts: its command is sent, or it only waits at first, or there is nothing to do.

use super::action::Action;
use super::context::{Context, conclude, more_downtime};
use crate::plan::PlannedStep;
use crate::run::event::StepOutcome;
use crate::run::objection::Objection;
use crate::steps::{Step, StepStatus, Why, what_runs_on};

pub(super) fn begin(context: &Context<'_>, planned: &PlannedStep) -> Action {
    let PlannedStep { id, step, .. } = planned;
    let perform = |attempt| Action::Perform(context.start(id, step, attempt));
    let replan = |why| Action::Replan { why, else_start: Some(context.start(id, step, 0)) };
    if step.is_undo() && !context.is_to_undo(step) {
        // What an administrator set is not ours to clear.
        return conclude(id, step, StepOutcome::FoundDone);
    }
    match step.kind().status(context.snapshot) {
        // It would be undone at the next moment.
        StepStatus::Done if step.is_undo() && !context.may_still_harm(id, step).is_empty() => perform(0),
        StepStatus::Done => {
            let only_waits = step.kind().command(context.snapshot).is_none();
            conclude(id, step, if only_waits { context.done(step) } else { StepOutcome::FoundDone })
        }
        StepStatus::Impossible(why) if context.left_to_the_operator(step) => {
            conclude(id, step, StepOutcome::HandedOver(why))
        }
        StepStatus::Impossible(why) => replan(format!("{}: {why}", step.kind().title())),
        StepStatus::Blocked(why) if came_since(context, step) => replan(Why::line(&why)),
        StepStatus::Blocked(_) | StepStatus::Running(_) => perform(0),
        // This step has sent nothing, so it does not know why the guest is down: an administrator has to start it.
        StepStatus::HalfDone => perform(0),
        StepStatus::Ready => match context.may_send(id, step) {
            Ok(()) => match context.state.step_beyond_budget(id, step, context.snapshot.taken) {
                Some(beyond) => more_downtime(beyond),
                None => perform(1),
            },
            Err(why) if came_since(context, step) => replan(Objection::in_one_line(&why)),
            Err(_) => perform(0),
        },
    }
}

/// Does something run on the node that this step wants empty? It came there after the plan was made, and waiting
/// does not make it leave.
fn came_since(context: &Context<'_>, step: &Step) -> bool {
    let Some(node) = step.node().filter(|_| step.on_node().needs_it_empty()) else { return false };
    !context.state.only_undoes() && what_runs_on(context.snapshot, node).is_ok_and(|left| !left.is_empty())
}
