//! Many guests in one task: start, stop, suspend or move all of a node, a few at a time.
//!
//! The task itself only starts others and waits for them. It ends OK when all were tried, however each of them fared:
//! that is PVE's way, and a trap.

use quorate_core::ids::{GuestId, NodeName, Upid};

/// What is done to each guest.
#[derive(Clone, Debug)]
pub enum BulkKind {
    /// Those that do not run are started.
    Start,
    /// Those that run are shut down.
    Shutdown {
        /// How long each may take.
        timeout_s: u64,
        /// Stop those that do not end in time?
        force: bool,
    },
    /// Those that run are shut down and started again.
    Reboot {
        /// How long each may take.
        timeout_s: u64,
    },
    /// Running ones live, containers by restart, stopped ones as they are.
    Migrate {
        /// Where to.
        target: NodeName,
        /// Copy disks that the target does not see?
        with_local_disks: bool,
    },
}

/// A bulk task under way.
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
