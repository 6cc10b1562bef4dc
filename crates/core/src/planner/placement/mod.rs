//! Where each guest goes, for one order of the nodes.
//!
//! In: an [`Instance`](super::problem::instance::Instance), an order, and a search style. Out: a
//! [`Solution`](super::problem::instance::Solution), node step by node step, or the guest that is stuck. [`board`]
//! holds where every guest is and states each rule of a move once. [`construct`] places guest by guest, with what
//! [`builder`] knows about targets, [`detour`] where other guests must make room, and [`balance`] for the end.
//! [`packing`] instead places all guests at once, and [`construct`] then follows its result as far as the rules allow.

mod balance;
pub(super) mod board;
pub(super) mod builder;
pub(super) mod construct;
mod detour;
pub(super) mod packing;
