//! Moving guests: live, by restart, offline.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, Upid};

use super::{World, WorldError};

/// What a caller asks for with `POST .../migrate`.
#[derive(Clone, Debug)]
pub struct MigrateRequest {
    /// Target node.
    pub target: String,
    /// `online=1` (VM).
    pub online: bool,
    /// `restart=1` (CT).
    pub restart: bool,
    /// `with-local-disks=1`.
    pub with_local_disks: bool,
    /// User or token.
    pub user: String,
}

/// How a guest moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// VM, running.
    Live,
    /// CT: shut down, move, start.
    Restart,
    /// Not running.
    Offline,
}

/// Phases of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Checks, and starting QEMU on the target.
    Prepare,
    /// The container shuts down.
    Shutdown,
    /// Local disks are copied.
    Disks,
    /// Memory is copied.
    Memory,
    /// Config has moved; cleaning up, or starting the container.
    Cleanup,
}

/// A move under way, by its task.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its task.
    pub upid: Upid,
    /// Guest.
    pub guest: GuestId,
    /// From.
    pub source: NodeName,
    /// To.
    pub target: NodeName,
    /// How.
    pub mode: Mode,
    /// Phase.
    pub phase: Phase,
    /// When the task began.
    pub started_ms: u64,
    /// When the present phase began.
    pub phase_started_ms: u64,
    /// Bytes to send in this phase.
    pub phase_total_bytes: u64,
    /// Bytes still to send at `counted_ms`.
    pub phase_left_bytes: u64,
    /// When `phase_left_bytes` was last counted.
    pub counted_ms: u64,
    /// Present rate.
    pub bytes_per_s: u64,
    /// Bytes of local disks to copy.
    pub disk_bytes: u64,
    /// Allowed to copy local disks?
    pub with_local_disks: bool,
    /// Ordered by the LRM (force, root@pam)?
    pub by_ha: bool,
    /// Invalidates events of an older rate.
    pub generation: u64,
}

/// Running moves.
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    /// By guest: one at a time each.
    pub running: BTreeMap<GuestId, Migration>,
    /// Blackout of each completed live move, milliseconds, newest last.
    pub blackouts_ms: Vec<(GuestId, u64)>,
}

/// What `GET .../migrate` says, in the world's own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// Is it running?
    pub running: bool,
    /// Other nodes where nothing is in the way.
    pub allowed: Vec<NodeName>,
    /// Nodes with reasons.
    pub refused: BTreeMap<NodeName, Refusal>,
    /// Drives on local storage, by index into the guest's disks.
    pub local_disks: Vec<super::guest::Disk>,
    /// `hostpci0`, `usb1`, ...
    pub local_resources: Vec<String>,
    /// HA resources that would go along.
    pub dependent_ha: Vec<GuestId>,
}

/// Why a node does not do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Storages it does not have.
    pub unavailable_storages: Vec<String>,
    /// HA resources in the way and the cause.
    pub blocking_ha: Vec<(GuestId, String)>,
}

impl World {
    /// `GET .../migrate`.
    pub fn migrate_precondition(&self, node: &NodeName, id: GuestId) -> Result<Precondition, WorldError> {
        let _ = (node, id);
        Err(WorldError::die("not yet"))
    }

    /// `POST .../migrate`: `qmigrate`/`vzmigrate`, or `hamigrate` for an HA resource.
    pub fn migrate(&mut self, node: &NodeName, id: GuestId, request: MigrateRequest) -> Result<Upid, WorldError> {
        let _ = (node, id, request);
        Err(WorldError::die("not yet"))
    }
}
