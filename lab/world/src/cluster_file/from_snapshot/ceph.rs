//! Ceph from a snapshot.

use std::collections::BTreeMap;

use quorate_core::ids::OsdId;
use quorate_core::snapshot::{Ceph, DaemonKind, Snapshot, Storage};

use super::super::defaults::{churn, one_tib, recovery, ten_minutes};
use super::super::{CephPart, PoolPart};
use super::Notes;
use crate::World;

const STORED_GIB: u64 = 100;

/// The `[ceph]` part of the cluster file.
pub(super) fn part(snapshot: &Snapshot, notes: &mut Notes) -> Option<CephPart> {
    let ceph = notes.known("Ceph", &snapshot.ceph, "not known: none")?.as_ref()?;
    notes.guess("Ceph", "sizes of OSDs and pools are not known: 1 TiB and 100 GiB; recovery at 400 MiB/s");
    let share = ceph.pg_count / (ceph.pools.len() as u32).max(1);
    let pool = |pool: &quorate_core::snapshot::Pool| PoolPart {
        name: pool.name.clone(),
        size: pool.size,
        min_size: pool.min_size,
        pg_num: if pool.name == ".mgr" { 1 } else { share.max(1) },
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
        pools: ceph.pools.iter().map(pool).collect(),
    })
}

/// The release's name by its number.
fn release(ceph: &Ceph) -> String {
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

/// Gives the OSDs their numbers from the snapshot, and Ceph its flags.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot) {
    let (Some(ceph), Some(seen)) = (&mut world.ceph, snapshot.ceph()) else { return };
    let mut numbered = BTreeMap::new();
    for (id, osd) in std::mem::take(&mut ceph.osds) {
        let taken = |id: &OsdId| numbered.contains_key(id);
        let own = seen.osds_on(&osd.host).map(|(id, _)| id).find(|id| !taken(id));
        numbered.insert(own.unwrap_or(id), osd);
    }
    ceph.osds = numbered;
    ceph.flags.extend(seen.flags.iter().cloned());
    ceph.map_all();
}
