//! A run: what happened so far (events, folded to a state) and what to do next (one decision).

mod budget;
mod decide;
mod downtime;
mod event;
mod state;

pub use decide::{Action, Guard, Start, decide};
pub use downtime::Spent;
pub use event::{Event, PauseCause, Request, RunOutcome, StepOutcome};
pub use state::{Obligation, RunState, StepRecord};
