//! What was seen of a cluster at one moment: the only input of every decision.
//!
//! A snapshot is data: it can be written to a file (`quorate export`) and read back without a cluster. Whatever could
//! not be read is in it as [`Observed::Unknown`] with its reason; [`Snapshot::gaps`] lists all of them.

mod boot;
mod ceph;
mod checker;
mod disks;
mod driver_lock;
mod gaps;
mod guest;
mod ha;
mod host;
mod jobs;
mod network;
mod node;
mod outdated;
mod quorum;
mod storage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use boot::{Boot, BootPartition, KeptBoot};
pub use ceph::{Ceph, CephDaemon, CephHealthCheck, DaemonKind, HealthLevel, Osd, PgState, Pool, SafeToStop};
pub use checker::{CheckerLevel, CheckerLine, CheckerReport};
pub use disks::{Disk, DiskPath, Disks, MdArray, ZfsPool};
pub use driver_lock::{DriverLock, JournalHead, LOCK_TTL_S, OlderJournal};
pub use gaps::Gap;
pub use guest::{
    CpuFlags, DiskUse, Guest, GuestStatus, HostFile, HostNeed, LocalDisk, LocalResource, Lock, MigrationFacts,
    SUSPENDED, TargetRefusal,
};
pub use ha::{
    AffinityRule, ArmedState, Ha, HaNodeState, HaRequest, HaService, HaServiceState, LrmMode, LrmStatus, NodeAffinity,
    ResourceAffinity,
};
pub use host::{CorosyncComplaints, HostFacts, Nics};
pub use jobs::{BackupJob, Job, JobKind, ReplicationJob};
pub use network::{Address, Login, Network, NodeNetwork, Way};
pub use node::{
    Cpu, GoingDown, Kernel, LocalGuest, Memory, Node, OtherCertificate, Packages, PendingPackage, Repository, Service,
    StorageOnNode, SubscriptionStatus, UnitOutcome, UnitState, UpgradeUnit,
};
pub use outdated::{LISTS_TRUSTED_S, Outdated};
pub use quorum::{EtcPve, Link, Member, Qdevice, QuorumView};
pub use storage::Storage;

use crate::ids::{GuestId, NodeName, StorageId, UnixMs};
use crate::observed::Observed;

/// The format of an exported snapshot; another number is refused with both numbers named.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// A cluster at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_FORMAT`] when it was taken.
    pub format: u32,
    /// When the look began.
    pub taken: UnixMs,
    /// The cluster's name from corosync.conf.
    pub cluster_name: Observed<String>,
    /// Every node of the cluster's configuration, present or not.
    pub nodes: BTreeMap<NodeName, Node>,
    /// Every guest that our token may see, templates included.
    pub guests: BTreeMap<GuestId, Guest>,
    /// Guests whose configuration is left below a node that is no member of the cluster, with that node: after
    /// `pvecm delnode`. They run nowhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orphans: BTreeMap<GuestId, NodeName>,
    /// Does our token see all guests? Known(false) or Unknown means that the list above may be incomplete.
    pub sees_all_guests: Observed<bool>,
    /// Privileges that our token lacks for a run, as `path privilege`; a run needs it to be empty.
    pub missing_privileges: Observed<Vec<String>>,
    /// The same for what only a map of storages and hibernating guests need: to allocate volumes.
    #[serde(default = "unread")]
    pub missing_for_volumes: Observed<Vec<String>>,
    /// Each node's own view of votes, members and links (by shell, so that it works without quorum).
    pub quorum: BTreeMap<NodeName, Observed<QuorumView>>,
    /// May `/etc/pve` be written there, as each node itself says? Snapshots of older versions do not have it.
    #[serde(default)]
    pub etc_pve: BTreeMap<NodeName, Observed<EtcPve>>,
    /// What corosync on each node complained about in the last [`crate::migration_throttle::WINDOW_S`] seconds.
    #[serde(default)]
    pub migration_throttle: BTreeMap<NodeName, Observed<CorosyncComplaints>>,
    /// Votes that each node has in corosync.conf.
    pub configured_votes: Observed<BTreeMap<NodeName, u32>>,
    /// Storages of the cluster's configuration.
    pub storages: Observed<BTreeMap<StorageId, Storage>>,
    /// The HA manager's state, resources and rules.
    pub ha: Observed<Ha>,
    /// Hyper-converged Ceph; `Known(None)` where there is none.
    pub ceph: Observed<Option<Ceph>>,
    /// PVE tasks that are running now, on any node.
    pub jobs: Observed<Vec<Job>>,
    /// Scheduled backups.
    pub backups: Observed<Vec<BackupJob>>,
    /// Storage replication with its state.
    pub replication: Observed<Vec<ReplicationJob>>,
    /// Options of the datacenter that matter to a run.
    pub options: Observed<Options>,
    /// Who else holds, or held, the driver's lock of this cluster; `None` if there is no lock.
    pub driver: Observed<Option<DriverLock>>,
}

/// What snapshots of older versions do not have.
fn unread<T>() -> Observed<T> {
    Observed::unknown("this snapshot", "made by a version that did not read it")
}

/// Options of `/cluster/options` that matter to a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The network that migrations use, as `10.0.1.0/24`; none means that of the node's own address.
    pub migration_network: Option<String>,
    /// `freeze`, `failover`, `conditional` or `migrate`; none means `conditional`.
    pub ha_shutdown_policy: Option<String>,
    /// Parallel HA jobs per node; PVE's default is 4.
    pub max_workers: Option<u32>,
    /// PVE 9.2 moves guests by itself when this is on.
    pub ha_auto_rebalance: bool,
    /// All settings of the cluster's resource scheduler (`crs`), unchanged.
    #[serde(default)]
    pub crs: BTreeMap<String, String>,
}

impl Snapshot {
    /// An empty snapshot in which everything is unknown.
    pub fn empty(taken: UnixMs) -> Self {
        fn unseen<T>() -> Observed<T> {
            Observed::unknown("nothing", "not looked at yet")
        }
        Self {
            format: SNAPSHOT_FORMAT,
            taken,
            cluster_name: unseen(),
            nodes: BTreeMap::new(),
            guests: BTreeMap::new(),
            orphans: BTreeMap::new(),
            sees_all_guests: unseen(),
            missing_privileges: unseen(),
            missing_for_volumes: unseen(),
            quorum: BTreeMap::new(),
            etc_pve: BTreeMap::new(),
            migration_throttle: BTreeMap::new(),
            configured_votes: unseen(),
            storages: unseen(),
            ha: unseen(),
            ceph: unseen(),
            jobs: unseen(),
            backups: unseen(),
            replication: unseen(),
            options: unseen(),
            driver: unseen(),
        }
    }

    /// How far the median of the nodes' clocks is ahead of ours, in milliseconds; none if none was read. A wrong clock
    /// on this machine is not the cluster's fault.
    pub fn clocks_ahead_ms(&self) -> Option<i64> {
        let online = self.nodes.values().filter(|node| node.online.known() == Some(&true));
        let mut clocks: Vec<i64> = online.filter_map(|node| node.clock_skew_ms.known().copied()).collect();
        clocks.sort_unstable();
        clocks.get(clocks.len() / 2).copied()
    }

    /// The moment of this snapshot by the cluster's clocks, to compare with what its nodes wrote down.
    pub fn cluster_time(&self) -> UnixMs {
        self.taken.shifted(self.clocks_ahead_ms().unwrap_or(0))
    }

    /// Guests that are stopped and that PVE starts when their node has booted, whether they ran before or not
    /// (pve-manager, `PVE::API2::Nodes`, startall): onboot is set, and HA does not manage them.
    pub fn starts_with<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = &'a Guest> + 'a {
        let managed =
            |guest: &Guest| self.ha_service(guest.id).is_some_and(|service| service.request != HaRequest::Ignored);
        self.guests_on(node).filter(move |guest| {
            !guest.may_be_running() && !guest.template && guest.onboot.is(&true) && !managed(guest)
        })
    }

    /// Guests whose configuration is on `node`.
    pub fn guests_on<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = &'a Guest> + 'a {
        self.guests.values().filter(move |guest| guest.node == *node)
    }

    /// Is a shared storage away on every other node that should have it? Those that are offline do not count; false
    /// where no other is left, and where one could not be asked.
    pub fn away_elsewhere(&self, storage: &Storage, node: &NodeName) -> bool {
        let others = self.nodes.values().filter(|other| other.name != *node && other.online.is(&true));
        let mut others = others.filter(|other| storage.is_on(&other.name)).peekable();
        let away = |other: &Node| {
            other.storages.known().is_some_and(|there| !there.get(&storage.id).is_some_and(|state| state.active))
        };
        storage.shared && others.peek().is_some() && others.all(away)
    }

    /// Ceph, if it was read and there is one.
    pub fn ceph(&self) -> Option<&Ceph> {
        self.ceph.known().and_then(Option::as_ref)
    }

    /// Is there no such guest on any node? Only what sees all guests can say so.
    pub fn is_gone(&self, guest: GuestId) -> bool {
        self.sees_all_guests.is(&true) && !self.guests.contains_key(&guest)
    }

    /// HA's view of a guest, if HA was read and manages it.
    pub fn ha_service(&self, guest: GuestId) -> Option<&HaService> {
        self.ha.known().and_then(|ha| ha.services.get(&guest))
    }

    /// SHA-256 over the canonical JSON, as lower-case hex.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).expect("a snapshot is plain data and always serialises");
        Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
