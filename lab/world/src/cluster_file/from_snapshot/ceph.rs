//! Ceph from a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, OsdId};
use quorate_core::snapshot::{
    Ceph as SeenCeph, CephDaemon, DaemonKind, HealthLevel, Osd as SeenOsd, Snapshot, Storage,
};
use quorate_core::version::Version;

use super::super::defaults::{churn, one_tib, recovery, ten_minutes};
use super::super::{CephPart, PoolPart};
use super::{GIB, Notes};
use crate::World;
use crate::ceph::{Ceph, Daemon, HealthCheck, Osd};

const STORED_GIB: u64 = 100;

/// The `[ceph]` part of the cluster file.
pub(super) fn part(snapshot: &Snapshot, notes: &mut Notes) -> Option<CephPart> {
    let ceph = notes.known("Ceph", &snapshot.ceph, "not known: none")?.as_ref()?;
    notes.guess("Ceph", "sizes of OSDs and pools, and how placement groups are shared among pools, are not known: 1 TiB, 100 GiB, evenly; recovery at 400 MiB/s");
    let own = |name: &str| name == ".mgr";
    let with_data = ceph.pools.iter().filter(|pool| !own(&pool.name)).count() as u32;
    let mut left = ceph.pg_count.saturating_sub(ceph.pools.len() as u32 - with_data);
    let mut pools_left = with_data.max(1);
    let mut pool = |pool: &quorate_core::snapshot::Pool| PoolPart {
        name: pool.name.clone(),
        size: pool.size,
        min_size: pool.min_size,
        pg_num: if own(&pool.name) { 1 } else { share(&mut left, &mut pools_left) },
        application: if pool.name == ".mgr" { "mgr" } else { "rbd" }.to_owned(),
        stored_gib: if pool.name == ".mgr" { 0 } else { STORED_GIB },
    };
    let has_mds = ceph.daemons.iter().any(|daemon| daemon.kind == DaemonKind::Mds);
    Some(CephPart {
        release: release(ceph),
        down_out_interval_s: ten_minutes(),
        recovery_mib_per_s: recovery(),
        churn_permille_per_hour: churn(),
        osd_gib: one_tib(),
        fs: has_mds.then(|| "cephfs".to_owned()),
        pools: ceph.pools.iter().map(&mut pool).collect(),
    })
}

/// A pool's share of the placement groups that are left for the pools that are left.
fn share(left: &mut u32, pools_left: &mut u32) -> u32 {
    let own = left.div_ceil((*pools_left).max(1));
    (*left, *pools_left) = (*left - own, pools_left.saturating_sub(1));
    own.max(1)
}

/// The release's name by its number.
fn release(ceph: &SeenCeph) -> String {
    let version = ceph.daemons.iter().find_map(|daemon| daemon.version.as_ref());
    let major = version.and_then(|version| version.as_str().split('.').next()?.parse::<u32>().ok());
    match major {
        Some(17) => "quincy",
        Some(18) => "reef",
        Some(20) => "tentacle",
        _ => "squid",
    }
    .to_owned()
}

/// The pool behind a storage: the one with its name, or else the first one with data.
pub(super) fn pool_of(snapshot: &Snapshot, storage: &Storage) -> Option<String> {
    if !matches!(storage.kind.as_str(), "rbd" | "cephfs") {
        return None;
    }
    let pools = &snapshot.ceph()?.pools;
    let named = pools.iter().find(|pool| pool.name == storage.id.as_str());
    named.or_else(|| pools.iter().find(|pool| pool.name != ".mgr")).map(|pool| pool.name.clone())
}

/// Gives Ceph its daemons by their names and numbers, its flags, and what it says about itself.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot, notes: &mut Notes) {
    let Some(seen) = snapshot.ceph() else { return };
    let installed = installed(world);
    let Some(ceph) = &mut world.ceph else { return };
    let versions = Versions { installed: &installed };
    ceph.osds = seen.osds.iter().map(|(id, osd)| (*id, self::osd(snapshot, osd, &versions))).collect();
    if let Some(model) = ceph.osds.values().next().cloned() {
        let dead = |id: &OsdId| (*id, Osd { never_ran: true, running: false, up: false, in_: false, ..model.clone() });
        ceph.osds.extend(seen.never_ran.iter().map(dead));
    }
    daemons(ceph, seen, &versions);
    ceph.flags.extend(seen.flags.iter().cloned());
    for (name, flags) in &seen.node_flags {
        if flags.contains("noout") {
            ceph.noout_group.insert(name.clone());
        }
        let others: BTreeSet<String> = flags.iter().filter(|flag| *flag != "noout").cloned().collect();
        if !others.is_empty() {
            ceph.other_flags.insert(name.clone(), others);
        }
    }
    ceph.map_all();
    reported(ceph, seen, world.now_ms, notes);
}

/// The version of Ceph's packages on each node.
fn installed(world: &World) -> BTreeMap<NodeName, Version> {
    let version = |node: &crate::node::Node| node.installed("ceph-osd").or(node.installed("ceph")).cloned();
    world.nodes.iter().filter_map(|(name, node)| Some((name.clone(), version(node)?))).collect()
}

/// Ceph reports versions without Proxmox's own part of them.
struct Versions<'a> {
    installed: &'a BTreeMap<NodeName, Version>,
}

impl Versions<'_> {
    /// That of the node's packages, if it is that one.
    fn of(&self, node: &NodeName, seen: Option<&Version>) -> Version {
        let installed = self.installed.get(node);
        let same =
            installed.filter(|installed| seen.is_none_or(|seen| Ceph::short_version(installed) == seen.as_str()));
        let own = || Version::new(format!("{}-pve1", seen.map_or("19.2.2", |seen| seen.as_str())));
        same.cloned().unwrap_or_else(own)
    }
}

fn osd(snapshot: &Snapshot, seen: &SeenOsd, versions: &Versions<'_>) -> Osd {
    let own = snapshot.nodes.get(&seen.node).and_then(|node| node.host.network.own.known());
    // Which of two networks is the clients' is not known: that of the node's own address, if it is one of them.
    let others = seen.addresses.iter().filter(|address| Some(*address) != own).copied();
    let addresses: Vec<_> = own.filter(|own| seen.addresses.contains(own)).copied().into_iter().chain(others).collect();
    let (now_up, only_own) = (seen.up, addresses.len() == 1 && addresses.first() == own);
    Osd {
        host: seen.node.clone(),
        crush_host: seen.node.to_string(),
        addresses: if only_own { Vec::new() } else { addresses },
        never_ran: false,
        running: now_up,
        up: now_up,
        in_: seen.weighted_in,
        auto_out: !seen.weighted_in && !now_up,
        total_bytes: one_tib() * GIB,
        down_since_ms: (!now_up).then_some(snapshot.taken.0),
        version: versions.of(&seen.node, seen.version.as_ref()),
        returns: true,
        full_percent: 0,
    }
}

fn daemons(ceph: &mut Ceph, seen: &SeenCeph, versions: &Versions<'_>) {
    let of_kind = |kind| {
        let of_it: Vec<&CephDaemon> = seen.daemons.iter().filter(|daemon| daemon.kind == kind).collect();
        let lives = |daemon: &CephDaemon| !matches!(daemon.state.as_str(), "stopped" | "out of quorum");
        let part = |(rank, daemon): (usize, &&CephDaemon)| {
            let version = versions.of(&daemon.node, daemon.version.as_ref());
            let running = lives(daemon);
            let (host, rank) = (daemon.node.clone(), rank as u32);
            (daemon.name.clone(), Daemon { host, rank, running, in_map: running, version })
        };
        of_it.iter().enumerate().map(part).collect::<BTreeMap<String, Daemon>>()
    };
    (ceph.mons, ceph.mgrs, ceph.mdss) = (of_kind(DaemonKind::Mon), of_kind(DaemonKind::Mgr), of_kind(DaemonKind::Mds));
    // The leader has the lowest rank.
    let leader = seen.daemons.iter().find(|daemon| daemon.kind == DaemonKind::Mon && daemon.state == "leader");
    if let Some(mon) = leader.and_then(|leader| ceph.mons.get_mut(&leader.name)) {
        let before = std::mem::take(&mut mon.rank);
        let others = ceph.mons.iter_mut().filter(|(name, _)| leader.is_none_or(|leader| leader.name != **name));
        others.filter(|(_, mon)| mon.rank < before).for_each(|(_, mon)| mon.rank += 1);
    }
    let active = |kind, state: &str| {
        let found = seen.daemons.iter().find(|daemon| daemon.kind == kind && daemon.state == state);
        found.map(|daemon| daemon.name.clone())
    };
    (ceph.active_mgr, ceph.active_mds) = (active(DaemonKind::Mgr, "active"), active(DaemonKind::Mds, "up:active"));
}

/// What Ceph says besides that which follows from its daemons and flags stays as it was said.
fn reported(ceph: &mut Ceph, seen: &SeenCeph, now_ms: u64, notes: &mut Notes) {
    let (_, own) = ceph.health(now_ms);
    let word = |level| match level {
        HealthLevel::Ok => "HEALTH_OK",
        HealthLevel::Warn => "HEALTH_WARN",
        HealthLevel::Err => "HEALTH_ERR",
    };
    for (code, check) in &seen.checks {
        if check.muted {
            ceph.muted.insert(code.clone());
        }
        if own.iter().any(|own| own.code == *code) {
            continue;
        }
        notes.guess("Ceph", format!("when {code} ends is not known: never"));
        let (severity, summary) = (word(check.severity).to_owned(), check.message.clone());
        ceph.reported.push(HealthCheck { code: code.clone(), severity, summary, count: 1, detail: Vec::new() });
    }
}
