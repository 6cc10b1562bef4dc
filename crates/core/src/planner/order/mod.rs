//! In which order the nodes are upgraded.
//!
//! In: an [`Instance`](super::problem::instance::Instance) and how long to search. Out: the cheapest
//! [`Solution`](super::problem::instance::Solution) that was found, or the guest that was stuck in the attempt that got
//! furthest. `descent` finds orders that force few moves; [`search`] places the guests for one order after the other.

pub(super) mod descent;
pub mod search;
