//! What can go wrong, as data, with the moment when it does.

use quorate_core::ids::{GuestId, NodeName, OsdId};
use serde::{Deserialize, Serialize};

pub use super::armed::{Armed, MigrationOutcome};

/// A fault and when it happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Seconds after the world's start; 0 is at once.
    #[serde(default)]
    pub at_s: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// The node loses power.
    PowerOff {
        /// The node concerned.
        node: NodeName,
    },
    /// Someone presses the node's power button.
    PowerOn {
        /// The node concerned.
        node: NodeName,
    },
    /// The next boot takes this long.
    BootSlow {
        /// The node concerned.
        node: NodeName,
        /// Seconds from power-on to SSH.
        seconds: u64,
    },
    /// The next boot brings up the kernel that runs now.
    BootOldKernel {
        /// The node concerned.
        node: NodeName,
    },
    /// The next boot does not come up.
    BootNever {
        /// The node concerned.
        node: NodeName,
    },
    /// The next moves of a guest (or of any guest) fail.
    MigrationFail {
        /// The guest; none means any.
        guest: Option<GuestId>,
        /// At this share of the memory phase.
        percent: u8,
        /// How many times.
        times: u32,
    },
    /// The next move of a guest makes no progress.
    MigrationHang {
        /// The guest; none means any.
        guest: Option<GuestId>,
        /// How many times.
        times: u32,
    },
    /// The next move reports failure although the guest has moved.
    MigrationLies {
        /// The guest; none means any.
        guest: Option<GuestId>,
    },
    /// `apt update` fails on a node.
    AptUpdateFail {
        /// The node concerned.
        node: NodeName,
        /// How many times.
        times: u32,
    },
    /// dist-upgrade fails on a node at a package, which stays half configured.
    AptFail {
        /// The node concerned.
        node: NodeName,
        /// Name of the package.
        package: String,
        /// How many times.
        times: u32,
    },
    /// `/` is full: dist-upgrade fails at once. No bytes are free until someone makes room.
    DiskFull {
        /// The node concerned.
        node: NodeName,
        /// Bytes that are left.
        free_bytes: u64,
    },
    /// sshd of a node does not answer.
    SshDown {
        /// The node concerned.
        node: NodeName,
        /// Seconds that it lasts.
        seconds: u64,
    },
    /// The quorum device stops or starts to answer.
    Qdevice {
        /// Does it answer?
        alive: bool,
    },
    /// Another process holds dpkg's lock.
    AptLocked {
        /// The node concerned.
        node: NodeName,
        /// Seconds that it lasts.
        seconds: u64,
    },
    /// pmxcfs of a node loses corosync: `/etc/pve` is read-only there, although the node has its vote and quorum.
    EtcPveReadOnly {
        /// The node concerned.
        node: NodeName,
    },
    /// A corosync link of a node goes down.
    LinkDown {
        /// The node concerned.
        node: NodeName,
        /// Link number.
        link: usize,
    },
    /// A link comes back.
    LinkUp {
        /// The node concerned.
        node: NodeName,
        /// Link number.
        link: usize,
    },
    /// A link goes down and comes back, again and again.
    LinkFlaps {
        /// The node concerned.
        node: NodeName,
        /// Link number.
        link: usize,
        /// How many times.
        times: u32,
        /// Seconds from one loss to the next; it is down for half of that.
        every_s: u64,
    },
    /// The next boot finds the network cards under other names: all links stay down, and no login is possible.
    BootRenamesNics {
        /// The node concerned.
        node: NodeName,
    },
    /// The next upgrade of a package asks what to do with a changed configuration file.
    AptAsks {
        /// The node concerned.
        node: NodeName,
        /// Name of the package.
        package: String,
    },
    /// A node's enterprise repository is switched on and has no valid subscription.
    NoSubscription {
        /// The node concerned.
        node: NodeName,
    },
    /// The next runs of a guest's replication fail.
    ReplicationFail {
        /// The guest concerned.
        guest: GuestId,
        /// How many times.
        times: u32,
    },
    /// An OSD does not start at the next boot of its node.
    OsdStaysDown {
        /// Number of the OSD.
        osd: OsdId,
    },
    /// An OSD fails now, and does not start again by itself.
    OsdFails {
        /// Number of the OSD.
        osd: OsdId,
    },
    /// An administrator puts a node into maintenance mode, or takes it out.
    AdminMaintenance {
        /// The node concerned.
        node: NodeName,
        /// True puts it into maintenance, false takes it out.
        on: bool,
    },
    /// An administrator starts a guest.
    AdminStarts {
        /// The guest concerned.
        guest: GuestId,
    },
    /// An administrator stops a guest.
    AdminStops {
        /// The guest concerned.
        guest: GuestId,
    },
    /// An administrator migrates a guest.
    AdminMoves {
        /// The guest concerned.
        guest: GuestId,
        /// Target node.
        target: NodeName,
    },
    /// An administrator sets or clears noout.
    AdminNoout {
        /// Set or clear.
        set: bool,
    },
    /// An administrator reboots a node.
    AdminReboots {
        /// The node concerned.
        node: NodeName,
    },
    /// An administrator upgrades the packages of a node.
    AdminUpgrades {
        /// The node concerned.
        node: NodeName,
    },
    /// A guest is backed up: its configuration is locked meanwhile.
    Backup {
        /// The guest concerned.
        guest: GuestId,
        /// How long it takes.
        seconds: u64,
    },
    /// Someone creates a VM on a node and starts it.
    NewGuest {
        /// The node concerned.
        node: NodeName,
        /// Its memory.
        memory_mib: u64,
    },
    /// The next shutdown or reboot of a node waits for a unit that does not stop. The API is gone by then.
    ShutdownHangs {
        /// The node concerned.
        node: NodeName,
        /// How long.
        seconds: u64,
    },
    /// The next upgrade of a package never ends: its maintainer script hangs.
    PostinstHangs {
        /// The node concerned.
        node: NodeName,
        /// Name of the package.
        package: String,
    },
    /// The download of the next upgrades breaks off; nothing is unpacked.
    MirrorLost {
        /// The node concerned.
        node: NodeName,
        /// How many times.
        times: u32,
    },
    /// The mirror of a node does not answer `apt-get update`, which then warns, keeps the lists that it has, and ends
    /// with status 0.
    MirrorStale {
        /// The node concerned.
        node: NodeName,
        /// How many times.
        times: u32,
    },
    /// pmxcfs of a node is restarted: `/etc/pve` is an empty directory for some seconds.
    PmxcfsRestarts {
        /// The node concerned.
        node: NodeName,
        /// How long.
        seconds: u64,
    },
    /// A storage does not answer on a node, until the fault is injected with false: what runs there and uses it stands
    /// still.
    StorageGone {
        /// The node concerned.
        node: NodeName,
        /// The storage.
        storage: String,
        /// Is it gone?
        gone: bool,
    },
    /// pvestatd of a node hangs: what the cluster's lists say about it becomes old, and then unknown.
    PvestatdHangs {
        /// The node concerned.
        node: NodeName,
        /// How long.
        seconds: u64,
    },
    /// An OSD fills up: from 85 % on it is nearly full, from 90 % on nothing is moved to it. 0 is as before.
    OsdFills {
        /// Number of the OSD.
        osd: OsdId,
        /// How full it is.
        percent: u8,
    },
    /// The monitors are slow: they report slow operations, and a question about them runs into its timeout.
    MonsSlow {
        /// How long.
        seconds: u64,
    },
    /// Every API call on the node fails with this text, until the fault is injected with none.
    ApiError {
        /// The node concerned.
        node: NodeName,
        /// The error text; none ends the fault.
        text: Option<String>,
    },
    /// The node's clock is off.
    ClockSkew {
        /// The node concerned.
        node: NodeName,
        /// Clock error in milliseconds.
        skew_ms: i64,
    },
}
