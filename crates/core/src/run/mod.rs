//! A run: what happened so far (events, folded to a state) and what to do next (one decision).

mod budget;
mod decide;
mod event;
mod objection;
mod state;

pub use budget::Spent;
pub use decide::{Action, Guard, Start, decide};
pub use event::{Event, PauseCause, Request, RunOutcome, StepOutcome};
pub use objection::Objection;
pub use state::{Obligation, RunState, StepRecord};
