//! The corosync watch: how many guests may travel at once, judged by how corosync's heartbeat fares.
//!
//! A migration fills its network. Where corosync has to share it, its token comes late, then packets are sent again, then
//! a member is lost, and with active HA that member resets itself with all its guests. The signs come in that order, and
//! with each look every node is asked for them. At the first one guests travel one at a time; if it goes on, none sets out
//! until a minute has passed without any. What is on its way is not stopped: a move that is broken off begins anew.
//!
//! Where corosync has one link only there may be no sign before it is too late. There the number of travellers grows by
//! one, and only after the last one has been on its way for long enough to be heard.
//!
//! Speed is not limited (`bwlimit`): a guest that writes faster than its migration may send never arrives, and HA, whose
//! watchdog is what a starved heartbeat sets off, takes no limit with its orders to migrate.

mod throttle;
mod signs;
#[cfg(test)]
mod tests;
mod watch;

pub use throttle::Throttle;
pub use signs::{Restraint, Sign, WINDOW_S, restraint};
pub use watch::{HeldBack, WATCH, against};
