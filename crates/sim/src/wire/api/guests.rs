//! `/nodes/{node}/qemu` and `/nodes/{node}/lxc`: lists, configuration, state now, snapshots.

use quorate_core::ids::GuestKind;
use serde_json::{Map, Value, json};

use super::cluster::{guest_ha_state, memory_of, object};
use super::config::{digest, disk_total, entries};
use super::{Call, Needs, Route, route};
use crate::wire::answer::{Refusal, Reply};
use crate::wire::params::{Kind, Param, opt};
use crate::wire::upstream;
use crate::world::WorldError;
use crate::world::guest::{Activity, Guest};

const AUDIT: Needs = Needs::Privilege("/vms/{vmid}", &["VM.Audit"]);
const CURRENT: &[Param] = &[opt("current", Kind::Boolean), opt("snapshot", Kind::Text)];

/// One of them lets a caller in; which keys he may then change is not looked at here, but for drives.
const CHANGE: &[&str] = &[
    "VM.Config.Disk",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.HWType",
    "VM.Config.Options",
    "VM.Config.Cloudinit",
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/qemu", Needs::Login, &[opt("full", Kind::Boolean)], vms),
    route("GET", "/nodes/{node}/lxc", Needs::Login, &[], containers),
    route("GET", "/nodes/{node}/qemu/{vmid}/config", AUDIT, CURRENT, vm_config),
    route("GET", "/nodes/{node}/lxc/{vmid}/config", AUDIT, CURRENT, ct_config),
    route(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/config",
        Needs::Privilege("/vms/{vmid}", CHANGE),
        &[
            opt("ide[n]", Kind::Text),
            opt("sata[n]", Kind::Text),
            opt("scsi[n]", Kind::Text),
            opt("virtio[n]", Kind::Text),
            opt("net[n]", Kind::Text),
            opt("name", Kind::Text),
            opt("description", Kind::Text),
            opt("tags", Kind::Text),
            opt("memory", Kind::Text),
            opt("cores", Kind::Integer(1, 1024)),
            opt("cpu", Kind::Text),
            opt("machine", Kind::Text),
            opt("onboot", Kind::Boolean),
            opt("delete", Kind::Text),
            opt("digest", Kind::Text),
            opt("force", Kind::Boolean),
            opt("revert", Kind::Text),
            opt("skiplock", Kind::Boolean),
        ],
        set_vm_config,
    ),
    route("GET", "/nodes/{node}/qemu/{vmid}/status/current", AUDIT, &[], vm_current),
    route("GET", "/nodes/{node}/lxc/{vmid}/status/current", AUDIT, &[], ct_current),
    route("GET", "/nodes/{node}/qemu/{vmid}/snapshot", AUDIT, &[], vm_snapshots),
    route("GET", "/nodes/{node}/lxc/{vmid}/snapshot", AUDIT, &[], ct_snapshots),
];

/// A VM or container in the list of its node: the truth, as the node itself knows it.
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

fn list(call: &Call<'_>, kind: GuestKind) -> Value {
    let here = call.world.guests.values().filter(|guest| guest.node == call.node && guest.id.kind == kind);
    let visible = here.filter(|guest| call.may(&format!("/vms/{}", guest.id.vmid), &["VM.Audit"]));
    visible.map(|guest| Value::Object(entry(call, guest))).collect()
}

fn vms(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(list(call, GuestKind::Vm).into())
}

fn containers(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(list(call, GuestKind::Ct).into())
}

fn vm_config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    config(call, GuestKind::Vm)
}

fn ct_config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    config(call, GuestKind::Ct)
}

fn config(call: &mut Call<'_>, kind: GuestKind) -> Result<Reply, Refusal> {
    let guest = call.guest(kind)?;
    let mut found: Map<String, Value> = entries(guest).into_iter().collect();
    found.insert("digest".into(), json!(digest(guest)));
    Ok(Value::Object(found).into())
}

/// Only drives are changed; any other key is taken and forgotten, which the world does not mind.
fn set_vm_config(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.guest(GuestKind::Vm)?.id;
    let known = digest(call.guest(GuestKind::Vm)?);
    if call.args.get("digest").is_some_and(|sent| sent != known) {
        return Err(Refusal::failed("detected modified configuration - file changed by other user? Try again."));
    }
    let is_drive = |name: &str| ["ide", "sata", "scsi", "virtio"].iter().any(|bus| name.starts_with(bus));
    let drives: Vec<(String, String)> = call
        .args
        .iter()
        .filter(|(name, _)| is_drive(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if drives.is_empty() && !call.world.corosync.quorate(&call.node) {
        let path = format!("nodes/{}/qemu-server/{}.conf", call.node, id.vmid);
        return Err(WorldError::ReadOnly { path, pid: 153 }.into());
    }
    for (key, value) in drives {
        // A CD drive has a privilege of its own.
        let needed = if value.contains("media=cdrom") { "VM.Config.CDROM" } else { "VM.Config.Disk" };
        if !call.may(&format!("/vms/{}", id.vmid), &[needed]) {
            return Err(Refusal::Forbidden(format!("/vms/{}, {needed}", id.vmid)));
        }
        call.world.guest_set_drive(&call.node, id, &key, &value)?;
    }
    Ok(Value::Null.into())
}

fn vm_current(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest(GuestKind::Vm)?;
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

fn ct_current(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest(GuestKind::Ct)?;
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

fn vm_snapshots(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    snapshots(call, GuestKind::Vm)
}

fn ct_snapshots(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    snapshots(call, GuestKind::Ct)
}

/// Snapshots, and at the end the present state, which PVE counts as one.
fn snapshots(call: &mut Call<'_>, kind: GuestKind) -> Result<Reply, Refusal> {
    let guest = call.guest(kind)?;
    let mut parent: Option<&String> = None;
    let mut list = Vec::new();
    for name in &guest.snapshots {
        let mut entry =
            object(json!({"name": name, "description": "", "snaptime": call.world.started_ms / 1000, "vmstate": 0}));
        if let Some(parent) = parent {
            entry.insert("parent".into(), json!(parent));
        }
        list.push(Value::Object(entry));
        parent = Some(name);
    }
    let mut now = object(json!({
        "name": "current", "description": "You are here!", "digest": digest(guest),
        "running": u8::from(guest.is_running()),
    }));
    if let Some(parent) = parent {
        now.insert("parent".into(), json!(parent));
    }
    list.push(Value::Object(now));
    Ok(Value::Array(list).into())
}
