//! What is undone before anything else.

use super::action::Action;
use super::context::{Context, conclude};
use crate::ids::StepId;
use crate::run::event::StepOutcome;
use crate::steps::StepStatus;

/// Lowered votes are set back before anything else, whatever the plan says: as soon as that is possible, or is seen to
/// be done, which corosync does by itself with every node that joins.
pub(super) fn votes(context: &Context<'_>) -> Option<Action> {
    let state = context.state;
    let to_undo = state.open_changes.iter().find(|open| open.undo.expected_votes().is_some())?;
    if state.under_way().any(|(_, record)| record.step == to_undo.undo) {
        return None;
    }
    let (id, step) = (StepId::new(format!("{}.{}", to_undo.opened_by, to_undo.undo.kind().verb())), &to_undo.undo);
    match step.kind().status(context.snapshot) {
        StepStatus::Done => Some(conclude(&id, step, StepOutcome::FoundDone)),
        StepStatus::Ready if state.paused.is_none() && context.order(step).is_ok() => {
            Some(Action::Perform(context.start(&id, step, 1)))
        }
        _ => None,
    }
}
