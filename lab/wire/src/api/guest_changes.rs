//! Changes of a guest's configuration, snapshots, and calls that only some guests answer.

use quorate_core::ids::{GuestId, GuestKind};
use quorate_world::WorldError;
use quorate_world::guest::Guest;
use serde_json::{Map, Value, json};

use super::config::{digest, entries};
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};

pub(super) const ROUTES: &[Route] = &[
    route("PUT", "/nodes/{node}/qemu/{vmid}/config", set_config),
    route("POST", "/nodes/{node}/qemu/{vmid}/config", set_config_in_a_task),
    route("PUT", "/nodes/{node}/lxc/{vmid}/config", set_config),
    route("GET", "/nodes/{node}/qemu/{vmid}/pending", pending),
    route("GET", "/nodes/{node}/lxc/{vmid}/pending", pending),
    route("GET", "/nodes/{node}/qemu/{vmid}/feature", feature),
    route("GET", "/nodes/{node}/qemu/{vmid}/agent/get-osinfo", os_info),
    route("POST", "/nodes/{node}/qemu/{vmid}/agent/ping", agent_ping),
    route("POST", "/nodes/{node}/qemu/{vmid}/dbus-vmstate", dbus_vmstate),
    route("PUT", "/nodes/{node}/qemu/{vmid}/resize", resize),
    route("PUT", "/nodes/{node}/lxc/{vmid}/resize", resize),
    route("GET", "/nodes/{node}/qemu/{vmid}/snapshot", snapshots),
    route("GET", "/nodes/{node}/lxc/{vmid}/snapshot", snapshots),
    route("POST", "/nodes/{node}/qemu/{vmid}/snapshot", take_snapshot),
    route("POST", "/nodes/{node}/lxc/{vmid}/snapshot", take_snapshot),
    route("GET", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", snapshot),
    route("GET", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", snapshot),
    route("GET", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config", snapshot_config),
    route("GET", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config", snapshot_config),
    route("DELETE", "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", remove_snapshot),
    route("DELETE", "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", remove_snapshot),
];

/// Which privilege a key of the configuration needs.
fn privilege_for(key: &str, value: &str) -> &'static str {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match stem {
        "ide" | "sata" | "scsi" | "virtio" if value.contains("media=cdrom") => "VM.Config.CDROM",
        "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "rootfs" | "mp" | "unused" => "VM.Config.Disk",
        "cdrom" => "VM.Config.CDROM",
        "cores" | "sockets" | "cpu" | "vcpus" | "cpulimit" | "cpuunits" | "numa" | "affinity" => "VM.Config.CPU",
        "memory" | "balloon" | "shares" | "swap" | "hugepages" => "VM.Config.Memory",
        "net" | "ipconfig" | "nameserver" | "searchdomain" | "hostname" => "VM.Config.Network",
        "ciuser" | "cipassword" | "citype" | "cicustom" | "sshkeys" | "ciupgrade" => "VM.Config.Cloudinit",
        "hostpci" | "usb" | "serial" | "parallel" | "machine" | "bios" | "scsihw" | "vga" | "arch" | "audio"
        | "watchdog" | "dev" | "tablet" | "keyboard" => "VM.Config.HWType",
        _ => "VM.Config.Options",
    }
}

fn is_drive(key: &str) -> bool {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.len() < key.len() && matches!(stem, "ide" | "sata" | "scsi" | "virtio")
}

/// Parameters that control the call and are not keys of the file.
const NOT_KEYS: [&str; 11] = [
    "node",
    "vmid",
    "delete",
    "digest",
    "force",
    "revert",
    "skiplock",
    "background_delay",
    "import-working-storage",
    "lock",
    "template",
];

fn set_config(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    change(call)?;
    Ok(Value::Null.into())
}

fn set_config_in_a_task(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = change(call)?;
    let user = call.caller.auth_id();
    Ok(json!(call.world.quick_task(&call.node, "qmconfig", &id.vmid.to_string(), &user, "")).into())
}

/// Changes keys of a guest's file. Drives are left to the world; the rest is what its lists and files show.
fn change(call: &mut Call<'_>) -> Result<GuestId, CallRefused> {
    let guest = call.guest()?;
    let (id, known) = (guest.id, digest(guest));
    if call.args.get("skiplock").is_some() && !call.caller.is_root() {
        return Err(CallRefused::parameter("skiplock", "Only root may use this option."));
    }
    if call.args.get("digest").is_some_and(|sent| sent != known) {
        return Err(CallRefused::failed("detected modified configuration - file changed by other user? Try again."));
    }
    if !call.args.is_on("skiplock") {
        unlocked(guest)?;
    }
    let given: Vec<(String, String)> = call
        .args
        .iter()
        .filter(|(key, _)| !NOT_KEYS.contains(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let deleted: Vec<String> =
        call.args.text("delete").split([',', ' ', ';']).filter(|key| !key.is_empty()).map(str::to_owned).collect();
    let path = format!("/vms/{}", id.vmid);
    for (key, value) in &given {
        call.require(&path, &[privilege_for(key, value)])?;
    }
    for key in &deleted {
        call.require(&path, &[privilege_for(key, "")])?;
    }
    call.writes(&format!("nodes/{}/{}/{}.conf", call.node, directory(id), id.vmid))?;
    for (key, value) in given {
        match is_drive(&key) && id.kind == GuestKind::Vm {
            true => call.world.guest_set_drive(&call.node, id, &key, &value)?,
            false => set_key(call, id, &key, Some(&value)),
        }
    }
    for key in deleted {
        match is_drive(&key) && id.kind == GuestKind::Vm {
            true => remove_drive(call, id, &key),
            false => set_key(call, id, &key, None),
        }
    }
    Ok(id)
}

fn directory(id: GuestId) -> &'static str {
    match id.kind {
        GuestKind::Vm => "qemu-server",
        GuestKind::Ct => "lxc",
    }
}

fn remove_drive(call: &mut Call<'_>, id: GuestId, key: &str) {
    if let Some(guest) = call.world.guests.get_mut(&id) {
        guest.disks.retain(|disk| disk.key != key);
    }
}

/// Sets one key, or removes it if the value is none. What the world models goes there, all else is kept as text.
fn set_key(call: &mut Call<'_>, id: GuestId, key: &str, value: Option<&str>) {
    let Some(guest) = call.world.guests.get_mut(&id) else { return };
    let on = value.and_then(crate::schema::boolean).unwrap_or(false);
    let number = value.and_then(|value| value.parse::<u32>().ok());
    match key {
        "name" | "hostname" => guest.name = value.unwrap_or_default().to_owned(),
        "onboot" => guest.onboot = on,
        "agent" => guest.agent = value.is_some_and(|value| value.starts_with('1') || value.contains("enabled=1")),
        "cores" => guest.cores = number.unwrap_or(1),
        "memory" => guest.memory_bytes = u64::from(number.unwrap_or(512)) << 20,
        "cpu" => guest.cpu = value.unwrap_or("kvm64").to_owned(),
        "machine" => guest.machine = value.map(str::to_owned),
        "ostype" => guest.ostype = value.unwrap_or("other").to_owned(),
        "tags" => {
            let parts = value.unwrap_or_default().split([',', ';', ' ']).filter(|tag| !tag.is_empty());
            guest.tags = parts.map(str::to_owned).collect();
        }
        _ if ["hostpci", "usb", "serial", "parallel"].iter().any(|kind| key.starts_with(kind)) => match value {
            Some(value) => drop(guest.devices.insert(key.to_owned(), value.to_owned())),
            None => drop(guest.devices.remove(key)),
        },
        _ => match value {
            Some(value) => drop(guest.extra.insert(key.to_owned(), value.to_owned())),
            None => drop(guest.extra.remove(key)),
        },
    }
}

/// Nothing is ever pending in the lab: a change takes effect at once.
fn pending(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let mut list: Vec<_> = entries(guest).into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    list.push(json!({"key": "digest", "value": digest(guest)}));
    Ok(Value::Array(list).into())
}

fn feature(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let has = match call.args.text("feature") {
        "snapshot" | "clone" => guest.devices.is_empty(),
        _ => true,
    };
    let nodes: Vec<_> = if has { call.world.nodes.keys().collect() } else { Vec::new() };
    Ok(json!({"hasFeature": u8::from(has), "nodes": nodes}).into())
}

fn agent_answers(call: &Call<'_>) -> Result<(), CallRefused> {
    let guest = call.guest()?;
    if !guest.agent {
        return Err(CallRefused::failed("No QEMU guest agent configured"));
    }
    if !guest.is_running() {
        return Err(CallRefused::failed(format!("VM {} is not running", guest.id.vmid)));
    }
    if !guest.serves() {
        return Err(CallRefused::failed("QEMU guest agent is not running"));
    }
    Ok(())
}

fn agent_ping(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    agent_answers(call)?;
    Ok(json!({"result": {}}).into())
}

fn os_info(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    agent_answers(call)?;
    Ok(json!({"result": {
        "id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13 (trixie)", "version": "13 (trixie)",
        "version-id": "13", "machine": "x86_64", "kernel-release": "6.12.48+deb13-amd64",
        "kernel-version": "#1 SMP PREEMPT_DYNAMIC",
    }})
    .into())
}

fn dbus_vmstate(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    match guest.is_running() {
        true => Ok(Value::Null.into()),
        false => Err(CallRefused::failed(format!("VM {} is not running", guest.id.vmid))),
    }
}

/// Parses `+8G` or `40G`. Shrinking is refused.
fn resize(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let id = guest.id;
    unlocked(guest)?;
    let key = call.args.text("disk").to_owned();
    let disk = guest.disks.iter().find(|disk| disk.key == key);
    let disk = disk.ok_or_else(|| CallRefused::failed(format!("disk '{key}' does not exist")))?;
    let text = call.args.text("size");
    let (grows, number) = text.strip_prefix('+').map_or((false, text), |number| (true, number));
    let factor = match number.chars().last() {
        Some('K') => 1_u64 << 10,
        Some('M') => 1 << 20,
        Some('G') => 1 << 30,
        Some('T') => 1 << 40,
        _ => 1,
    };
    let number: f64 = number.trim_end_matches(['K', 'M', 'G', 'T']).parse().unwrap_or(0.0);
    let asked = (number * factor as f64) as u64;
    let size = if grows { disk.size_bytes.saturating_add(asked) } else { asked };
    if size < disk.size_bytes {
        return Err(CallRefused::failed("shrinking disks is not supported"));
    }
    call.writes(&format!("nodes/{}/{}/{}.conf", call.node, directory(id), id.vmid))?;
    if let Some(disk) = call.world.guests.get_mut(&id).and_then(|guest| guest.disks.iter_mut().find(|d| d.key == key)) {
        disk.size_bytes = size;
    }
    let user = call.caller.auth_id();
    Ok(json!(call.world.quick_task(&call.node, "resize", &id.vmid.to_string(), &user, "")).into())
}

/// Snapshots, and at the end the present state, which PVE counts as one.
fn snapshots(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let mut parent: Option<&String> = None;
    let mut list = Vec::new();
    for name in &guest.snapshots {
        let mut entry = object(snapshot_entry(call, name));
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

fn snapshot_entry(call: &Call<'_>, name: &str) -> Value {
    let mut entry = object(json!({"name": name, "description": "", "snaptime": call.world.started_ms / 1000}));
    if call.kind() == GuestKind::Vm {
        entry.insert("vmstate".into(), json!(0));
    }
    entry.into()
}

fn named(call: &Call<'_>) -> Result<String, CallRefused> {
    let name = call.args.text("snapname");
    match call.guest()?.snapshots.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(CallRefused::failed(format!("snapshot '{name}' does not exist"))),
    }
}

fn take_snapshot(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let id = guest.id;
    unlocked(guest)?;
    let name = call.args.text("snapname").to_owned();
    if name == "current" {
        return Err(CallRefused::failed("unable to use snapshot name 'current' (reserved name)"));
    }
    call.writes(&format!("nodes/{}/{}/{}.conf", call.node, directory(id), id.vmid))?;
    if guest.snapshots.contains(&name) {
        return Err(CallRefused::failed(format!("snapshot name '{name}' already used")));
    }
    if let Some(guest) = call.world.guests.get_mut(&id) {
        guest.snapshots.push(name);
    }
    snapshot_task(call, id, "snapshot")
}

fn remove_snapshot(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = named(call)?;
    let id = call.guest()?.id;
    unlocked(call.guest()?)?;
    call.writes(&format!("nodes/{}/{}/{}.conf", call.node, directory(id), id.vmid))?;
    if let Some(guest) = call.world.guests.get_mut(&id) {
        guest.snapshots.retain(|known| *known != name);
    }
    snapshot_task(call, id, "delsnapshot")
}

fn snapshot_task(call: &mut Call<'_>, id: GuestId, what: &str) -> Result<Reply, CallRefused> {
    let prefix = if id.kind == GuestKind::Vm { "qm" } else { "vz" };
    let user = call.caller.auth_id();
    let upid = call.world.quick_task(&call.node, &format!("{prefix}{what}"), &id.vmid.to_string(), &user, "");
    Ok(json!(upid).into())
}

fn snapshot(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    named(call)?;
    Ok(json!([{"cmd": "rollback"}, {"cmd": "config"}]).into())
}

fn snapshot_config(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    named(call)?;
    let mut found: Map<String, Value> = entries(call.guest()?).into_iter().collect();
    found.insert("snaptime".into(), json!(call.world.started_ms / 1000));
    found.remove("lock");
    Ok(Value::Object(found).into())
}

/// A lock in its file blocks every change of a guest.
fn unlocked(guest: &Guest) -> Result<(), CallRefused> {
    match &guest.lock {
        Some(lock) => Err(WorldError::Locked { kind: guest.id.kind, lock: lock.clone() }.into()),
        None => Ok(()),
    }
}
