//! A pause whose cause is gone ends by itself: what the run waited for has happened, or nothing stands in its way any
//! more. What a person has to decide is never decided here.

use super::action::Action;
use super::before_node::forbids;
use super::seen::Look;
use crate::run::event::StepOutcome;
use crate::run::pause::{Pause, Stuck};
use crate::run::state::{RunState, StepRecord};

/// Is the cause of the pause seen to be gone? The lock is held here, and quorum is there.
pub(super) fn cause_is_gone(state: &RunState, look: &Look) -> Option<Action> {
    let gone = match state.paused.as_ref()? {
        Pause::NoLock { .. } => "the lock in the cluster is held again".to_owned(),
        Pause::StepStuck { step, .. } => {
            let is_done =
                |record: &StepRecord| record.step == *step && record.outcome.as_ref().is_some_and(StepOutcome::is_done);
            state.steps.values().any(is_done).then(|| format!("done by now: {}", step.kind().title()))?
        }
        Pause::FoundBeforeNode { .. } => {
            let found = look.findings.as_ref()?;
            (!found.iter().any(forbids)).then(|| "nothing of what was found is left".to_owned())?
        }
        _ => return None,
    };
    Some(goes_on(&gone))
}

/// Is the run held by nothing but the time that this step took?
pub(super) fn waits_only_for(state: &RunState, record: &StepRecord) -> bool {
    let Some(Pause::StepStuck { step, how, .. }) = &state.paused else { return false };
    matches!(how, Stuck::Deadline { .. }) && record.step == *step
}

/// The run continues without a person.
pub(super) fn goes_on(why: &str) -> Action {
    Action::Resume { by: format!("Quorate itself: {why}") }
}

/// Is the run held by something that only a look at everything shows?
pub(super) fn wants_to_see_everything(state: &RunState) -> bool {
    matches!(state.paused, Some(Pause::FoundBeforeNode { .. }))
}
