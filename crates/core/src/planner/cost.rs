//! What a move costs, and how long guests are down for it. How long a step takes is defined with the step.

use crate::policy::Policy;
use crate::steps::{Migrate, Reboot, ShutdownGuest, StartGuest, UpgradePackages};

/// What a migration costs besides its bytes: the three to four seconds around it at 10 Gbit/s, as bytes.
pub const PER_MOVE: u64 = 4 << 30;

/// What a restart of a container costs: so much that no saving of bytes pays for one.
pub const PER_RESTART: u64 = 1 << 44;

/// HA's manager and the node's agent need a round each before a queued move begins: 35 s in all on a PVE 9.1 cluster.
pub const HA_ROUNDS_S: u64 = 15;

/// A container is down for this long while it is restarted elsewhere.
pub const RESTART_S: u64 = 10;

/// From the command that shuts a guest down, through the move of this many bytes of disks, until it runs again: the
/// seconds until it is stopped, and the total.
pub fn offline_s(bytes: u64, through_ha: bool, policy: &Policy) -> (u64, u64) {
    let rounds_s = if through_ha { HA_ROUNDS_S } else { 0 };
    let stop_s = ShutdownGuest::ESTIMATE_S + rounds_s;
    (stop_s, stop_s + migration_s(bytes, through_ha, policy) + StartGuest::ESTIMATE_S + rounds_s)
}

/// How long a guest is down while its node is upgraded and rebooted, without what Ceph and HA add.
pub const DOWN_FOR_A_TURN_S: u64 =
    ShutdownGuest::ESTIMATE_S + 5 + UpgradePackages::ESTIMATE_S + Reboot::ESTIMATE_S + 60 + StartGuest::ESTIMATE_S;

/// How long a migration of this many bytes takes.
pub fn migration_s(bytes: u64, through_ha: bool, policy: &Policy) -> u64 {
    let mode = bytes.div_ceil(policy.migration_bytes_per_s.max(1));
    mode + Migrate::ESTIMATE_S + if through_ha { HA_ROUNDS_S } else { 0 }
}
