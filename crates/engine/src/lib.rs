//! The loop: observe, decide, perform, append. Thin and async; every decision is made in `quorate_core`.
//!
//! [`prepare`] looks and plans without changing anything. [`Driver`] drives a run from the journal: a fresh run and
//! one that was killed take the same path, because each step is asked where it stands.

mod away;
mod cluster_lock;
mod drive;
mod findings;
mod hear;
mod look;
mod perform;
mod prepare;
mod quorum;
mod refresh;
mod replan;
#[cfg(feature = "without-rules")]
mod switched_off;
mod wall;
mod watcher;

pub use drive::{DriveError, Driver, Ended, WhenPaused};
pub use prepare::{Beginning, Lists, Prepared, new_run_id, prepare, upgrade_unit};
pub use quorum::Lowered;
pub use refresh::refresh;
pub use watcher::{Silent, Watcher};
