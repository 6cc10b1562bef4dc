//! What every question about a step needs, and what is answered in the same way for steps that start and for those
//! under way.

use super::action::{Action, Start};
use crate::command::Command;
use crate::fence::{self, Unfenced};
use crate::ids::{StepId, UnixMs};
use crate::run::event::StepOutcome;
use crate::run::objection::Objection;
use crate::run::pause::Pause;
use crate::run::spent::Shortfall;
use crate::run::state::RunState;
use crate::snapshot::Snapshot;
use crate::steps::{IfImpossible, Step, Undo};

/// May this step be started now, with those others under way? Everything against it.
pub type Guard<'a> = dyn Fn(&Step, &[&Step], &Snapshot) -> Result<(), Vec<Objection>> + 'a;

/// What a decision about steps is made from.
pub(super) struct Context<'a> {
    pub(super) state: &'a RunState,
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: UnixMs,
    pub(super) guard: &'a Guard<'a>,
}

impl Context<'_> {
    /// The n-th attempt of a step; 0 only waits.
    pub(super) fn start(&self, id: &StepId, step: &Step, attempt: u32) -> Start {
        let sends = attempt > 0;
        Start {
            id: id.clone(),
            step: step.clone(),
            attempt,
            command: if sends { self.order(step).ok().flatten() } else { None },
            undo: if sends { from_now_on(step.kind().undo()) } else { None },
        }
    }

    /// How a step ends that is done.
    pub(super) fn done(&self, step: &Step) -> StepOutcome {
        match step.not_waited_for(self.snapshot) {
            nothing if nothing.is_empty() => StepOutcome::Done,
            aside => StepOutcome::DoneWithout(aside),
        }
    }

    /// What is really sent for a step: its command with a condition.
    pub(super) fn order(&self, step: &Step) -> Result<Option<Command>, Unfenced> {
        let plain = step.kind().command(self.snapshot);
        plain.map(|plain| fence::order(step, plain, self.snapshot, self.now, self.state.driver.as_ref())).transpose()
    }

    pub(super) fn may_send(&self, id: &StepId, step: &Step) -> Result<(), Vec<Objection>> {
        let others: Vec<&Step> =
            self.state.under_way().filter(|(other, _)| *other != id).map(|(_, record)| &record.step).collect();
        let mut against = (self.guard)(step, &others, self.snapshot).err().unwrap_or_default();
        against.extend(self.may_still_harm(id, step));
        against.extend(self.order(step).err().map(Objection::from));
        if against.is_empty() { Ok(()) } else { Err(against) }
    }

    /// Orders that may still take effect, and would harm what this step does.
    pub(super) fn may_still_harm(&self, id: &StepId, step: &Step) -> Vec<Objection> {
        let open = self.state.unsettled_orders(self.snapshot, self.now);
        open.filter(|order| order.id != *id && order.harms(step)).map(|order| order.words().into()).collect()
    }

    /// Orders of this very step that may still take effect.
    pub(super) fn may_still_happen(&self, id: &StepId) -> Vec<Objection> {
        let open = self.state.unsettled_orders(self.snapshot, self.now);
        open.filter(|order| order.id == *id).map(|order| order.words().into()).collect()
    }

    pub(super) fn is_to_undo(&self, step: &Step) -> bool {
        self.state.open_changes.iter().any(|open| open.undo == *step)
    }

    /// An undo that is not possible. Nothing that a run still does once it only undoes would make it possible, and no
    /// new plan brings an image to where the guest is.
    pub(super) fn left_to_the_operator(&self, step: &Step) -> bool {
        self.is_to_undo(step)
            && (self.state.only_undoes() || step.kind().profile().if_impossible == IfImpossible::HandOver)
    }
}

/// What is to be undone once its command is sent.
fn from_now_on(undo: Undo) -> Option<Step> {
    match undo {
        Undo::Later(step) | Undo::UnlessDone(step) => Some(step),
        Undo::Nothing | Undo::ThisIsOne => None,
    }
}

pub(super) fn conclude(id: &StepId, step: &Step, outcome: StepOutcome) -> Action {
    Action::Conclude { id: id.clone(), step: step.clone(), outcome }
}

/// A guest is not stopped for longer than was agreed to without asking.
pub(super) fn more_downtime(beyond: Shortfall) -> Action {
    Action::Pause(Pause::MoreDowntime { beyond })
}
