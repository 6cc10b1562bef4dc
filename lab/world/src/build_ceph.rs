//! Builds a healthy Ceph from its part of a cluster file.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, OsdId};
use quorate_core::version::Version;

use super::ceph::{Ceph, Daemon, Osd, Pool};
use super::events::Rng;
use super::node::{Node, random_boot_id};
use super::units::{GIB, MIB};
use crate::cluster_file::{CephPart, ClusterFile};

pub(super) fn build_ceph(file: &ClusterFile, part: &CephPart, nodes: &BTreeMap<NodeName, Node>, rng: &mut Rng) -> Ceph {
    let mut daemons: BTreeMap<&str, BTreeMap<String, Daemon>> = BTreeMap::new();
    let mut osds = BTreeMap::new();
    for node in &file.nodes {
        let package = |name: &str| nodes.get(&node.name).and_then(|n| n.installed(name).cloned());
        let version = package("ceph-osd").unwrap_or_else(|| Version::new("19.2.2-pve1"));
        for kind in &node.ceph {
            let kind = match kind.as_str() {
                "mon" => "mon",
                "mgr" => "mgr",
                _ => "mds",
            };
            let peers = daemons.entry(kind).or_default();
            let rank = peers.len() as u32;
            let daemon =
                Daemon { host: node.name.clone(), rank, running: true, in_map: true, version: version.clone() };
            peers.insert(node.name.to_string(), daemon);
        }
        for number in 0..node.osds as usize {
            let crush_host = node.crush_hosts.get(number % node.crush_hosts.len().max(1));
            let osd = Osd {
                host: node.name.clone(),
                crush_host: crush_host.cloned().unwrap_or_else(|| node.name.to_string()),
                addresses: Vec::new(),
                never_ran: false,
                running: true,
                up: true,
                in_: true,
                auto_out: false,
                total_bytes: part.osd_gib * GIB,
                down_since_ms: None,
                version: version.clone(),
                returns: true,
                full_percent: 0,
            };
            osds.insert(OsdId(osds.len() as u32), osd);
        }
    }
    let mut take = |kind: &str| daemons.remove(kind).unwrap_or_default();
    let (mons, mgrs, mdss) = (take("mon"), take("mgr"), take("mds"));
    let pools = part.pools.iter().enumerate().map(|(index, pool)| {
        let pool = Pool {
            name: pool.name.clone(),
            size: pool.size,
            min_size: pool.min_size,
            pg_num: pool.pg_num,
            application: pool.application.clone(),
            stored_bytes: pool.stored_gib * GIB,
        };
        (index as u32 + 1, pool)
    });
    Ceph {
        fsid: random_boot_id(rng).to_string(),
        release: part.release.clone(),
        build: "2f03f1cd83e5d40cdf1393cb64a662a8e8bb07c6".to_owned(),
        active_mgr: mgrs.keys().next().cloned(),
        active_mds: mdss.keys().next().cloned(),
        mons,
        mgrs,
        mdss,
        fs_name: part.fs.clone(),
        osds,
        pools: pools.collect(),
        pgs: Vec::new(),
        reported: Vec::new(),
        muted: BTreeSet::new(),
        flags: BTreeSet::new(),
        noout_group: BTreeSet::new(),
        other_flags: BTreeMap::new(),
        down_out_interval_ms: part.down_out_interval_s * 1000,
        epoch: 210,
        election_epoch: 14,
        recovery_bytes_per_s: part.recovery_mib_per_s * MIB,
        churn_permille_per_hour: part.churn_permille_per_hour,
        skew_until_ms: BTreeMap::new(),
        clock_off: BTreeSet::new(),
        busy_until_ms: 0,
        slow_until_ms: 0,
        ticking: false,
        moved_bytes: 0,
        stalled_pools: BTreeSet::new(),
    }
}
