//! What is reported beside a plan, or instead of one. Pure; nothing here influences a decision.
//!
//! In: a plan and the snapshot that it was made from, or the guest that is stuck where there is none. Out: a [`Report`]
//! (`summary`: how good it is, how full nodes get, which guests move twice; `by_hand`: what a careful administrator
//! would need; `preferences`: what other preferences would cost), or reasons (`no_room`, with `relaxations` that would
//! help and `proofs` that no plan exists).

mod by_hand;
pub(super) mod no_room;
mod preferences;
pub(super) mod proofs;
pub(super) mod relaxations;
mod summary;

pub use by_hand::ByHand;
pub use preferences::{Price, PriceTag};
pub use summary::{Counts, HaMove, Itinerary, Report, Stage, report};
