//! How a guest gets from one node to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, GuestKind, NodeName, StorageId};

/// How a guest moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveMode {
    /// A running VM, without a stop.
    Live,
    /// A running VM, without a stop, and its local disks with it.
    LiveWithDisks,
    /// A running container: shut down, moved, started.
    Restart,
    /// A stopped guest.
    Offline,
    /// Through the HA manager, which picks the way: VMs live, containers by restart.
    Ha,
}

/// A move that a step makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move<'a> {
    /// The guest.
    pub guest: GuestId,
    /// Where it is.
    pub from: &'a NodeName,
    /// Where it goes.
    pub to: &'a NodeName,
    /// The kind of migration.
    pub mode: MoveMode,
    /// Storages that are others on the target, as pairs of before and after.
    pub storages: &'a BTreeMap<StorageId, StorageId>,
}

impl Move<'_> {
    /// Does the guest stop on its way and start again by the same command?
    pub fn restarts(&self) -> bool {
        match self.mode {
            MoveMode::Restart => true,
            MoveMode::Ha => self.guest.kind == GuestKind::Ct,
            MoveMode::Live | MoveMode::LiveWithDisks | MoveMode::Offline => false,
        }
    }
}
