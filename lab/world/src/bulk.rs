//! Many guests in one task: start, stop, suspend or move all of a node, a few at a time.
//!
//! The task itself only starts others and waits for them. It ends OK when all were tried, whether or not they
//! succeeded: that is how PVE does it, and a trap.

use quorate_core::ids::{GuestId, NodeName, Upid};

/// What is done to each guest.
#[derive(Clone, Debug)]
pub enum BulkKind {
    /// Start those that do not run.
    Start,
    /// Shut down those that run.
    Shutdown {
        /// Seconds that each may take.
        timeout_s: u64,
        /// Stop those that do not end in time?
        force: bool,
    },
    /// Shut down those that run and start them again.
    Reboot {
        /// Seconds that each may take.
        timeout_s: u64,
    },
    /// Move running VMs live, containers by restart, stopped guests offline.
    Migrate {
        /// Target node.
        target: NodeName,
        /// Copy disks that the target does not see?
        with_local_disks: bool,
    },
}

/// A bulk task that is running.
#[derive(Clone, Debug)]
pub struct Bulk {
    pub(crate) upid: Upid,
    pub(crate) user: String,
    pub(crate) kind: BulkKind,
    /// Still to do, the next one last.
    pub(crate) waiting: Vec<GuestId>,
    pub(crate) running: Vec<Upid>,
    pub(crate) workers: usize,
}
