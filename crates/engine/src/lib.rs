//! The loop: observe, decide, perform, append. Thin and async; every decision is made in `quorate_core`.
//!
//! [`prepare`] looks and plans without changing anything. [`Driver`] drives a run from the journal: a fresh run and
//! one that was killed take the same path, because the status of each step is asked first.

mod act;
mod away;
mod cluster_lock;
mod cycle;
mod drive;
mod lease;
mod lock_file;
mod look;
mod looked;
mod perform;
mod prepare;
mod refresh;
mod renewing;
mod resting;
#[cfg(feature = "without-rules")]
mod switched_off;
mod tell;
mod telling;
mod wall;
mod watcher;

pub use act::Lowered;
pub use drive::{DriveError, Driver, Ended, WhenPaused};
pub use prepare::{Beginning, Lists, Prepared, look_before_a_run, new_run_id, prepare};
pub use quorate_core::run::upgrade_unit;
pub use refresh::{ListsRead, Refreshed, refresh, stale};
pub use watcher::{Silent, Watcher};
