//! A run: what happened so far (events, folded to a state) and what to do next (one decision).

mod between;
mod budget;
mod decide;
mod drain;
mod event;
mod expected;
mod objection;
mod outside;
mod pause;
mod planning;
mod spent;
mod state;
mod unsettled;
mod why_not_done;

pub use between::WhyBetween;
pub use decide::{Action, Asked, Depth, Guard, Hold, LastLook, Look, NewPlan, Seen, Start, decide, votes_lowered};
pub use event::{Event, NotBegun, Request, RunKind, RunOutcome, StepOutcome};
pub use expected::Expected;
pub use objection::Objection;
pub use outside::OutsideChange;
pub use pause::{ByAbort, MissingConsent, Pause, PauseCause, Stuck};
pub use planning::{Planned, Verified, plan_and_verify, replan, review, upgrade_unit};
pub use spent::{Shortfall, Spent};
pub use state::{OpenChange, RunState, StepRecord};
pub use unsettled::{MayStillHappen, Unsettled};
pub use why_not_done::WhyNotDone;
