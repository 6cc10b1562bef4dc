//! What a move costs, and how long steps take: one place for every assumed figure.

use crate::policy::Policy;
use crate::steps::Step;

/// What a migration costs besides its bytes: the three to four seconds around it at 10 Gbit/s, put as bytes.
pub const PER_MOVE: u64 = 4 << 30;

/// What a restart of a container costs: so much that no saving of bytes pays for one.
pub const PER_RESTART: u64 = 1 << 44;

/// Seconds around a migration: start on the target, hand-over, clean-up.
const AROUND_A_MIGRATION_S: u64 = 4;

/// HA's manager and the node's agent need a round each before a queued move begins.
pub const HA_ROUNDS_S: u64 = 20;

/// A container is down for this long while it is restarted elsewhere.
pub const RESTART_S: u64 = 10;

/// A reboot, from the order to a shell that answers.
pub const REBOOT_S: u64 = 150;

/// A package upgrade of usual size.
pub const UPGRADE_S: u64 = 180;

/// A guest shuts down.
const SHUTDOWN_S: u64 = 60;

/// A guest is started until it is seen running.
const START_S: u64 = 15;

/// From the order to shut a guest down, over its move with so many bytes of disks, until it runs again: what it takes
/// to stop it, and in all.
pub fn offline_s(bytes: u64, through_ha: bool, policy: &Policy) -> (u64, u64) {
    let rounds_s = if through_ha { HA_ROUNDS_S } else { 0 };
    let stop_s = SHUTDOWN_S + rounds_s;
    (stop_s, stop_s + migration_s(bytes, through_ha, policy) + START_S + rounds_s)
}

/// A guest that is down while its node is upgraded and rebooted; what Ceph and HA add is left out.
pub const DOWN_FOR_A_TURN_S: u64 = SHUTDOWN_S + 5 + UPGRADE_S + REBOOT_S + 60 + START_S;

/// A migration of so many bytes.
pub fn migration_s(bytes: u64, through_ha: bool, policy: &Policy) -> u64 {
    let travel = bytes.div_ceil(policy.migration_bytes_per_s.max(1));
    travel + AROUND_A_MIGRATION_S + if through_ha { HA_ROUNDS_S } else { 0 }
}

/// Expected seconds of every step but a migration, whose bytes decide.
pub fn step_s(step: &Step) -> u64 {
    match step {
        Step::RefreshPackages(_) => 20,
        Step::HoldRebalance(_) | Step::RestoreRebalance(_) => 2,
        Step::HoldFailback(_) | Step::RestoreFailback(_) | Step::EjectMedia(_) | Step::InsertMedia(_) => 2,
        Step::Migrate(_) => AROUND_A_MIGRATION_S,
        Step::ShutdownGuest(_) | Step::StopToMove(_) => SHUTDOWN_S,
        Step::StartGuest(_) | Step::StartMoved(_) => START_S,
        Step::ProveEmpty(_) | Step::SetNoout(_) | Step::UnsetNoout(_) => 5,
        Step::EnterMaintenance(_) | Step::LeaveMaintenance(_) | Step::SettleHa(_) => 30,
        Step::UpgradePackages(_) => UPGRADE_S,
        Step::Reboot(_) => REBOOT_S,
        Step::ProveBack(_) => 60,
        Step::FinalCheck(_) | Step::LowerVotes(_) | Step::RestoreVotes(_) => 10,
    }
}
