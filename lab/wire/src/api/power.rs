//! Starting, stopping and pausing guests.

use quorate_core::ids::GuestKind;
use quorate_world::bulk::BulkKind;
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
