//! Starting, stopping and pausing guests.

use quorate_core::ids::{GuestKind, StorageId};
use quorate_world::World;
use quorate_world::bulk::BulkKind;
use quorate_world::guest::Guest;
use serde_json::json;

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/nodes/{node}/qemu/{vmid}/status/start", start),
    route("POST", "/nodes/{node}/lxc/{vmid}/status/start", start),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown", shutdown),
    route("POST", "/nodes/{node}/lxc/{vmid}/status/shutdown", shutdown),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/stop", stop),
    route("POST", "/nodes/{node}/lxc/{vmid}/status/stop", stop),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/suspend", suspend),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/reset", reset),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/reboot", reboot),
    route("POST", "/nodes/{node}/lxc/{vmid}/status/reboot", reboot),
];

/// Calls that PVE's nodes make to each other, and that no token may make.
const ROOT_ONLY: [&str; 8] =
    ["force", "force-cpu", "machine", "migratedfrom", "migration_network", "migration_type", "skiplock", "stateuri"];

pub(super) fn root_only(call: &Call<'_>) -> Result<(), CallRefused> {
    let used = ROOT_ONLY.iter().find(|name| call.args.get(name).is_some() && !call.caller.is_root());
    used.map_or(Ok(()), |name| Err(CallRefused::parameter(name, "Only root may use this option.")))
}

fn start(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    root_only(call)?;
    let id = call.guest()?.id;
    let user = call.caller.auth_id();
    Ok(json!(call.world.guest_start(&call.node, id, &user)?).into())
}

fn shutdown(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    root_only(call)?;
    let id = call.guest()?.id;
    let user = call.caller.auth_id();
    let timeout_s = call.args.number("timeout").unwrap_or(60);
    let force = call.args.is_on("forceStop");
    Ok(json!(call.world.guest_shutdown(&call.node, id, timeout_s, force, &user)?).into())
}

fn stop(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    root_only(call)?;
    let id = call.guest()?.id;
    let user = call.caller.auth_id();
    Ok(json!(call.world.guest_stop(&call.node, id, &user)?).into())
}

/// To disk only: no guest of the lab is ever paused. In PVE's order: what the call itself refuses, and then the rights.
fn suspend(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    root_only(call)?;
    let guest = call.guest()?;
    let id = guest.id;
    if !call.args.is_on("todisk") {
        return Err(CallRefused::failed("the lab pauses no guests: it knows this call with todisk=1 only"));
    }
    if !guest.is_running() {
        return Err(CallRefused::failed(format!("VM {} not running", id.vmid)));
    }
    if call.world.ha_managed(id) {
        return Err(CallRefused::failed("Cannot suspend HA managed VM to disk"));
    }
    call.require(&format!("/vms/{}", id.vmid), &["VM.Config.Disk"])?;
    if guest.devices.keys().any(|key| key.starts_with("hostpci")) {
        return Err(CallRefused::failed(
            "cannot suspend VM to disk due to passed-through PCI device(s), which lack the possibility to save/restore \
             their internal state",
        ));
    }
    let named = call.args.get("statestorage").map(StorageId::new);
    let storage = named.unwrap_or_else(|| state_storage(call.world, guest));
    call.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    let user = call.caller.auth_id();
    Ok(json!(call.world.guest_hibernate(&call.node, id, &storage, &user)?).into())
}

/// Where PVE puts a state if it is not told: as configured, on a shared storage that the guest uses, on a local one.
fn state_storage(world: &World, guest: &Guest) -> StorageId {
    let used = guest.disks.iter().filter_map(|disk| world.storages.get(disk.storage.as_ref()?));
    let configured = guest.extra.get("vmstatestorage").map(StorageId::new);
    configured
        .or_else(|| used.max_by_key(|storage| storage.shared).map(|storage| storage.id.clone()))
        .unwrap_or_else(|| StorageId::new("local"))
}

/// The processor is reset; the process, and so everything that the world knows, stays.
fn reset(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    root_only(call)?;
    let guest = call.guest()?;
    let id = guest.id;
    if !guest.is_running() {
        return Err(CallRefused::failed(format!("VM {} not running", id.vmid)));
    }
    let user = call.caller.auth_id();
    Ok(json!(call.world.quick_task(&call.node, "qmreset", &id.vmid.to_string(), &user, "")).into())
}

/// Down and up again in one task.
fn reboot(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let id = guest.id;
    let (word, task) = if id.kind == GuestKind::Vm { ("VM", "qmreboot") } else { ("CT", "vzreboot") };
    if !guest.is_running() {
        return Err(CallRefused::failed(format!("{word} {} not running", id.vmid)));
    }
    let kind = BulkKind::Reboot { timeout_s: call.args.number("timeout").unwrap_or(60) };
    let (node, user) = (call.node.clone(), call.caller.auth_id());
    Ok(json!(call.world.bulk(&node, (task, &id.vmid.to_string()), vec![id], kind, 1, &user)).into())
}
