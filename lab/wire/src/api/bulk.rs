//! Many guests at once: those of a node, or any in the cluster.

use quorate_core::ids::{GuestId, NodeName};
use quorate_world::WorldError;
use quorate_world::bulk::BulkKind;
use serde_json::json;

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply};

pub(super) const ROUTES: &[Route] = &[
    route("POST", "/nodes/{node}/startall", start_all),
    route("POST", "/nodes/{node}/stopall", stop_all),
    route("POST", "/nodes/{node}/migrateall", migrate_all),
    route("POST", "/cluster/bulk-action/guest/start", bulk_start),
    route("POST", "/cluster/bulk-action/guest/shutdown", bulk_shutdown),
    route("POST", "/cluster/bulk-action/guest/migrate", bulk_migrate),
];

/// Guests that the call concerns: those named, or all on `node` for which the caller has the privilege.
fn guests(call: &Call<'_>, node: Option<&NodeName>, privilege: &str) -> Result<Vec<GuestId>, CallRefused> {
    let named: Option<Vec<u32>> = call
        .args
        .get("vms")
        .map(|list| list.split([',', ';', ' ']).filter_map(|vmid| vmid.trim().parse().ok()).collect());
    let may = |id: &GuestId| call.may(&format!("/vms/{}", id.vmid), &[privilege]);
    let here = call.world.guests.values().filter(|guest| node.is_none_or(|node| guest.node == *node));
    let meant = here.filter(|guest| named.as_ref().is_none_or(|named| named.contains(&guest.id.vmid.0)));
    let found: Vec<GuestId> = meant.map(|guest| guest.id).collect();
    // A caller that names a guest needs the privilege for it; otherwise such guests are silently left out.
    match found.iter().find(|id| !may(id)) {
        Some(id) if named.is_some() => Err(CallRefused::Forbidden(format!("/vms/{}, {privilege}", id.vmid))),
        _ => Ok(found.into_iter().filter(|id| may(id)).collect()),
    }
}

fn given_workers(call: &Call<'_>) -> Option<usize> {
    let given = call.args.number("max-workers").or(call.args.number("maxworkers"));
    given.or(call.world.options.max_workers.map(u64::from)).and_then(|workers| usize::try_from(workers).ok())
}

fn run(call: &mut Call<'_>, task: &str, guests: Vec<GuestId>, kind: BulkKind, workers: usize) -> Reply {
    let (node, user) = (call.node.clone(), call.caller.auth_id());
    json!(call.world.bulk(&node, (task, ""), guests, kind, workers, &user)).into()
}

fn start_all(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.node.clone();
    let mut all = guests(call, Some(&node), "VM.PowerMgmt")?;
    // Without a list only those that start with their node.
    if call.args.get("vms").is_none() && !call.args.is_on("force") {
        all.retain(|id| call.world.guests.get(id).is_some_and(|guest| guest.onboot));
    }
    Ok(run(call, "startall", all, BulkKind::Start, 1))
}

fn shutdown(call: &Call<'_>) -> BulkKind {
    let force = call.args.switch("force-stop").unwrap_or(true);
    BulkKind::Shutdown { timeout_s: call.args.number("timeout").unwrap_or(180), force }
}

fn stop_all(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.node.clone();
    let all = guests(call, Some(&node), "VM.PowerMgmt")?;
    let workers = given_workers(call).unwrap_or(4);
    Ok(run(call, "stopall", all, shutdown(call), workers))
}

fn move_to(call: &Call<'_>) -> Result<BulkKind, CallRefused> {
    let target = NodeName::new(call.args.text("target"));
    if !call.world.nodes.contains_key(&target) {
        return Err(WorldError::NoSuchNode(target.to_string()).into());
    }
    Ok(BulkKind::Migrate { target, with_local_disks: call.args.is_on("with-local-disks") })
}

fn migrate_all(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    if call.args.text("target") == call.node.as_str() {
        return Err(CallRefused::parameter("target", "target is local node."));
    }
    let node = call.node.clone();
    let kind = move_to(call)?;
    let all = guests(call, Some(&node), "VM.Migrate")?;
    let name = if call.release() >= (9, 1) { "max-workers" } else { "maxworkers" };
    let workers = given_workers(call).ok_or_else(|| {
        CallRefused::failed(format!("either '{name}' parameter or max_workers in datacenter.cfg must be set!"))
    })?;
    Ok(run(call, "migrateall", all, kind, workers))
}

fn bulk_start(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let all = guests(call, None, "VM.PowerMgmt")?;
    let workers = given_workers(call).unwrap_or(1);
    Ok(run(call, "bulk-start", all, BulkKind::Start, workers))
}

fn bulk_shutdown(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let all = guests(call, None, "VM.PowerMgmt")?;
    let workers = given_workers(call).unwrap_or(1);
    Ok(run(call, "bulk-shutdown", all, shutdown(call), workers))
}

fn bulk_migrate(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let kind = move_to(call)?;
    let all = guests(call, None, "VM.Migrate")?;
    let workers = given_workers(call).unwrap_or(1);
    Ok(run(call, "bulk-migrate", all, kind, workers))
}
