//! A cluster described in TOML, and the world built from it.
//!
//! A file says what differs from a plain, healthy Proxmox VE 9.1 cluster; everything else has a default. [`synthetic`]
//! fills the same structures for large clusters.

mod defaults;
mod from_snapshot;
mod guest_part;
mod plain;
mod policies;
mod storage_part;
mod synthetic;

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StorageId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::World;
use crate::disks::Disks;
use crate::faults::Fault;
pub(crate) use defaults::running;
use defaults::{churn, five, forty_days, one, one_tib, quarter_hour, recovery, six, start, ten_minutes, three, two};
pub use from_snapshot::world_from_snapshot;
pub use guest_part::GuestPart;
pub use policies::{POLICIES, POLICIES_POLICY};
pub use storage_part::StoragePart;
pub use synthetic::synthetic;

/// Why a cluster file cannot be used.
#[derive(Debug, Error)]
pub enum ClusterFileError {
    /// Not TOML, or not the expected structure.
    #[error("the cluster file cannot be read: {0}")]
    Shape(#[from] toml::de::Error),
    /// It contradicts itself.
    #[error("the cluster file contradicts itself: {0}")]
    Contradiction(String),
}

/// The demo cluster's file.
pub const DEMO: &str = include_str!("../clusters/demo.toml");

/// A small cluster of three nodes with HA and Ceph: a run over it takes every kind of step.
pub const EVERY_STEP: &str = include_str!("../clusters/every-step.toml");

/// Noon on 22 November 2026, UTC: when a world starts unless its file says otherwise.
const START_UNIX_S: u64 = 1_795_348_800;

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterFile {
    /// Name of the cluster and its corosync settings.
    pub cluster: ClusterPart,
    /// `datacenter.cfg`.
    #[serde(default)]
    pub options: OptionsPart,
    /// Packages installed on every node.
    pub installed: BTreeMap<String, String>,
    /// Newer packages in the repositories.
    #[serde(default)]
    pub archive: BTreeMap<String, String>,
    /// Running and available kernels.
    pub kernel: KernelPart,
    /// Ceph, if the cluster is hyper-converged.
    pub ceph: Option<CephPart>,
    /// Nodes.
    #[serde(rename = "node")]
    pub nodes: Vec<NodePart>,
    /// Storages.
    #[serde(rename = "storage", default)]
    pub storages: Vec<StoragePart>,
    /// Guests.
    #[serde(rename = "guest", default)]
    pub guests: Vec<GuestPart>,
    /// HA rules.
    #[serde(rename = "rule", default)]
    pub rules: Vec<RulePart>,
    /// Backup jobs.
    #[serde(rename = "backup", default)]
    pub backups: Vec<BackupPart>,
    /// Replication jobs.
    #[serde(rename = "replication", default)]
    pub replications: Vec<ReplicationPart>,
    /// API tokens in addition to the default one.
    #[serde(rename = "token", default)]
    pub tokens: Vec<TokenPart>,
    /// Faults that will happen.
    #[serde(rename = "fault", default)]
    pub faults: Vec<Fault>,
}

/// `[cluster]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPart {
    /// The cluster's name.
    pub name: String,
    /// Version of corosync.conf.
    #[serde(default = "five")]
    pub config_version: u32,
    /// Token timeout; by default 3000 ms and 650 ms for each node beyond two.
    pub token_ms: Option<u64>,
    /// Votes of a quorum device.
    pub qdevice_votes: Option<u32>,
    /// When the world starts, Unix seconds.
    #[serde(default = "start")]
    pub start_unix_s: u64,
    /// How long ago all machines booted.
    #[serde(default = "forty_days")]
    pub uptime_s: u64,
}

/// `[options]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptionsPart {
    /// `conditional`, `freeze`, `failover`, `migrate`.
    pub shutdown_policy: Option<String>,
    /// LRM workers per node.
    pub max_workers: Option<u32>,
    /// `secure` or `insecure`.
    pub migration_type: Option<String>,
    /// Network for migrations.
    pub migration_network: Option<String>,
    /// Corosync link that migrations share, if any.
    pub migration_link: Option<usize>,
    /// Speed of that network per node, MiB/s.
    pub migration_mib_per_s: Option<u64>,
    /// Streams per node beyond which corosync loses its token on that link.
    pub streams_that_starve_corosync: Option<u32>,
}

/// `[kernel]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelPart {
    /// The kernel running on every node.
    pub running: String,
    /// The newer one that the archive's metapackage pulls in.
    pub upcoming: Option<String>,
    /// Feature flags that the newer one shows besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upcoming_flags: Vec<String>,
}

/// `[ceph]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CephPart {
    /// Release name.
    pub release: String,
    /// `mon_osd_down_out_interval`.
    #[serde(default = "ten_minutes")]
    pub down_out_interval_s: u64,
    /// Recovery speed of the cluster.
    #[serde(default = "recovery")]
    pub recovery_mib_per_s: u64,
    /// Permille of the data that is rewritten per hour.
    #[serde(default = "churn")]
    pub churn_permille_per_hour: u64,
    /// Size of each OSD.
    #[serde(default = "one_tib")]
    pub osd_gib: u64,
    /// Name of the file system, if there is one.
    pub fs: Option<String>,
    /// Pools.
    #[serde(rename = "pool")]
    pub pools: Vec<PoolPart>,
}

/// `[[ceph.pool]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolPart {
    /// Name.
    pub name: String,
    /// Copies.
    #[serde(default = "three")]
    pub size: u32,
    /// Copies needed to serve I/O.
    #[serde(default = "two")]
    pub min_size: u32,
    /// Placement groups.
    pub pg_num: u32,
    /// Application.
    pub application: String,
    /// Stored data in GiB, one copy.
    #[serde(default)]
    pub stored_gib: u64,
}

/// `[[node]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePart {
    /// Name.
    pub name: NodeName,
    /// Memory.
    pub memory_gib: u64,
    /// Processors.
    pub cpus: u32,
    /// Addresses, one per corosync link.
    pub links: Vec<String>,
    /// Votes.
    #[serde(default = "one")]
    pub votes: u32,
    /// Memory that the host itself needs.
    #[serde(default = "six")]
    pub host_used_gib: u64,
    /// Number of OSDs on it.
    #[serde(default)]
    pub osds: u32,
    /// Ceph daemons other than OSDs: `mon`, `mgr`, `mds`.
    #[serde(default)]
    pub ceph: Vec<String>,
    /// The hosts that CRUSH has its OSDs below, one after the other; without any, one that is called like the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crush_hosts: Vec<String>,
    /// No package of Ceph's daemons is installed here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compute_only: bool,
    /// Packages that differ from `[installed]`.
    #[serde(default)]
    pub installed: BTreeMap<String, String>,
    /// Pinned kernel.
    pub pinned: Option<String>,
    /// Addresses besides those of the links, with their networks: `10.10.3.1/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Devices and files besides those that every node has: `/dev/dri/renderD128`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Feature flags of its processors, if they differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpu_flags: Vec<String>,
    /// What is wrong with its disks.
    #[serde(default, skip_serializing_if = "Disks::are_well")]
    pub disks: Disks,
}

/// `[[rule]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePart {
    /// Rule id.
    pub id: String,
    /// `keep-apart`, `keep-together`, `node-affinity`.
    pub kind: String,
    /// Guests.
    pub resources: Vec<GuestId>,
    /// Nodes and priorities.
    #[serde(default)]
    pub nodes: BTreeMap<NodeName, u32>,
    /// May the guests run on these nodes only?
    #[serde(default)]
    pub strict: bool,
}

/// `[[backup]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupPart {
    /// Id.
    pub id: String,
    /// Calendar expression.
    pub schedule: String,
    /// Storage.
    pub storage: StorageId,
    /// Seconds from the world's start to the next run.
    pub next_run_in_s: u64,
}

/// `[[replication]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicationPart {
    /// Guest; its node is the source.
    pub guest: GuestId,
    /// Target.
    pub target: NodeName,
    /// Calendar expression.
    #[serde(default = "quarter_hour")]
    pub schedule: String,
}

/// `[[token]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPart {
    /// `auditor@pve!look`.
    pub name: String,
    /// Secret.
    pub secret: String,
    /// Role on `/`.
    pub role: String,
}

/// A file of a single line, for a made-up cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MadeUp {
    synthetic: Size,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    nodes: u32,
    guests: u32,
}

impl ClusterFile {
    /// Reads a file's text. A file without packages gets those of a plain PVE 9.1; one that only says
    /// `synthetic = { nodes = 16, guests = 64 }` describes a made-up cluster.
    pub fn parse(text: &str) -> Result<Self, ClusterFileError> {
        let file: toml::Table = toml::from_str(text)?;
        if file.contains_key("synthetic") {
            let MadeUp { synthetic: Size { nodes, guests } } = toml::from_str(text)?;
            return synthetic(nodes, guests);
        }
        if file.contains_key("installed") {
            // Parsed from the text, so that an error can name its line.
            return Ok(toml::from_str(text)?);
        }
        Ok(plain::with_packages(file).try_into()?)
    }
}

/// Builds a world from a cluster file's text.
pub fn world_from_toml(text: &str, seed: u64) -> Result<World, ClusterFileError> {
    World::build(&ClusterFile::parse(text)?, seed)
}
