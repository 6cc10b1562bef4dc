//! `/nodes/{node}/qemu` and `/nodes/{node}/lxc`: lists, configuration, state now, snapshots.

use quorate_core::ids::GuestKind;
use quorate_world::guest::{Activity, Guest};
use serde_json::{Map, Value, json};

use super::cluster::{guest_ha_state, memory_of};
use super::config::{digest, disk_total, entries};
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::upstream;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/qemu", list),
    route("GET", "/nodes/{node}/lxc", list),
    route("GET", "/nodes/{node}/qemu/{vmid}/config", config),
    route("GET", "/nodes/{node}/lxc/{vmid}/config", config),
    route("GET", "/nodes/{node}/qemu/{vmid}/status/current", vm_current),
    route("GET", "/nodes/{node}/lxc/{vmid}/status/current", ct_current),
];

/// A VM or container in the list of its node: the true state, as the node itself knows it.
fn entry(call: &Call<'_>, guest: &Guest) -> Map<String, Value> {
    let runs = guest.runs_on.contains(&call.node);
    let used = if runs { memory_of(guest) } else { 0 };
    let mut entry = object(json!({
        "vmid": guest.id.vmid,
        "name": guest.name,
        "status": if runs { "running" } else { "stopped" },
        "cpus": guest.cores,
        "cpu": if runs { json!(0.05) } else { json!(0) },
        "maxmem": guest.memory_bytes,
        "mem": used,
        "maxdisk": disk_total(guest),
        "disk": 0,
        "netin": 0,
        "netout": 0,
        "uptime": if runs { guest.uptime_s(call.world.now_ms) } else { 0 },
    }));
    if call.release() >= (9, 0) {
        entry.insert("memhost".into(), json!(used));
    }
    if runs {
        entry.insert("pid".into(), json!(guest.pid));
        if call.release() >= (9, 0) {
            for resource in ["cpu", "io", "memory"] {
                entry.insert(format!("pressure{resource}some"), json!(0));
                entry.insert(format!("pressure{resource}full"), json!(0));
            }
        }
    }
    if guest.template {
        entry.insert("template".into(), json!(1));
    }
    if !guest.tags.is_empty() {
        entry.insert("tags".into(), json!(guest.tags.join(";")));
    }
    if let Some(lock) = &guest.lock {
        entry.insert("lock".into(), json!(lock));
    }
    if guest.id.kind == GuestKind::Ct {
        entry.extend(object(json!({
            "type": "lxc", "swap": 0, "maxswap": 512_u64 << 20, "diskread": 0, "diskwrite": 0,
        })));
    }
    entry
}

fn list(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let kind = call.kind();
    let here = call.here().guests.iter().filter_map(|id| call.world.guests.get(id));
    let visible = here.filter(|guest| guest.id.kind == kind && call.sees_guest(guest.id));
    Ok(visible.map(|guest| Value::Object(entry(call, guest))).collect::<Value>().into())
}

fn config(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let mut found: Map<String, Value> = entries(guest).into_iter().collect();
    // Raw settings of a container are a list of pairs.
    let raw: Vec<(String, Value)> = found
        .iter()
        .filter(|(key, _)| key.starts_with("lxc."))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !raw.is_empty() {
        found.retain(|key, _| !key.starts_with("lxc."));
        found.insert("lxc".into(), json!(raw));
    }
    found.insert("digest".into(), json!(digest(guest)));
    Ok(Value::Object(found).into())
}

fn vm_current(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let mut found = current(call, guest);
    let runs = guest.runs_on.contains(&call.node);
    let qmp = match guest.activity {
        _ if !runs => "stopped",
        Activity::Running | Activity::Starting if guest.stalled => "io-error",
        _ => "running",
    };
    found.insert("qmpstatus".into(), json!(qmp));
    if runs {
        if let Some(version) = &guest.running_qemu {
            // QEMU's own number, without the package's revision.
            found.insert("running-qemu".into(), json!(upstream(version.as_str())));
        }
        if let Some(machine) = &guest.running_machine {
            found.insert("running-machine".into(), json!(machine));
        }
        found.insert("balloon".into(), json!(guest.memory_bytes));
    }
    if guest.agent {
        found.insert("agent".into(), json!(1));
    }
    Ok(Value::Object(found).into())
}

fn ct_current(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    Ok(Value::Object(current(call, guest)).into())
}

fn current(call: &Call<'_>, guest: &Guest) -> Map<String, Value> {
    let mut found = entry(call, guest);
    let ha = match guest_ha_state(call.world, guest) {
        Some(state) => json!({"managed": 1, "state": state}),
        None => json!({"managed": 0}),
    };
    found.insert("ha".into(), ha);
    found
}
