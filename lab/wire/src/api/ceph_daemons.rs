//! Changes to Ceph through PVE, and questions about single daemons and pools.

use quorate_core::ids::OsdId;
use quorate_world::services::ServiceAction;
use serde_json::{Value, json};

use super::ceph::ceph_of;
use super::ceph_maps::{host_address, version_of};
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply};
use crate::upstream;

pub(super) const ROUTES: &[Route] = &[
    route("PUT", "/cluster/ceph/flags", set_flags),
    route("GET", "/cluster/ceph/health-mute", mutes),
    route("POST", "/nodes/{node}/ceph/start", start),
    route("POST", "/nodes/{node}/ceph/stop", stop),
    route("POST", "/nodes/{node}/ceph/restart", restart),
    route("GET", "/nodes/{node}/ceph/osd/{osdid}/metadata", osd_metadata),
    route("GET", "/nodes/{node}/ceph/pool/{name}", pool),
    route("GET", "/nodes/{node}/ceph/cfg/db", config_db),
    route("GET", "/nodes/{node}/ceph/cfg/value", config_values),
    route("GET", "/nodes/{node}/ceph/log", log),
    route("GET", "/nodes/{node}/ceph/releases", releases),
];

/// Setting several flags at once is a task, setting one is not.
fn set_flags(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    ceph_of(call)?;
    let wanted: Vec<(String, bool)> =
        call.args.iter().filter_map(|(name, _)| Some((name.to_owned(), call.args.switch(name)?))).collect();
    for (flag, set) in wanted {
        call.world.ceph_flag(&flag, set)?;
    }
    let user = call.caller.auth_id();
    Ok(json!(call.world.quick_task(&call.node, "cephsetflags", "", &user, "")).into())
}

/// No check is ever muted in the lab.
fn mutes(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    ceph_of(call)?;
    Ok(json!([]).into())
}

fn start(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service(call, ServiceAction::Start)
}

fn stop(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service(call, ServiceAction::Stop)
}

fn restart(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service(call, ServiceAction::Restart)
}

/// The task ends when systemd reports success, long before the daemon serves.
fn service(call: &mut Call<'_>, action: ServiceAction) -> Result<Reply, CallRefused> {
    // A restart must name the service; the other two apply to all on the node.
    let which = call.args.get("service").unwrap_or("ceph").to_owned();
    let which = which.strip_suffix(".target").unwrap_or(&which).to_owned();
    let user = call.caller.auth_id();
    Ok(json!(call.world.ceph_service(&call.node, &which, action, &user)?).into())
}

fn osd_metadata(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let number = call.args.number("osdid").and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX);
    let osd = ceph.osds.get(&OsdId(number)).filter(|osd| osd.host == call.node);
    let osd =
        osd.ok_or_else(|| CallRefused::failed(format!("OSD '{number}' does not exists on host '{}'", call.node)))?;
    let ip = host_address(call, &osd.host);
    let address = |port: u32| format!("[v2:{ip}:{port}/0,v1:{ip}:{}/0]", port + 1);
    let path = format!("/dev/ceph-{number:08x}/osd-block-{number:08x}");
    Ok(json!({
        "osd": {
            "id": number, "hostname": osd.host, "osd_data": format!("/var/lib/ceph/osd/ceph-{number}"),
            "osd_objectstore": "bluestore", "pid": 2000 + number, "version": version_of(ceph, osd.version.as_str())
                ["ceph_version"], "mem_usage": 1_u64 << 31, "encrypted": 0,
            "front_addr": address(6802), "back_addr": address(6804), "hb_front_addr": address(6806),
            "hb_back_addr": address(6808),
        },
        "devices": [{
            "device": "block", "dev_node": "dm-0", "devices": "sdb", "physical_device": "sdb",
            "size": osd.total_bytes, "type": "ssd", "support_discard": 1, "path": path,
        }],
    })
    .into())
}

/// An index of the paths below one pool.
fn pool(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let name = call.args.text("name");
    match ceph.pools.values().any(|pool| pool.name == name) {
        true => Ok(json!([{"subdir": "status"}]).into()),
        false => Err(CallRefused::failed(format!("mon_cmd failed -  unrecognized pool '{name}'"))),
    }
}

fn config_db(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    ceph_of(call)?;
    Ok(json!([{
        "section": "mon", "name": "auth_allow_insecure_global_id_reclaim", "value": "false", "level": "advanced",
        "can_update_at_runtime": 1, "mask": "",
    }])
    .into())
}

/// Of `section:key` pairs, those that `ceph.conf` has.
fn config_values(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let known = [("fsid", ceph.fsid.as_str()), ("osd_pool_default_size", "3"), ("osd_pool_default_min_size", "2")];
    let wanted = call.args.text("config-keys").split([';', ',', ' ']).filter_map(|key| key.split_once(':'));
    let mut found = serde_json::Map::new();
    for (section, key) in wanted {
        let value = known.iter().find(|(name, _)| section == "global" && *name == key.replace('-', "_"));
        if let Some((_, value)) = value {
            let entry = found.entry(section.to_owned()).or_insert_with(|| json!({}));
            entry[key] = json!(value);
        }
    }
    Ok(Value::Object(found).into())
}

fn log(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ceph = ceph_of(call)?;
    let (status, checks) = ceph.health(call.world.now_ms);
    let mut lines = vec![format!("overall {status}")];
    lines.extend(checks.iter().map(|check| format!("Health check update: {} ({})", check.summary, check.code)));
    Ok(super::tasks::page(call, &lines))
}

/// What this release of PVE offers.
fn releases(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let installed = call.here().installed("ceph-osd").or(call.here().installed("ceph"));
    let installed = installed.map(|version| upstream(version.as_str()).to_owned()).unwrap_or_default();
    let list = [("squid", "19.2", false), ("tentacle", "20.2", true)].map(|(name, version, is_default)| {
        let newer = installed.as_str() <= version;
        json!({
            "release": name, "version": version, "is-default": u8::from(is_default), "unsupported": 0,
            "available": u8::from(newer || installed.starts_with(version)),
        })
    });
    Ok(list.into_iter().collect::<Value>().into())
}
