//! What is told beside a plan, or instead of one. Pure; nothing of it decides anything.
//!
//! In: a plan and the snapshot that it was made from, or the item that is stuck where there is none. Out: a [`Report`]
//! (`summary`: how good it is, how full nodes get, who moves twice; `by_hand`: what a careful administrator would
//! need; `preferences`: what the same plan would cost otherwise), or reasons (`no_room`, with `relaxations` that
//! would do and `proofs` that nothing does).

mod by_hand;
pub(super) mod no_room;
mod preferences;
pub(super) mod proofs;
pub(super) mod relaxations;
mod summary;

pub use by_hand::ByHand;
pub use preferences::{Price, PriceTag};
pub use summary::{Counts, HaMove, Itinerary, Report, Stage, report};
