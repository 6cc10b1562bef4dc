//! What can go wrong, as data, with the moment when it does.

use quorate_core::ids::{GuestId, NodeName, OsdId};
use serde::{Deserialize, Serialize};

pub use super::armed::{Armed, MigrationOutcome};

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Seconds after the world's start; 0 is at once.
    #[serde(default)]
    pub at_s: u64,
    /// What happens.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// The node loses power.
    PowerOff {
        /// Node.
        node: NodeName,
    },
    /// Somebody presses its button.
    PowerOn {
        /// Node.
        node: NodeName,
    },
    /// The next boot takes this long.
    BootSlow {
        /// Node.
        node: NodeName,
        /// Seconds from power-on to SSH.
        seconds: u64,
    },
    /// The next boot brings up the kernel that runs now.
    BootOldKernel {
        /// Node.
        node: NodeName,
    },
    /// The next boot does not come up.
    BootNever {
        /// Node.
        node: NodeName,
    },
    /// The next moves of a guest (or of any guest) fail.
    MigrationFail {
        /// Guest; none means any.
        guest: Option<GuestId>,
        /// At this share of the memory phase.
        percent: u8,
        /// How often.
        times: u32,
    },
    /// The next move of a guest makes no progress.
    MigrationHang {
        /// Guest; none means any.
        guest: Option<GuestId>,
        /// How often.
        times: u32,
    },
    /// The next move reports failure although the guest has moved.
    MigrationLies {
        /// Guest; none means any.
        guest: Option<GuestId>,
    },
    /// `apt update` fails on a node.
    AptUpdateFail {
        /// Node.
        node: NodeName,
        /// How often.
        times: u32,
    },
    /// dist-upgrade fails on a node at a package, which stays half configured.
    AptFail {
        /// Node.
        node: NodeName,
        /// Package.
        package: String,
        /// How often.
        times: u32,
    },
    /// `/` is full: dist-upgrade fails at once. No bytes free until somebody makes room.
    DiskFull {
        /// Node.
        node: NodeName,
        /// Bytes that are left.
        free_bytes: u64,
    },
    /// sshd of a node does not answer.
    SshDown {
        /// Node.
        node: NodeName,
        /// For so long.
        seconds: u64,
    },
    /// The quorum device stops or begins to answer.
    Qdevice {
        /// Does it answer?
        alive: bool,
    },
    /// Somebody holds dpkg's lock.
    AptLocked {
        /// Node.
        node: NodeName,
        /// For so long.
        seconds: u64,
    },
    /// pmxcfs of a node loses corosync: `/etc/pve` is read-only there, although the node has its vote and quorum.
    EtcPveReadOnly {
        /// Node.
        node: NodeName,
    },
    /// A corosync link of a node goes down.
    LinkDown {
        /// Node.
        node: NodeName,
        /// Link number.
        link: usize,
    },
    /// A link comes back.
    LinkUp {
        /// Node.
        node: NodeName,
        /// Link number.
        link: usize,
    },
    /// A link goes down and comes back, again and again.
    LinkFlaps {
        /// Node.
        node: NodeName,
        /// Link number.
        link: usize,
        /// How often.
        times: u32,
        /// Seconds from one loss to the next; it is down for half of that.
        every_s: u64,
    },
    /// The next boot finds the network cards under other names: all links stay down, nobody gets in.
    BootRenamesNics {
        /// Node.
        node: NodeName,
    },
    /// The next upgrade of a package asks what to do with a changed configuration file.
    AptAsks {
        /// Node.
        node: NodeName,
        /// Package.
        package: String,
    },
    /// A node's enterprise repository is switched on and has no valid subscription.
    NoSubscription {
        /// Node.
        node: NodeName,
    },
    /// The next runs of a guest's replication fail.
    ReplicationFail {
        /// Guest.
        guest: GuestId,
        /// How often.
        times: u32,
    },
    /// An OSD does not start at the next boot of its node.
    OsdStaysDown {
        /// OSD.
        osd: OsdId,
    },
    /// An OSD fails now, and does not start again by itself.
    OsdFails {
        /// OSD.
        osd: OsdId,
    },
    /// An administrator puts a node into maintenance mode, or takes it out.
    AdminMaintenance {
        /// Node.
        node: NodeName,
        /// Into it.
        on: bool,
    },
    /// An administrator starts a guest.
    AdminStarts {
        /// Guest.
        guest: GuestId,
    },
    /// An administrator stops a guest.
    AdminStops {
        /// Guest.
        guest: GuestId,
    },
    /// An administrator migrates a guest.
    AdminMoves {
        /// Guest.
        guest: GuestId,
        /// Target.
        target: NodeName,
    },
    /// Somebody sets or clears noout.
    AdminNoout {
        /// Set or clear.
        set: bool,
    },
    /// Every API call on the node fails with this text; none heals it.
    ApiError {
        /// Node.
        node: NodeName,
        /// Text.
        text: Option<String>,
    },
    /// The node's clock is off.
    ClockSkew {
        /// Node.
        node: NodeName,
        /// Milliseconds.
        skew_ms: i64,
    },
}
