//! A run: what happened so far (events, folded to a state) and what to do next (one decision).

mod budget;
mod decide;
mod event;
mod objection;
mod pause;
mod planning;
mod spent;
mod state;
mod why_not_done;

pub use decide::{Action, Asked, Depth, Guard, Hold, LastLook, Look, NewPlan, Seen, Start, decide, votes_lowered};
pub use event::{Event, Request, RunKind, RunOutcome, StepOutcome};
pub use objection::Objection;
pub use pause::{ByAbort, MissingConsent, Pause, PauseCause, Stuck};
pub use planning::{Planned, Verified, plan_and_verify, replan, review, upgrade_unit};
pub use spent::{Shortfall, Spent};
pub use state::{OpenChange, RunState, StepRecord};
pub use why_not_done::WhyNotDone;
