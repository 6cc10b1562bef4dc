//! The migration throttle: how many guests may migrate at once, depending on how corosync's heartbeat is doing.
//!
//! A migration fills its network. Where corosync has to share it, its token comes late, then packets are sent again,
//! then a member is lost, and with active HA that member resets itself with all its guests. The signs come in that
//! order, and with each look every node is asked for them. At the first one guests migrate one at a time; if it
//! continues, none starts until a minute has passed without any. A move under way is not stopped: one that is aborted
//! starts all over again.
//!
//! Where corosync has one link only there may be no sign before it is too late. There the number of migrations grows by
//! one, and only after the last one has run for long enough to show its effect.
//!
//! Speed is not limited (`bwlimit`): a guest that writes faster than its migration may send never arrives; and HA,
//! whose watchdog is what a starved heartbeat triggers, accepts no limit with its migrate commands.

mod held_back;
mod signs;
#[cfg(test)]
mod tests;
mod throttle;
mod watch;

pub use held_back::{HeldBack, WATCH};
pub use signs::{Restraint, Sign, WINDOW_S, restraint};
pub use throttle::Throttle;
pub use watch::against;
