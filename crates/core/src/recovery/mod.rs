//! Quorum is lost: what happened, what it threatens, and what can be done, in order of risk.
//!
//! Four parts, all pure. A [`Survey`] is what every node tells of itself, asked one by one, because without quorum nobody
//! speaks for the others. [`RunFacts`] is what the journal of the run adds: whom it told to reboot, and when.
//! [`diagnose`] names the cause with its evidence and lists the ways out, least risk first. [`lowering`] judges the last
//! of them: it gives the one step that lowers expected votes, or every reason against it.
//!
//! What is promised: nothing here changes anything, and a reading that is missing never speaks for lowering. What is not:
//! that a node which is silent is off. No reading can tell that from a cut cable; only a person who looks can, and
//! [`words_for`] are the words that he types.

mod confirmation;
mod cause;
mod diagnose;
mod facts;
mod lower;
mod remedies;
mod spans;
mod quorum_views;
#[cfg(test)]
mod tests;
mod words;

pub use confirmation::words_for;
pub use cause::{Cause, CauseKind, Standing};
pub use diagnose::{Diagnosis, Fence, NodeLine, diagnose};
pub use facts::RunFacts;
pub use lower::{NotLowered, lowering};
pub use remedies::{Remedy, RemedyKind};
pub use quorum_views::{AbsenceNotKnown, Heard, HeardWhat, LrmReport, NodeReport, QuorumViews, VotesNotKnown};
