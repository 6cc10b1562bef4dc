//! Ceph's own JSON: the same shapes whether `ceph -f json` prints them or the API passes them on.

use std::collections::{BTreeMap, BTreeSet};

use quorate_world::World;
use quorate_world::ceph::{Ceph, DEVICE_CLASS, Daemon, HealthCheck, OkToStop, Osd};
use serde_json::{Map, Value, json};

use super::answer::object;

/// Flags that are set in every OSD map of these releases.
const PERMANENT: [&str; 4] = ["sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit"];

/// With the list of affected things under each check, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// `ceph health detail`, and the API.
    Full,
    /// `ceph -s`.
    Summary,
}

/// `{"status","checks","mutes"}`.
pub(super) fn health(ceph: &Ceph, now_ms: u64, detail: Detail) -> Value {
    let (status, checks) = ceph.health(now_ms);
    let checks: Map<_, _> =
        checks.iter().map(|check| (check.code.clone(), health_check(ceph, check, detail))).collect();
    json!({"status": status, "checks": checks, "mutes": []})
}

fn health_check(ceph: &Ceph, check: &HealthCheck, detail: Detail) -> Value {
    let mut entry = object(json!({
        "severity": check.severity,
        "summary": {"message": check.summary, "count": check.count},
        "muted": ceph.muted.contains(&check.code),
    }));
    if detail == Detail::Full {
        let lines = check.detail.iter().map(|line| json!({"message": line}));
        entry.insert("detail".into(), lines.collect());
    }
    entry.into()
}

/// Monitors in quorum, by rank.
pub(super) fn quorum(ceph: &Ceph) -> Vec<(&String, &Daemon)> {
    let mut list: Vec<_> = ceph.mons.iter().filter(|(_, mon)| mon.in_map && mon.running).collect();
    list.sort_by_key(|(_, mon)| mon.rank);
    list
}

/// Is nothing left of Ceph but its packages and its configuration?
pub(super) fn was_given_up(world: &World) -> bool {
    world.ceph.is_none() && world.files.contains_key(CONFIGURATION)
}

/// Ceph's configuration, for all nodes.
pub(super) const CONFIGURATION: &str = "/etc/pve/ceph.conf";

/// Do the monitors answer?
pub(super) fn answers(ceph: &Ceph) -> bool {
    quorum(ceph).len() * 2 > ceph.mons.len()
}

/// `ceph -s -f json`.
pub(super) fn status(world: &World, ceph: &Ceph, detail: Detail) -> Value {
    let quorum = quorum(ceph);
    let ranks: Vec<_> = quorum.iter().map(|(_, mon)| mon.rank).collect();
    let names: Vec<_> = quorum.iter().map(|(name, _)| name).collect();
    let up = ceph.osds.values().filter(|osd| osd.up).count();
    let in_ = ceph.osds.values().filter(|osd| osd.in_).count();
    let since_s = world.started_ms / 1000;
    let remapped = ceph.pgs.iter().filter(|pg| !pg.backfill.is_empty()).count();
    json!({
        "fsid": ceph.fsid,
        "health": health(ceph, world.now_ms, detail),
        "election_epoch": ceph.election_epoch,
        "quorum": ranks,
        "quorum_names": names,
        "quorum_age": (world.now_ms - world.started_ms) / 1000,
        "monmap": {"epoch": 3, "min_mon_release_name": ceph.release, "num_mons": ceph.mons.len()},
        "osdmap": {
            "epoch": ceph.epoch, "num_osds": ceph.osds.len(), "num_up_osds": up, "osd_up_since": since_s,
            "num_in_osds": in_, "osd_in_since": since_s, "num_remapped_pgs": remapped,
        },
        "pgmap": pgmap(ceph, world.now_ms),
        "fsmap": fsmap(ceph),
        "mgrmap": {
            "available": ceph.active_mgr.is_some(), "num_standbys": standbys(ceph).len(), "modules": ["iostat", "nfs"],
            "services": {},
        },
        "servicemap": {"epoch": 14, "modified": "2026-11-22T11:44:31.273533+0000", "services": {}},
        "progress_events": {},
    })
}

/// Managers that wait to take over.
pub(super) fn standbys(ceph: &Ceph) -> Vec<&String> {
    let waits = |name: &String, mgr: &Daemon| mgr.in_map && ceph.active_mgr.as_ref() != Some(name);
    ceph.mgrs.iter().filter(|(name, mgr)| waits(name, mgr)).map(|(name, _)| name).collect()
}

fn fsmap(ceph: &Ceph) -> Value {
    let standby = ceph.mdss.iter().filter(|(name, mds)| mds.in_map && ceph.active_mds.as_ref() != Some(*name)).count();
    let ranks: Vec<_> = ceph
        .active_mds
        .iter()
        .map(|name| json!({"filesystem_id": 1, "rank": 0, "name": name, "status": "up:active", "gid": 14161}))
        .collect();
    let mut map = object(json!({"epoch": 9, "by_rank": ranks, "up:standby": standby}));
    if ceph.fs_name.is_some() {
        map.extend(object(json!({"id": 1, "up": ranks.len(), "in": 1, "max": 1})));
    }
    map.into()
}

fn pgmap(ceph: &Ceph, now_ms: u64) -> Value {
    let states = ceph.pg_states(now_ms);
    let states: Vec<_> = states.iter().map(|(name, count)| json!({"state_name": name, "count": count})).collect();
    let stored: u64 = ceph.pools.values().map(|pool| pool.stored_bytes).sum();
    let used: u64 = ceph.pools.values().map(|pool| pool.stored_bytes * u64::from(pool.size)).sum();
    let total: u64 = ceph.osds.values().map(|osd| osd.total_bytes).sum();
    let objects: u64 = ceph.pools.values().map(|pool| pool.stored_bytes >> 22).sum();
    let mut map = object(json!({
        "pgs_by_state": states, "num_pgs": ceph.pgs.len(), "num_pools": ceph.pools.len(), "num_objects": objects,
        "data_bytes": stored, "bytes_used": used, "bytes_avail": total.saturating_sub(used), "bytes_total": total,
    }));
    let (degraded, copies) = degraded_objects(ceph);
    if degraded > 0 {
        map.insert("degraded_objects".into(), json!(degraded));
        map.insert("degraded_total".into(), json!(copies));
        map.insert("degraded_ratio".into(), json!(degraded as f64 / copies as f64));
    }
    map.into()
}

/// Copies of objects that are missing, and how many there should be.
fn degraded_objects(ceph: &Ceph) -> (u64, u64) {
    let (mut missing, mut all) = (0, 0);
    for pg in &ceph.pgs {
        let Some(pool) = ceph.pools.get(&pg.pool) else { continue };
        let objects = ((pool.stored_bytes >> 22) / u64::from(pool.pg_num.max(1))).max(1);
        let good = pg.up.iter().filter(|osd| {
            ceph.osds.get(osd).is_some_and(|osd| osd.up)
                && !pg.behind.contains_key(osd)
                && !pg.backfill.contains_key(osd)
        });
        missing += objects * u64::from(pool.size).saturating_sub(good.count() as u64);
        all += objects * u64::from(pool.size);
    }
    (missing, all)
}

/// `noout,sortbitwise,…`.
pub(super) fn flags(ceph: &Ceph) -> Vec<String> {
    ceph.flags.iter().cloned().chain(PERMANENT.map(str::to_owned)).collect()
}

/// The flags that are set for a CRUSH node, a device class or `osd.3`.
fn flags_of<'a>(ceph: &'a Ceph, name: &str) -> Vec<&'a str> {
    let noout = ceph.noout_group.contains(name).then_some("noout");
    noout.into_iter().chain(ceph.other_flags.get(name).into_iter().flatten().map(String::as_str)).collect()
}

/// `ceph osd dump -f json`.
pub(super) fn osd_dump(world: &World, ceph: &Ceph) -> Value {
    let flags = flags(ceph);
    let set: BTreeSet<_> = flags.iter().collect();
    let flagged = |of_class: bool| -> Map<String, Value> {
        let names = ceph.noout_group.iter().chain(ceph.other_flags.keys()).filter(|who| !who.starts_with("osd."));
        let names: BTreeSet<&String> = names.filter(|who| (who.as_str() == DEVICE_CLASS) == of_class).collect();
        names.into_iter().map(|name| (name.clone(), json!(flags_of(ceph, name)))).collect()
    };
    let pools: Vec<_> = ceph
        .pools
        .iter()
        .map(|(number, pool)| {
            json!({
                "pool": number, "pool_name": pool.name, "type": 1, "size": pool.size, "min_size": pool.min_size,
                "crush_rule": 0, "pg_num": pool.pg_num, "pg_placement_num": pool.pg_num, "pg_autoscale_mode": "on",
                "flags_names": "hashpspool", "application_metadata": {&pool.application: {}},
            })
        })
        .collect();
    let osds: Vec<_> = ceph
        .osds
        .iter()
        .map(|(id, osd)| {
            let mut state = vec!["exists"];
            if osd.never_ran {
                state.push("new");
            }
            if osd.up {
                state.push("up");
            }
            state.extend(flags_of(ceph, &id.to_string()));
            let in_ = u8::from(osd.in_);
            let uuid = format!("00000000-0000-4000-a000-{:012x}", id.0);
            json!({"osd": id, "uuid": uuid, "up": u8::from(osd.up), "in": in_, "weight": in_, "state": state})
        })
        .collect();
    json!({
        "epoch": ceph.epoch,
        "fsid": ceph.fsid,
        "created": stamp(world.started_ms),
        "modified": stamp(world.now_ms),
        "flags": flags.join(","),
        "flags_num": 5_799_936,
        "flags_set": set,
        "max_osd": ceph.osds.len(),
        "require_min_compat_client": "luminous",
        "min_compat_client": "jewel",
        "require_osd_release": ceph.release,
        "pools": pools,
        "osds": osds,
        "crush_node_flags": flagged(false),
        "device_class_flags": flagged(true),
    })
}

fn stamp(ms: u64) -> String {
    let text = super::text::Moment::at(ms / 1000).log().replace(' ', "T");
    format!("{text}.{:06}+0000", ms % 1000 * 1000)
}

/// The JSON of `ceph osd ok-to-stop`; a list of groups is there only if it has entries.
pub(super) fn ok_to_stop(verdict: &OkToStop) -> Value {
    let mut map = object(json!({
        "ok_to_stop": verdict.ok, "osds": verdict.osds, "num_ok_pgs": verdict.ok_pgs,
        "num_not_ok_pgs": verdict.not_ok_pgs,
    }));
    let lists = [
        ("bad_already_inactive", &verdict.already_inactive),
        ("bad_become_inactive", &verdict.become_inactive),
        ("ok_become_degraded", &verdict.become_degraded),
        ("ok_become_more_degraded", &verdict.become_more_degraded),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        map.insert(name.into(), json!(list));
    }
    map.into()
}

/// Why OSDs may not be stopped, in Ceph's words.
pub(super) fn unsafe_to_stop(verdict: &OkToStop) -> String {
    format!("unsafe to stop osd(s) at this time ({} PGs are or would become offline)", verdict.not_ok_pgs)
}

/// May this monitor be stopped? Ceph's words either way.
pub(super) fn mon_ok_to_stop(ceph: &Ceph, names: &[String]) -> Result<String, String> {
    let left: Vec<_> = quorum(ceph).into_iter().map(|(name, _)| name).filter(|name| !names.contains(name)).collect();
    let (left_text, stopped) = (left.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(","), names.join(","));
    if left.len() * 2 > ceph.mons.len() {
        Ok(format!("quorum should be preserved ({left_text}) after stopping [{stopped}]"))
    } else {
        Err(format!("not enough monitors would be available ({left_text}) after stopping mons [{stopped}]"))
    }
}

/// `ceph version 18.2.7 (6b0e98…) reef (stable)`, for the version that a process runs.
pub(super) fn version_line(ceph: &Ceph, version: &str) -> String {
    format!("ceph version {} ({}) {} (stable)", super::upstream(version), ceph.build, ceph.release)
}

/// `ceph versions`.
pub(super) fn versions(ceph: &Ceph) -> Value {
    let mut all = Map::new();
    let mut overall: BTreeMap<String, u32> = BTreeMap::new();
    let daemons = |list: &BTreeMap<String, Daemon>| -> Vec<String> {
        list.values().filter(|daemon| daemon.in_map).map(|daemon| version_line(ceph, daemon.version.as_str())).collect()
    };
    let up = |osd: &&Osd| osd.up;
    let osds = ceph.osds.values().filter(up).map(|osd| version_line(ceph, osd.version.as_str())).collect();
    let kinds =
        [("mon", daemons(&ceph.mons)), ("mgr", daemons(&ceph.mgrs)), ("osd", osds), ("mds", daemons(&ceph.mdss))];
    for (kind, lines) in kinds.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for line in lines {
            *counts.entry(line.clone()).or_default() += 1;
            *overall.entry(line).or_default() += 1;
        }
        all.insert(kind.into(), json!(counts));
    }
    all.insert("overall".into(), json!(overall));
    all.into()
}
