//! `/cluster/ceph` and `/nodes/{node}/ceph`: Ceph's answers as PVE presents them.

use std::collections::BTreeMap;

use quorate_core::ids::{NodeName, OsdId};
use quorate_world::ceph::{Ceph, Daemon};
use serde_json::{Map, Value, json};

use super::ceph_maps::{has_packages, host_address, metadata, mgrmap, monmap, version_of};
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::ceph::{self, Detail};
use crate::upstream;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/ceph/status", status),
    route("GET", "/nodes/{node}/ceph/status", status),
    route("GET", "/cluster/ceph/flags", flags),
    route("GET", "/cluster/ceph/flags/{flag}", flag),
    route("PUT", "/cluster/ceph/flags/{flag}", set_flag),
    route("GET", "/cluster/ceph/metadata", metadata),
    route("GET", "/nodes/{node}/ceph/osd", osds),
    route("GET", "/nodes/{node}/ceph/mon", mons),
    route("GET", "/nodes/{node}/ceph/mgr", mgrs),
    route("GET", "/nodes/{node}/ceph/mds", mdss),
    route("GET", "/nodes/{node}/ceph/pool", pools),
    route("GET", "/nodes/{node}/ceph/fs", file_systems),
    route("GET", "/nodes/{node}/ceph/cmd-safety", cmd_safety),
];

/// Ceph, if it is configured and its monitors answer.
pub(super) fn ceph_of<'a>(call: &'a Call<'_>) -> Result<&'a Ceph, CallRefused> {
    has_packages(call)?;
    if ceph::was_given_up(call.world) {
        return Err(CallRefused::failed("rados_connect failed - No such file or directory"));
    }
    let ceph = call.world.ceph.as_ref();
    let ceph = ceph.ok_or_else(|| CallRefused::failed("binary not installed: /usr/bin/ceph-mon"))?;
    // Without a quorum of monitors, and for some seconds after one was lost, every question times out.
    if call.world.now_ms < ceph.busy_until_ms || !ceph::answers(ceph) {
        return Err(CallRefused::failed("error with 'mon dump': got timeout"));
    }
    Ok(ceph)
}

/// `ceph status`, with the full monitor and manager maps put back in.
fn status(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let mut data = ceph::status(call.world, ceph, Detail::Full);
    data["monmap"] = monmap(call, ceph, &data["quorum"]);
    data["mgrmap"] = mgrmap(call, ceph);
    Ok(data.into())
}

/// The flags that PVE offers, with its description.
const FLAGS: [(&str, &str); 11] = [
    ("nobackfill", "Backfilling of PGs is suspended."),
    ("nodeep-scrub", "Deep Scrubbing is disabled."),
    ("nodown", "OSD failure reports are being ignored, such that the monitors will not mark OSDs down."),
    ("noin", "OSDs that were previously marked out will not be marked back in when they start."),
    ("noout", "OSDs will not automatically be marked out after the configured interval."),
    ("norebalance", "Rebalancing of PGs is suspended."),
    ("norecover", "Recovery of PGs is suspended."),
    ("noscrub", "Scrubbing is disabled."),
    ("notieragent", "Cache tiering activity is suspended."),
    ("noup", "OSDs are not allowed to start."),
    ("pause", "Pauses read and writes."),
];

fn flags(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let list = FLAGS.iter().map(|(name, description)| {
        json!({"name": name, "description": description, "value": u8::from(ceph.flags.contains(*name))})
    });
    Ok(list.collect::<Value>().into())
}

fn flag_name(call: &Call<'_>) -> Result<String, CallRefused> {
    let name = call.args.text("flag");
    if FLAGS.iter().any(|(known, _)| *known == name) {
        return Ok(name.to_owned());
    }
    let known: Vec<_> = FLAGS.iter().map(|(name, _)| *name).collect();
    let text = format!("value '{name}' does not have a value in the enumeration '{}'", known.join(", "));
    Err(CallRefused::parameter("flag", text))
}

fn flag(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = flag_name(call)?;
    Ok(json!(u8::from(ceph_of(call)?.flags.contains(&name))).into())
}

fn set_flag(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = flag_name(call)?;
    ceph_of(call)?;
    let set = call.args.is_on("value");
    call.world.ceph_flag(&name, set)?;
    Ok(Value::Null.into())
}

/// The CRUSH tree. Ids are strings; a host's version is what is installed there, an OSD's what runs.
fn osds(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let mut hosts: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (id, osd) in &ceph.osds {
        let mut entry = version_of(ceph, osd.version.as_str());
        let pgs = ceph.pgs.iter().filter(|pg| osd.up && pg.up.contains(id)).count();
        let used = osd.total_bytes / 100 * 40;
        entry.extend(object(json!({
            "id": id.0.to_string(), "name": id.to_string(), "type": "osd", "leaf": 1, "host": osd.host,
            "status": if osd.up { "up" } else { "down" }, "in": u8::from(osd.in_), "reweight": u8::from(osd.in_),
            "crush_weight": osd.total_bytes as f64 / (1_u64 << 40) as f64, "device_class": "ssd",
            "osdtype": "bluestore", "pgs": pgs, "total_space": osd.total_bytes, "bytes_used": used,
            "percent_used": 40.0, "commit_latency_ms": 0, "apply_latency_ms": 0, "blfsdev": null, "dbdev": null,
            "waldev": null,
        })));
        hosts.entry(&osd.crush_host).or_default().push(entry.into());
    }
    let hosts = hosts.into_iter().enumerate().map(|(number, (host, children))| {
        let installed = call
            .world
            .nodes
            .get(&NodeName::from(host))
            .and_then(|node| node.installed("ceph-osd").or(node.installed("ceph")));
        json!({
            "id": format!("-{}", 3 + 2 * number), "name": host, "type": "host", "leaf": 0, "pgs": 0, "reweight": -1,
            "version": installed.map(|version| upstream(version.as_str())), "children": children,
        })
    });
    let root = json!({
        "id": "-1", "name": "default", "type": "root", "leaf": 0, "pgs": 0, "reweight": -1,
        "children": hosts.collect::<Value>(),
    });
    Ok(json!({"root": {"leaf": 0, "children": [root]}, "flags": ceph::flags(ceph).join(",")}).into())
}

fn daemon(call: &Call<'_>, ceph: &Ceph, name: &str, daemon: &Daemon) -> Map<String, Value> {
    let mut entry = version_of(ceph, daemon.version.as_str());
    entry.extend(object(json!({
        "name": name, "host": daemon.host, "addr": host_address(call, &daemon.host), "service": 1, "direxists": 1,
    })));
    entry
}

fn mons(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let list = ceph.mons.iter().map(|(name, mon)| {
        let mut entry = daemon(call, ceph, name, mon);
        entry.insert("addr".into(), json!(format!("{}:6789/0", host_address(call, &mon.host))));
        entry.insert("rank".into(), json!(mon.rank));
        let in_quorum = mon.in_map && mon.running;
        entry.insert("state".into(), json!(if in_quorum { "running" } else { "stopped" }));
        // A monitor out of quorum has no such key.
        if in_quorum {
            entry.insert("quorum".into(), json!(1));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn mgrs(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let list = ceph.mgrs.iter().map(|(name, mgr)| {
        let mut entry = daemon(call, ceph, name, mgr);
        let state = match (mgr.in_map, ceph.active_mgr.as_deref() == Some(name)) {
            (_, true) => "active",
            (true, false) => "standby",
            (false, false) => "stopped",
        };
        entry.insert("state".into(), json!(state));
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn mdss(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let list = ceph.mdss.iter().map(|(name, mds)| {
        let mut entry = daemon(call, ceph, name, mds);
        let active = ceph.active_mds.as_deref() == Some(name);
        let state = match (mds.in_map, active) {
            (_, true) => "up:active",
            (true, false) => "up:standby",
            (false, false) => "stopped",
        };
        entry.insert("state".into(), json!(state));
        if active {
            entry.insert("rank".into(), json!(0));
            entry.insert("fs_name".into(), json!(ceph.fs_name));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn pools(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(pool_entries(call)?.into_iter().collect::<Value>().into())
}

fn pool_entries(call: &Call<'_>) -> Result<Vec<Value>, CallRefused> {
    let ceph = ceph_of(call)?;
    let raw: u64 = ceph.osds.values().map(|osd| osd.total_bytes).sum();
    let list = ceph.pools.iter().map(|(number, pool)| {
        let used = pool.stored_bytes * u64::from(pool.size);
        json!({
            "pool": number.to_string(), "pool_name": pool.name, "type": "replicated", "size": pool.size,
            "min_size": pool.min_size, "pg_num": pool.pg_num, "pg_num_final": pool.pg_num, "crush_rule": "0",
            "crush_rule_name": "replicated_rule", "bytes_used": used, "pg_autoscale_mode": "on",
            "pg_num_min": null, "target_size": null, "target_size_ratio": null,
            "autoscale_status": {
                "actual_capacity_ratio": 0, "actual_raw_used": used, "bias": 1, "bulk": false, "capacity_ratio": 0,
                "crush_root_id": -1, "effective_target_ratio": 0, "logical_used": pool.stored_bytes,
                "pg_autoscale_mode": "on", "pg_num_final": pool.pg_num, "pg_num_ideal": pool.pg_num,
                "pg_num_target": pool.pg_num, "pool_id": number, "pool_name": pool.name, "raw_used": used,
                "raw_used_rate": pool.size, "subtree_capacity": raw, "target_bytes": 0, "target_ratio": 0,
                "would_adjust": false,
            },
            "percent_used": used as f64 / raw.max(1) as f64, "application_metadata": {&pool.application: {}},
        })
    });
    Ok(list.collect())
}

fn file_systems(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let list = ceph.fs_name.iter().map(|name| {
        let of_kind = |application: &str| {
            let pool = ceph.pools.values().find(|pool| pool.application == application);
            pool.map_or_else(|| format!("{name}_data"), |pool| pool.name.clone())
        };
        json!({"name": name, "metadata_pool": format!("{name}_metadata"), "data_pool": of_kind("cephfs")})
    });
    Ok(list.collect::<Value>().into())
}

/// One daemon at a time. A `no` is an error here, a `yes` has Ceph's text inside.
fn cmd_safety(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let (service, id) = (call.args.text("service"), call.args.text("id"));
    let no =
        |text: String| CallRefused::failed(format!("error with '{service} ok-to-stop': mon_command failed - {text}"));
    let data = match service {
        "osd" => {
            let osd = OsdId(id.parse().map_err(|_| CallRefused::parameter("id", "invalid osd id"))?);
            let verdict = ceph.ok_to_stop(&[osd], call.world.now_ms);
            if !verdict.ok {
                return Err(no(ceph::unsafe_to_stop(&verdict)));
            }
            format!("{}\n", ceph::ok_to_stop(&verdict))
        }
        "mon" => ceph::mon_ok_to_stop(ceph, &[id.to_owned()]).map(|_| String::new()).map_err(no)?,
        _ => String::new(),
    };
    Ok(json!({"safe": 1, "status": "", "status_message": "", "return_code": 0, "data": data}).into())
}
