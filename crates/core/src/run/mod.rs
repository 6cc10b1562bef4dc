//! A run: what happened so far (events, folded to a state) and what to do next (one decision).

mod event;
mod state;

pub use event::{Event, PauseCause, Request, RunOutcome, StepOutcome};
pub use state::{Obligation, RunState, StepRecord};
