//! Where each guest goes, for one order of the nodes.
//!
//! In: an [`Instance`](super::problem::instance::Instance), an order, and how to look. Out: a
//! [`Solution`](super::problem::instance::Solution), turn by turn, or the item that is stuck. [`board`] holds where
//! everything stands and states each rule of a move once. [`construct`] builds a way item by item, with what [`builder`]
//! knows of targets, [`detour`] where somebody must make room, and [`balance`] for the end. [`packing`] chooses for all
//! items at once instead, which [`construct`] then follows as far as the rules let it.

mod balance;
pub(super) mod board;
pub(super) mod builder;
pub(super) mod construct;
mod detour;
pub(super) mod packing;
