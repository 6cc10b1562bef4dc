//! Ceph's maps of monitors and managers, and what each daemon reports about its machine.

use std::collections::BTreeMap;

use quorate_core::ids::NodeName;
use quorate_world::ceph::{Ceph, Daemon, Osd};
use serde_json::{Map, Value, json};

use super::Call;
use super::cluster::address;
use crate::answer::{CallRefused, Reply, object};
use crate::ceph;
use crate::text::Moment;
use crate::upstream;

/// Releases by name and number, oldest first.
const RELEASES: [(&str, u32); 7] =
    [("octopus", 15), ("pacific", 16), ("quincy", 17), ("reef", 18), ("squid", 19), ("tentacle", 20), ("umbrella", 21)];

const ALWAYS_ON: [&str; 10] = [
    "balancer",
    "crash",
    "devicehealth",
    "orchestrator",
    "pg_autoscaler",
    "progress",
    "rbd_support",
    "status",
    "telemetry",
    "volumes",
];

/// `2026-11-22T11:30:19.221851Z`: when the world started.
fn began(call: &Call<'_>, end: &str) -> String {
    format!("{}.221851{end}", Moment::at(call.world.started_ms / 1000).log().replace(' ', "T"))
}

/// Number of the release that runs.
fn number(ceph: &Ceph) -> u32 {
    RELEASES.iter().find(|(name, _)| *name == ceph.release).map_or(0, |(_, number)| *number)
}

pub(super) fn host_address<'a>(call: &'a Call<'_>, host: &NodeName) -> &'a str {
    call.world.nodes.get(host).map_or("", address)
}

pub(super) fn version_of(ceph: &Ceph, version: &str) -> Map<String, Value> {
    object(json!({
        "ceph_version": ceph::version_line(ceph, version),
        "ceph_version_short": upstream(version),
    }))
}

/// The monitors' map as `ceph mon dump` gives it.
pub(super) fn monmap(call: &Call<'_>, ceph: &Ceph, quorum: &Value) -> Value {
    let mut mons: Vec<_> = ceph.mons.iter().collect();
    mons.sort_by_key(|(_, mon)| mon.rank);
    let mons = mons.into_iter().map(|(name, mon)| {
        let ip = host_address(call, &mon.host);
        let addr = format!("{ip}:6789/0");
        let vector = [("v2", 3300), ("v1", 6789)]
            .map(|(kind, port)| json!({"type": kind, "nonce": 0, "addr": format!("{ip}:{port}")}));
        json!({
            "rank": mon.rank, "name": name, "addr": addr, "public_addr": addr, "priority": 0, "weight": 0,
            "crush_location": "{}", "public_addrs": {"addrvec": vector},
        })
    });
    let number = number(ceph);
    let features = ["kraken", "luminous", "mimic", "osdmap-prune", "nautilus", "octopus", "pacific", "elector-pinging"];
    let later = RELEASES.iter().filter(|(_, known)| (17..=number).contains(known)).map(|(name, _)| *name);
    let features: Vec<&str> = features.into_iter().chain(later).collect();
    // The blanks and colons at the ends of two names are Ceph's.
    json!({
        "epoch": 3, "fsid": ceph.fsid, "created": began(call, "Z"), "modified": began(call, "Z"),
        "min_mon_release": number, "min_mon_release_name": ceph.release, "mons": mons.collect::<Value>(),
        "quorum": quorum, "election_strategy": 1, "stretch_mode": false, "tiebreaker_mon": "",
        "disallowed_leaders: ": "", "removed_ranks: ": "", "features": {"persistent": features, "optional": []},
    })
}

/// The managers' map, with one of their modules: nothing depends on what the others report.
pub(super) fn mgrmap(call: &Call<'_>, ceph: &Ceph) -> Value {
    let modules = json!([{"name": "alerts", "can_run": true, "error_string": "", "module_options": {}}]);
    let standbys = ceph::standbys(ceph).into_iter().enumerate().map(|(at, name)| {
        json!({
            "name": name, "gid": 4906 + at, "mgr_features": 4_540_138_322_906_710_015_u64, "available_modules": modules,
        })
    });
    let active = ceph.active_mgr.as_ref().and_then(|name| ceph.mgrs.get(name)).map(|mgr| &mgr.host);
    let ip = active.map_or("-", |host| host_address(call, host));
    let always_on: Map<_, _> = RELEASES
        .iter()
        .filter(|(_, known)| *known <= number(ceph))
        .map(|(name, _)| ((*name).to_owned(), json!(ALWAYS_ON)))
        .collect();
    let vector = [("v2", 6800), ("v1", 6801)]
        .map(|(kind, port)| json!({"type": kind, "nonce": 1, "addr": format!("{ip}:{port}")}));
    let client = json!({"name": "devicehealth", "addrvec": vector[..1]});
    json!({
        "epoch": 19, "available": ceph.active_mgr.is_some(), "active_name": ceph.active_mgr.clone().unwrap_or_default(),
        "active_addr": if active.is_some() { format!("{ip}:6801/1") } else { "-".to_owned() }, "active_gid": 4905,
        "active_addrs": {"addrvec": vector}, "active_change": began(call, "+0000"), "active_clients": [client],
        "active_mgr_features": 4_540_138_322_906_710_015_u64, "always_on_modules": always_on,
        "available_modules": modules, "flags": 0, "last_failure_osd_epoch": 28, "modules": ["iostat", "nfs"],
        "services": {}, "standbys": standbys.collect::<Value>(),
    })
}

/// What every daemon reports about the machine that it runs on.
fn machine(call: &Call<'_>, ceph: &Ceph, host: &NodeName, version: &str) -> Map<String, Value> {
    let mut entry = version_of(ceph, version);
    let Some(node) = call.world.nodes.get(host) else { return entry };
    entry.extend(object(json!({
        "hostname": host, "ceph_release": ceph.release, "arch": "x86_64", "cpu": node.cpu_model, "distro": "debian",
        "distro_description": "Debian GNU/Linux 13 (trixie)", "distro_version": "13", "os": "Linux",
        "kernel_description": "#1 SMP PREEMPT_DYNAMIC PMX", "kernel_version": node.kernel.running,
        "mem_swap_kb": "0", "mem_total_kb": (node.memory_bytes >> 10).to_string(),
    })));
    entry
}

/// Does the node that answers have the packages of Ceph's daemons?
pub(super) fn has_packages(call: &Call<'_>) -> Result<(), CallRefused> {
    match call.world.nodes.get(&call.node).is_some_and(|node| node.compute_only) {
        true => Err(CallRefused::failed("binary not installed: /usr/bin/ceph-mon")),
        false => Ok(()),
    }
}

/// Running versions by daemon, and under `node` the installed ones: the difference is what is still to be restarted.
pub(super) fn metadata(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let versions_only = call.args.get("scope") == Some("versions");
    if !versions_only {
        has_packages(call)?;
    }
    let Some(ceph) = call.world.ceph.as_ref().filter(|_| !versions_only) else {
        return Ok(installed(call).into());
    };
    let daemons = |list: &BTreeMap<String, Daemon>, kind: &str| -> Value {
        let known = list.iter().filter(|(_, daemon)| daemon.in_map);
        let entries = known.map(|(name, daemon)| {
            (format!("{name}@{}", daemon.host), Value::Object(of_daemon(call, ceph, kind, name, daemon)))
        });
        Value::Object(entries.collect())
    };
    let osds = ceph.osds.iter().map(|(id, osd)| Value::Object(of_osd(call, ceph, id.0, osd)));
    let mut data = object(json!({
        "mon": daemons(&ceph.mons, "mon"), "mgr": daemons(&ceph.mgrs, "mgr"), "mds": daemons(&ceph.mdss, "mds"),
        "osd": osds.collect::<Value>(),
    }));
    data.extend(object(installed(call)));
    Ok(Value::Object(data).into())
}

fn of_daemon(call: &Call<'_>, ceph: &Ceph, kind: &str, name: &str, daemon: &Daemon) -> Map<String, Value> {
    let mut entry = machine(call, ceph, &daemon.host, daemon.version.as_str());
    let ip = host_address(call, &daemon.host);
    entry.extend(object(json!({"name": name, "service": 1, "direxists": 1})));
    if kind == "mon" {
        let line = entry["ceph_version"].clone();
        entry.extend(object(json!({
            "addrs": format!("[v2:{ip}:3300/0,v1:{ip}:6789/0]"), "ceph_version_when_created": line,
            "created_at": began(call, "Z"), "compression_algorithms": "none, snappy, zlib, zstd, lz4", "device_ids": "",
            "device_paths": "", "devices": "",
        })));
    } else {
        entry.insert("addr".into(), json!(ip));
        entry.insert("addrs".into(), json!(format!("{ip}:0/1097557542")));
    }
    entry
}

fn of_osd(call: &Call<'_>, ceph: &Ceph, id: u32, osd: &Osd) -> Map<String, Value> {
    if osd.never_ran {
        return object(json!({"id": id}));
    }
    let mut entry = machine(call, ceph, &osd.host, osd.version.as_str());
    let own = host_address(call, &osd.host).to_owned();
    let (front, back) = (osd.addresses.first(), osd.addresses.last());
    let address = |ip: Option<&std::net::IpAddr>, port: u32| {
        let socket = |port: u16| match ip {
            Some(ip) => std::net::SocketAddr::new(*ip, port).to_string(),
            None => format!("{own}:{port}"),
        };
        format!("[v2:{}/1,v1:{}/1]", socket(port as u16), socket(port as u16 + 1))
    };
    let line = entry["ceph_version"].clone();
    // All of these are texts, including the numbers.
    entry.extend(object(json!({
        "id": id, "osd_data": format!("/var/lib/ceph/osd/ceph-{id}"), "osd_objectstore": "bluestore",
        "front_addr": address(front, 6802), "back_addr": address(back, 6804), "hb_front_addr": address(front, 6806),
        "hb_back_addr": address(back, 6808), "front_iface": "", "back_iface": "",
        "network_numa_unknown_ifaces": "back_iface,front_iface", "ceph_version_when_created": line,
        "created_at": began(call, "Z"), "default_device_class": "ssd", "rotational": "0", "journal_rotational": "0",
        "device_ids": "", "device_paths": "", "devices": "", "osdspec_affinity": "", "bluefs": "1",
        "bluefs_dedicated_db": "0", "bluefs_dedicated_wal": "0", "bluefs_single_shared_device": "1",
        "bluestore_allocation_from_file": "0", "bluestore_bdev_access_mode": "blk",
        "bluestore_bdev_block_size": "4096", "bluestore_bdev_driver": "KernelDevice",
        "bluestore_bdev_optimal_io_size": "0", "bluestore_bdev_path": format!("/var/lib/ceph/osd/ceph-{id}/block"),
        "bluestore_bdev_rotational": "0", "bluestore_bdev_size": osd.total_bytes.to_string(),
        "bluestore_bdev_support_discard": "1", "bluestore_bdev_type": "ssd", "bluestore_min_alloc_size": "4096",
    })));
    entry
}

fn installed(call: &Call<'_>) -> Value {
    let Some(ceph) = &call.world.ceph else { return json!({}) };
    let nodes = call.world.nodes.iter().filter_map(|(name, node)| {
        let version = upstream(node.installed("ceph-osd").or(node.installed("ceph"))?.as_str());
        let parts: Vec<_> = version.split('.').collect();
        Some((name.to_string(), json!({"version": {"str": version, "parts": parts}, "buildcommit": ceph.build})))
    });
    json!({"node": Value::Object(nodes.collect())})
}
