//! A node that is handed over to its administrator: nothing is done until it is given back, and no process has to wait
//! for that.

use super::action::Action;
use crate::run::event::{Event, StepOutcome};
use crate::run::pause::Pause;
use crate::run::state::RunState;

/// The run pauses as soon as the node is handed over.
pub(super) fn handed_over(state: &RunState) -> Option<Action> {
    let (_, record) = state.handed_over().filter(|_| state.paused.is_none())?;
    let node = record.step.node()?.clone();
    Some(Action::Pause(Pause::Drained { node }))
}

/// The node is given back: from now on it is waited for.
pub(super) fn given_back(state: &RunState) -> Option<Event> {
    let (id, record) = state.handed_over()?;
    Some(Event::StepEnded { id: id.clone(), step: record.step.clone(), outcome: StepOutcome::Done })
}
