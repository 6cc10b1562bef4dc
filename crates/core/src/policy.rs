//! What the operator allows and wants. Comes from the configuration file; the planner reads nothing else of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName};

/// The operator's wishes for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Nodes to take first, in this order.
    pub first: Vec<NodeName>,
    /// Nodes to take last, in this order. The node that Quorate itself depends on belongs here.
    pub last: Vec<NodeName>,
    /// Part of a node's memory that stays free of guests, in percent of the total.
    pub headroom_percent: u8,
    /// Migrations at the same time.
    pub parallel_migrations: u8,
    /// What happens to stopped guests of a node.
    pub stopped_guests: StoppedGuests,
    /// When a node is rebooted.
    pub reboot: RebootWhen,
    /// What is done with guests that cannot move, by guest.
    pub guests: BTreeMap<GuestId, GuestPolicy>,
    /// What the operator has agreed to beforehand.
    pub consents: BTreeSet<ConsentKind>,
    /// Upper limits of waiting, in seconds.
    pub deadlines: Deadlines,
    /// Assumed speed of a migration, in bytes per second, for forecasts of time.
    pub migration_bytes_per_s: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            last: Vec::new(),
            headroom_percent: 5,
            parallel_migrations: 2,
            stopped_guests: StoppedGuests::Leave,
            reboot: RebootWhen::Needed,
            guests: BTreeMap::new(),
            consents: BTreeSet::new(),
            deadlines: Deadlines::default(),
            migration_bytes_per_s: 500 * 1024 * 1024,
        }
    }
}

/// What happens to stopped guests of a node that is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoppedGuests {
    /// They stay where they are.
    Leave,
    /// They are moved too (offline), where they can be.
    Move,
}

/// When a node is rebooted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RebootWhen {
    /// If the kernel that would boot is not the one that runs.
    Needed,
    /// Always.
    Always,
}

/// What is done with a guest that cannot be migrated while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestPolicy {
    /// Shut down for the reboot of its node only, and started again there.
    Shutdown,
    /// The CD image is ejected, then the guest is migrated.
    Eject,
    /// Not touched: the run is refused while it is in the way.
    Refuse,
}

/// A kind of cost that needs the operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentKind {
    /// Containers are restarted when they move: seconds of downtime each.
    RestartContainers,
    /// Guests with [`GuestPolicy::Shutdown`] are down while their node is upgraded.
    ShutdownGuests,
    /// CD images are ejected and not put back.
    EjectMedia,
}

/// Upper limits of waiting, in seconds. When one has passed, the run pauses with a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Deadlines {
    /// One guest's move.
    pub migration_s: u64,
    /// The package upgrade of one node.
    pub upgrade_s: u64,
    /// From the order to reboot until the node's shell answers again.
    pub boot_s: u64,
    /// From there until quorum, links, services and storages are back.
    pub rejoin_s: u64,
    /// Until Ceph is clean again.
    pub ceph_clean_s: u64,
    /// Until HA has settled.
    pub ha_s: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { migration_s: 3600, upgrade_s: 3600, boot_s: 1200, rejoin_s: 600, ceph_clean_s: 3600, ha_s: 600 }
    }
}
