//! Hyper-converged Ceph.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, OsdId};
use crate::observed::Observed;
use crate::version::Version;

/// A Ceph cluster on the PVE nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceph {
    /// Overall health. Never decide by this: our own flag makes it WARN. Decide by [`Ceph::checks`].
    pub health: HealthLevel,
    /// Health checks by code: `OSD_DOWN`, `OSDMAP_FLAGS`.
    pub checks: BTreeMap<String, CephHealthCheck>,
    /// Cluster-wide flags: `noout`, `norebalance`. Permanent ones (`sortbitwise`, …) are left out.
    pub flags: BTreeSet<String>,
    /// Flags set for one host or OSD, by CRUSH name: `pve1` → {`noout`}.
    pub node_flags: BTreeMap<String, BTreeSet<String>>,
    /// Placement groups by state.
    pub pgs: Vec<PgState>,
    /// Number of placement groups there should be.
    pub pg_count: u32,
    /// Pools with their number of copies.
    pub pools: Vec<Pool>,
    /// OSDs with their host.
    pub osds: BTreeMap<OsdId, Osd>,
    /// OSDs of the map that never ran: down, out, and no machine is known for them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub never_ran: BTreeSet<OsdId>,
    /// Monitors, managers, metadata servers.
    pub daemons: Vec<CephDaemon>,
    /// Monitors that form the quorum, by name.
    pub mon_quorum: BTreeSet<String>,
    /// By node: the version whose packages are installed there. A daemon runs it from its next start on: packages of
    /// Ceph restart nothing.
    #[serde(default)]
    pub installed: BTreeMap<NodeName, Version>,
    /// For each host with OSDs: may all of them be stopped at once? (`ceph osd ok-to-stop`). Full looks only.
    pub osds_ok_to_stop: BTreeMap<NodeName, Observed<SafeToStop>>,
}

/// Overall health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthLevel {
    /// HEALTH_OK.
    Ok,
    /// HEALTH_WARN.
    Warn,
    /// HEALTH_ERR.
    Err,
}

/// One health check that is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CephHealthCheck {
    /// How severe Ceph considers it.
    pub severity: HealthLevel,
    /// Ceph's summary.
    pub message: String,
    /// Muted by the administrator.
    pub muted: bool,
    /// Accepted for this run, by a waiver.
    #[serde(default)]
    pub accepted: bool,
}

/// How many placement groups are in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PgState {
    /// `active+clean`, `active+undersized+degraded`.
    pub state: String,
    /// Number of placement groups in this state.
    pub count: u32,
}

impl PgState {
    /// Active and clean, scrubbing and snaptrim allowed.
    pub fn is_clean(&self) -> bool {
        const UNCLEAN: [&str; 11] = [
            "degraded",
            "undersized",
            "remapped",
            "peering",
            "backfill",
            "recover",
            "stale",
            "inconsistent",
            "down",
            "incomplete",
            "unknown",
        ];
        self.state.contains("active")
            && self.state.contains("clean")
            && !UNCLEAN.iter().any(|bad| self.state.contains(bad))
    }
}

/// A pool and its number of copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name in Ceph.
    pub name: String,
    /// Copies of each object.
    pub size: u32,
    /// Copies without which I/O stops.
    pub min_size: u32,
}

/// An OSD: a disk with its daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Osd {
    /// The node it is on.
    pub node: NodeName,
    /// Its process answers.
    pub up: bool,
    /// It takes data.
    pub weighted_in: bool,
    /// The version that runs.
    pub version: Option<Version>,
    /// Addresses of its node at which it serves clients and copies data.
    #[serde(default)]
    pub addresses: BTreeSet<IpAddr>,
}

impl Osd {
    /// Down and out: its data are elsewhere or on their way, and nothing depends on it any more.
    pub fn is_given_up(&self) -> bool {
        !self.up && !self.weighted_in
    }
}

/// Kind of a Ceph daemon; ordered as a major upgrade restarts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DaemonKind {
    /// Monitor.
    Mon,
    /// Manager.
    Mgr,
    /// Object storage.
    Osd,
    /// Metadata server.
    Mds,
}

impl DaemonKind {
    /// As in names of daemons and packages: `mon`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Mgr => "mgr",
            Self::Osd => "osd",
            Self::Mds => "mds",
        }
    }
}

/// A monitor, manager or metadata server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CephDaemon {
    /// Which kind of daemon it is.
    pub kind: DaemonKind,
    /// Its name in Ceph.
    pub name: String,
    /// The node it is on.
    pub node: NodeName,
    /// `leader`/`peon` for monitors, `active`/`standby` for managers, `up:active` for metadata servers.
    pub state: String,
    /// The version that runs.
    pub version: Option<Version>,
}

/// Ceph's answer to `ok-to-stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SafeToStop {
    /// No placement group would become unavailable.
    Safe,
    /// Some would, and this is Ceph's reason.
    Unsafe(String),
}

impl Ceph {
    /// Every placement group is active and clean; an empty list is not.
    pub fn all_pgs_clean(&self) -> bool {
        let counted: u64 = self.pgs.iter().map(|pg| u64::from(pg.count)).sum();
        counted == u64::from(self.pg_count) && self.pgs.iter().all(PgState::is_clean)
    }

    /// OSDs on `node`.
    pub fn osds_on<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = (OsdId, &'a Osd)> + 'a {
        self.osds.iter().filter(move |(_, osd)| osd.node == *node).map(|(id, osd)| (*id, osd))
    }

    /// OSDs on `node` without those that are given up.
    pub fn osds_in_use_on<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = (OsdId, &'a Osd)> + 'a {
        self.osds_on(node).filter(|(_, osd)| !osd.is_given_up())
    }

    /// Daemons on `node` that run an older version than the one that is installed there: `osd.3 runs 19.2.1, 19.2.3 is
    /// installed`.
    pub fn waiting_for_a_restart(&self, node: &NodeName) -> Vec<String> {
        let osds = self.osds_in_use_on(node).map(|(id, osd)| (id.to_string(), &osd.version));
        let daemons = self.daemons.iter().filter(|daemon| daemon.node == *node);
        let daemons = daemons.map(|daemon| (format!("{}.{}", daemon.kind.word(), daemon.name), &daemon.version));
        let installed = self.installed.get(node);
        let waits = |(name, runs): (String, &Option<Version>)| match (runs, installed) {
            (Some(runs), Some(installed)) if installed > runs => {
                Some(format!("{name} runs {runs}, {installed} is installed"))
            }
            _ => None,
        };
        osds.chain(daemons).filter_map(waits).collect()
    }

    /// Is noout set for all OSDs of `node` that are in use, by whichever flag?
    pub fn noout_covers(&self, node: &NodeName) -> bool {
        self.flags.contains("noout") || self.noout_set_for(node)
    }

    /// Is noout set for the CRUSH host that is called like the node, or for each of its OSDs?
    pub fn noout_set_for(&self, node: &NodeName) -> bool {
        let mut osds = self.osds_in_use_on(node).peekable();
        self.has_noout(node.as_str()) || (osds.peek().is_some() && osds.all(|(id, _)| self.has_noout(&id.to_string())))
    }

    /// Is noout set for what has this name: a CRUSH host, `osd.3`?
    pub fn has_noout(&self, name: &str) -> bool {
        self.node_flags.get(name).is_some_and(|flags| flags.contains("noout"))
    }
}
