//! Hyper-converged Ceph: daemons, pools, placement groups, flags.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, OsdId};
use quorate_core::version::Version;

/// `mon_osd_nearfull_ratio` and `mon_osd_backfillfull_ratio`.
pub(crate) const NEAR_FULL_PERCENT: u8 = 85;
pub(crate) const BACKFILL_FULL_PERCENT: u8 = 90;

/// The Ceph cluster.
#[derive(Clone, Debug)]
pub struct Ceph {
    /// The cluster's fsid.
    pub fsid: String,
    /// Release name (`squid`).
    pub release: String,
    /// Build hash shown in version lines.
    pub build: String,
    /// Monitors by name.
    pub mons: BTreeMap<String, Daemon>,
    /// Managers by name.
    pub mgrs: BTreeMap<String, Daemon>,
    /// The active manager.
    pub active_mgr: Option<String>,
    /// Metadata servers by name.
    pub mdss: BTreeMap<String, Daemon>,
    /// The active metadata server.
    pub active_mds: Option<String>,
    /// File system name, if there is one.
    pub fs_name: Option<String>,
    /// OSDs by number.
    pub osds: BTreeMap<OsdId, Osd>,
    /// Pools by number.
    pub pools: BTreeMap<u32, Pool>,
    /// All placement groups.
    pub pgs: Vec<Pg>,
    /// Health checks that Ceph reports besides those that follow from all this, and which of all are muted.
    pub reported: Vec<HealthCheck>,
    /// Codes of health checks that an administrator has muted.
    pub muted: BTreeSet<String>,
    /// Cluster-wide flags that were set (`noout`, ...), in addition to the permanent ones.
    pub flags: BTreeSet<String>,
    /// CRUSH nodes, device classes and `osd.N` that have noout.
    pub noout_group: BTreeSet<String>,
    /// Other flags by such names.
    pub other_flags: BTreeMap<String, BTreeSet<String>>,
    /// `mon_osd_down_out_interval`.
    pub down_out_interval_ms: u64,
    /// OSD map epoch.
    pub epoch: u32,
    /// Election epoch.
    pub election_epoch: u32,
    /// Recovery speed of the whole cluster.
    pub recovery_bytes_per_s: u64,
    /// Share of a placement group that is written per hour while a copy is away (in permille).
    pub churn_permille_per_hour: u64,
    /// Until when monitors report clock skew, by name (after a boot).
    pub skew_until_ms: BTreeMap<String, u64>,
    /// Monitors whose machine's clock is off, as of the monitors' last check.
    pub clock_off: BTreeSet<String>,
    /// `mon dump` times out until this moment (after a monitor was lost).
    pub busy_until_ms: u64,
    /// Monitors report slow operations until this moment.
    pub slow_until_ms: u64,
    /// Is recovery in progress (a tick is scheduled)?
    pub ticking: bool,
    /// Bytes moved because OSDs were put out.
    pub moved_bytes: u64,
    /// Pools with placement groups that do not serve I/O.
    pub stalled_pools: BTreeSet<String>,
}

/// What every OSD is below in CRUSH.
pub(crate) const CRUSH_ROOT: &str = "default";
/// The device class of every OSD.
pub const DEVICE_CLASS: &str = "ssd";

/// A monitor, manager or metadata server.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The node it runs on.
    pub host: NodeName,
    /// Rank among its kind.
    pub rank: u32,
    /// Is the process running?
    pub running: bool,
    /// For monitors: in quorum; others: known to the map.
    pub in_map: bool,
    /// Version of the running process.
    pub version: Version,
}

/// An OSD.
#[derive(Clone, Debug)]
pub struct Osd {
    /// The node it is on.
    pub host: NodeName,
    /// The host that CRUSH has it below: mostly called like the node.
    pub crush_host: String,
    /// Where it serves clients and where it copies data, if that is not its node's own address.
    pub addresses: Vec<std::net::IpAddr>,
    /// Was it made and never started? It has told nobody where it is.
    pub never_ran: bool,
    /// Is the process running?
    pub running: bool,
    /// Is it up in the map?
    pub up: bool,
    /// Is it in?
    pub in_: bool,
    /// Was it put out by the monitors (so that it comes back in automatically)?
    pub auto_out: bool,
    /// Capacity in bytes.
    pub total_bytes: u64,
    /// When it was marked down.
    pub down_since_ms: Option<u64>,
    /// Version of the running process.
    pub version: Version,
    /// Will it start after the next boot? (A fault can prevent it.)
    pub returns: bool,
    /// How full it is, where that matters.
    pub full_percent: u8,
}

/// A pool.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Name of the pool.
    pub name: String,
    /// Number of copies (`size`).
    pub size: u32,
    /// Copies needed to serve I/O (`min_size`).
    pub min_size: u32,
    /// Placement groups.
    pub pg_num: u32,
    /// `rbd`, `cephfs`, `mgr`.
    pub application: String,
    /// Stored bytes (one copy).
    pub stored_bytes: u64,
}

/// A placement group.
#[derive(Clone, Debug)]
pub struct Pg {
    /// Number of its pool.
    pub pool: u32,
    /// Number within the pool.
    pub seq: u32,
    /// OSDs it belongs on now (host-disjoint), first is primary.
    pub up: Vec<OsdId>,
    /// Copies that are behind, with the bytes they lack.
    pub behind: BTreeMap<OsdId, u64>,
    /// Copies being made on an OSD that never had them (backfill after an out), with the bytes left.
    pub backfill: BTreeMap<OsdId, u64>,
    /// OSDs that hold a copy but do not belong to the group now (they are out), and since when; kept until it is clean.
    pub strays: BTreeMap<OsdId, u64>,
    /// Peering until.
    pub peering_until_ms: u64,
}

/// A health check as `ceph health detail` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `OSD_DOWN`.
    pub code: String,
    /// `HEALTH_WARN` or `HEALTH_ERR`.
    pub severity: String,
    /// One-line summary.
    pub summary: String,
    /// The count shown in the summary.
    pub count: u64,
    /// Detail lines.
    pub detail: Vec<String>,
}

/// The answer to `ceph osd ok-to-stop`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OkToStop {
    /// Do all groups stay active?
    pub ok: bool,
    /// The OSDs asked about.
    pub osds: Vec<OsdId>,
    /// Number of groups that stay active.
    pub ok_pgs: u32,
    /// Number of groups that do not.
    pub not_ok_pgs: u32,
    /// Ids of those that would become degraded.
    pub become_degraded: Vec<String>,
    /// Already degraded ones that lose one more copy.
    pub become_more_degraded: Vec<String>,
    /// Ids of those that would become inactive.
    pub become_inactive: Vec<String>,
    /// Ids of those that are inactive already.
    pub already_inactive: Vec<String>,
}
