//! Quorum is lost: what happened, what will follow from it, and what can be done, in order of risk.
//!
//! Four parts, all pure. [`QuorumViews`] are what every node reports about itself, asked one by one, because without
//! quorum no node speaks for the others. [`RunFacts`] is what the journal of the run adds: which node was told to
//! reboot. [`diagnose`] names the cause with its evidence and lists the remedies, least risk first. [`lowering`]
//! decides about the last of them: it gives the one step that lowers expected votes, or every reason against it.
//!
//! What is promised: nothing here changes anything, and a reading that is missing never counts in favour of lowering.
//! What is not: that a node which is silent is off. No reading can tell that from a cut cable; only a person who looks
//! can, and [`words_for`] are the words that they type.

mod cause;
mod confirmation;
mod diagnose;
mod facts;
mod found_set;
mod lower;
mod quorum_views;
mod remedies;
mod spans;
#[cfg(test)]
mod tests;
mod words;

pub use cause::{Cause, CauseKind, Standing};
pub use confirmation::words_for;
pub use diagnose::{Diagnosis, Fence, NodeLine, diagnose};
pub use facts::RunFacts;
pub use found_set::{FoundSet, found_set};
pub use lower::{NotLowered, lowering};
pub use quorum_views::{AbsenceNotKnown, Heard, HeardWhat, LrmReport, NodeReport, QuorumViews, VotesNotKnown};
pub use remedies::{Remedy, RemedyKind};
pub(crate) use spans::span;
