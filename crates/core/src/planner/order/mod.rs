//! Which node when.
//!
//! In: an [`Instance`](super::problem::instance::Instance) and how long to look. Out: the cheapest
//! [`Solution`](super::problem::instance::Solution) that was found, or the item that was stuck in the attempt that came
//! furthest. `descent` keeps what an order forces low; [`search`] has a way built for one order after the other.

pub(super) mod descent;
pub mod search;
