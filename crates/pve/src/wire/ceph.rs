//! Answers of Ceph: status, metadata, OSD dump, ok-to-stop.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::lenient::{Flag, Int, List, Map, Text};

/// `GET /cluster/ceph/status`, and with less in it `ceph -s -f json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Health with its checks.
    pub health: Option<Health>,
    /// Monitors in quorum.
    pub quorum_names: Option<List<Text>>,
    /// Placement groups.
    pub pgmap: Option<PgMap>,
    /// Managers.
    pub mgrmap: MgrMap,
    /// Metadata servers.
    pub fsmap: FsMap,
}

/// Health.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Health {
    /// `HEALTH_OK`, …
    pub status: Text,
    /// Checks by code; muted ones are still here.
    pub checks: Map<Check>,
}

/// A health check.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Check {
    /// `HEALTH_WARN`, `HEALTH_ERR`.
    pub severity: Text,
    /// Its summary.
    pub summary: Summary,
    /// Muted by the administrator.
    pub muted: Flag,
}

/// A check's summary.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// The message.
    pub message: Text,
}

/// Placement groups.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PgMap {
    /// Counts by state.
    pub pgs_by_state: List<PgState>,
    /// Their total number.
    pub num_pgs: Option<Int>,
}

/// Placement groups in one state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PgState {
    /// `active+clean`.
    pub state_name: Text,
    /// How many.
    pub count: Int,
}

/// Managers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MgrMap {
    /// The active one (not in `ceph -s`).
    pub active_name: Option<Text>,
    /// The others (not in `ceph -s`).
    pub standbys: List<Named>,
}

/// An object of which only the name matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// Its name.
    pub name: Text,
}

/// Metadata servers with a rank.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FsMap {
    /// Each with `name` and `status`.
    pub by_rank: List<Rank>,
}

/// A metadata server with a rank.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rank {
    /// Its name.
    pub name: Text,
    /// `up:active`.
    pub status: Text,
}

/// `GET /cluster/ceph/metadata`: what runs, and where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Monitors by `name@host`.
    pub mon: Map<Daemon>,
    /// Managers.
    pub mgr: Map<Daemon>,
    /// Metadata servers.
    pub mds: Map<Daemon>,
    /// OSDs.
    pub osd: Option<List<OsdDaemon>>,
    /// By node: what is installed there, as its own pvestatd reports.
    pub node: Map<Installed>,
}

/// What is installed on a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Installed {
    /// Version of the packages.
    pub version: InstalledVersion,
}

/// A version in parts and as a whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InstalledVersion {
    /// `19.2.3`
    pub str: Option<Text>,
}

/// A daemon and what it reports about itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Daemon {
    /// Its name.
    pub name: Option<Text>,
    /// Its host.
    pub hostname: Option<Text>,
    /// `19.2.3`; missing if it never ran.
    pub ceph_version_short: Option<Text>,
}

/// An OSD and what it reports about itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OsdDaemon {
    /// Its number.
    pub id: Option<Int>,
    /// Its host.
    pub hostname: Option<Text>,
    /// `19.2.3`.
    pub ceph_version_short: Option<Text>,
    /// For clients: `[v2:10.77.0.1:6802/3778329868,v1:10.77.0.1:6803/3778329868]`.
    pub front_addr: Option<Text>,
    /// For replication: the cluster network.
    pub back_addr: Option<Text>,
}

impl OsdDaemon {
    /// The addresses in both, without ports; anything else is skipped.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        let texts = [&self.front_addr, &self.back_addr].into_iter().flatten();
        let entries = texts.flat_map(|text| text.0.trim_matches(['[', ']']).split(','));
        let socket = |entry: &str| entry.split_once(':')?.1.split('/').next()?.parse::<SocketAddr>().ok();
        entries.filter_map(socket).map(|socket| socket.ip()).collect()
    }
}

/// `ceph osd dump -f json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OsdDump {
    /// `noout,sortbitwise,…`; a dump without it is not one.
    pub flags: Option<Text>,
    /// Flags by CRUSH name: `pve1` → `noout`.
    pub crush_node_flags: Map<List<Text>>,
    /// Pools.
    pub pools: Option<List<Pool>>,
    /// OSDs.
    pub osds: Option<List<Osd>>,
}

/// A pool.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// Its name.
    pub pool_name: Text,
    /// Copies.
    pub size: Int,
    /// Copies without which I/O stops.
    pub min_size: Int,
}

/// An OSD in the map.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Osd {
    /// Its number.
    pub osd: Option<Int>,
    /// It is up: its process answers.
    pub up: Flag,
    /// It is in: it takes data.
    #[serde(rename = "in")]
    pub weighted_in: Flag,
    /// `exists`, `up`, and flags of its own (`noout`).
    pub state: List<Text>,
}

/// `ceph osd ok-to-stop 0 1 -f json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OkToStop {
    /// Ceph says that they may be stopped.
    pub ok_to_stop: Option<Flag>,
    /// Placement groups that would become unavailable.
    pub num_not_ok_pgs: Option<Int>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_an_osd_are_those_for_clients_and_for_copies() {
        let osd = OsdDaemon {
            front_addr: Some(Text("[v2:10.77.0.1:6802/3778329868,v1:10.77.0.1:6803/3778329868]".to_owned())),
            back_addr: Some(Text("[v2:[fd00::1]:6804/7,v1:[fd00::1]:6805/7]".to_owned())),
            ..OsdDaemon::default()
        };
        let expected: Vec<IpAddr> = vec!["10.77.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(osd.addresses().into_iter().collect::<Vec<_>>(), expected);
        for odd in ["", "[", "v2:", ":/0", "v2:x:1/2", "[v2:10.0.0.1/3]"] {
            let osd = OsdDaemon { back_addr: Some(Text(odd.to_owned())), ..OsdDaemon::default() };
            assert!(osd.addresses().is_empty(), "{odd}");
        }
    }
}
