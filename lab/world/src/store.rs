//! Storages, cluster options and scheduled jobs, as in the cluster's files. No behaviour.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName, StorageId};

/// A storage in `storage.cfg`.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its identifier.
    pub id: StorageId,
    /// `rbd`, `cephfs`, `nfs`, `dir`, `lvmthin`, `zfspool`.
    pub kind: String,
    /// Is it shared by all nodes?
    pub shared: bool,
    /// Content types: `images`, `rootdir`, `iso`, `backup`.
    pub content: Vec<String>,
    /// Restricted to these nodes; empty means all.
    pub nodes: BTreeSet<NodeName>,
    /// The Ceph pool behind it.
    pub pool: Option<String>,
    /// Size (per node, if it is not shared).
    pub total_bytes: u64,
    /// Used (per node for local ones, not counting guests' disks).
    pub used_bytes: u64,
    /// The same on nodes of which it is known by itself.
    pub used_on: BTreeMap<NodeName, u64>,
    /// Files that are no guest disks: ISO images by volume (`iso/debian.iso`) and size.
    pub files: BTreeMap<String, u64>,
    /// Files that only these nodes have; all others lie on every node that has the storage.
    pub only_on: BTreeMap<String, BTreeSet<NodeName>>,
    /// Nodes where it does not answer now.
    pub inactive_on: BTreeSet<NodeName>,
    /// `disable 1`.
    pub disabled: bool,
    /// The guest of this cluster that serves it, if one does: a NAS with a disk controller of its own.
    pub served_by: Option<GuestId>,
}

impl Storage {
    /// Is it configured for this node?
    pub fn is_on(&self, node: &NodeName) -> bool {
        !self.disabled && (self.nodes.is_empty() || self.nodes.contains(node))
    }

    /// Is a file of it present on this node?
    pub fn has_file(&self, volume: &str, node: &NodeName) -> bool {
        self.files.contains_key(volume)
            && self.is_on(node)
            && self.only_on.get(volume).is_none_or(|nodes| nodes.contains(node))
    }
}

/// `datacenter.cfg`.
#[derive(Clone, Debug)]
pub struct Options {
    /// HA's shutdown policy.
    pub shutdown_policy: ShutdownPolicy,
    /// Parallel workers of an LRM; 4 if not set.
    pub max_workers: Option<u32>,
    /// `secure` or `insecure`.
    pub migration_type: String,
    /// Migration network, if one is set.
    pub migration_network: Option<String>,
    /// Number of the corosync link that carries migrations, or none if they have a network of their own.
    pub migration_link: Option<usize>,
    /// Bandwidth of that link per node.
    pub migration_bytes_per_s: u64,
    /// `bwlimit: migration=`, for each move; none means unlimited.
    pub migration_limit_bytes_per_s: Option<u64>,
    /// With migrations over a corosync link that they saturate: more streams than this per node starve the token.
    pub streams_that_starve_corosync: u32,
    /// `basic`, `static`, `dynamic`.
    pub crs: String,
}

/// `ha: shutdown_policy=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownPolicy {
    /// Freeze services on reboot, recover them on power-off.
    Conditional,
    /// Always freeze services.
    Freeze,
    /// Always recover services elsewhere.
    Failover,
    /// Move the services away first.
    Migrate,
}

/// A backup job.
#[derive(Clone, Debug)]
pub struct BackupJob {
    /// Its identifier.
    pub id: String,
    /// Is it switched on?
    pub enabled: bool,
    /// Calendar expression.
    pub schedule: String,
    /// Next start, Unix seconds.
    pub next_run_s: u64,
    /// Guests; empty means all.
    pub guests: Vec<GuestId>,
    /// Target storage.
    pub storage: StorageId,
    /// The only node that runs it, if it is bound to one.
    pub node: Option<NodeName>,
    /// `snapshot`, `suspend`, `stop`.
    pub mode: String,
}

/// A storage replication job.
#[derive(Clone, Debug)]
pub struct ReplicationJob {
    /// `101-0`.
    pub id: String,
    /// Guest that is replicated.
    pub guest: GuestId,
    /// Source node.
    pub source: NodeName,
    /// Target node.
    pub target: NodeName,
    /// Calendar expression.
    pub schedule: String,
    /// Is it switched on?
    pub enabled: bool,
    /// Last success, Unix seconds.
    pub last_sync_s: u64,
    /// Failures in a row.
    pub fail_count: u32,
    /// Error text of the last failure.
    pub error: Option<String>,
}
