//! Moving guests: what prevents a move, and the request to move.

use quorate_core::ids::{GuestId, GuestKind};
use quorate_world::guest::{Disk, Guest, Media};
use quorate_world::migration::{MigrateRequest, Precondition};
use quorate_world::target_storage::TargetStorage;
use serde_json::{Map, Value, json};

use super::config::volid;
use super::power::root_only;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::schema::Release;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/qemu/{vmid}/migrate", vm_precondition),
    route("GET", "/nodes/{node}/lxc/{vmid}/migrate", ct_precondition),
    route("POST", "/nodes/{node}/qemu/{vmid}/migrate", migrate),
    route("POST", "/nodes/{node}/lxc/{vmid}/migrate", migrate),
];

/// What prevents a move to each node. It does not say whether the node is up, has enough memory or supports the CPU.
fn vm_precondition(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = call.guest()?.id;
    let found = call.world.migrate_precondition(&call.node, id)?;
    let release = call.release();
    let mut data = object(json!({
        "running": u8::from(found.running),
        "local_disks": local_disks(call.guest()?, &found.local_disks),
        "local_resources": found.local_resources,
        "mapped-resources": [],
    }));
    if release >= (8, 4) {
        data.insert("mapped-resource-info".into(), json!({}));
    }
    if release >= (9, 0) {
        data.insert("has-dbus-vmstate".into(), json!(1));
        if call.world.ha.resources.contains_key(&id) {
            data.insert("dependent-ha-resources".into(), json!(found.dependent_ha));
        }
    }
    // Before 8.4 nothing is said about the nodes while the guest runs.
    if release >= (8, 4) || !found.running {
        data.insert("allowed_nodes".into(), json!(found.allowed));
        data.insert("not_allowed_nodes".into(), Value::Object(refused(&found, release)));
    }
    Ok(Value::Object(data).into())
}

/// Every other node from 8.4 on, those allowed with an empty object; only those with a reason before.
fn refused(found: &Precondition, release: Release) -> Map<String, Value> {
    let mut nodes = Map::new();
    if release >= (8, 4) {
        nodes.extend(found.allowed.iter().map(|node| (node.to_string(), json!({}))));
    }
    for (node, refusal) in &found.refused {
        let mut reasons = Map::new();
        if !refusal.unavailable_storages.is_empty() {
            reasons.insert("unavailable_storages".into(), json!(refusal.unavailable_storages));
        }
        if !refusal.blocking_ha.is_empty() && release >= (9, 0) {
            reasons.insert("blocking-ha-resources".into(), super::ha::blocking(&refusal.blocking_ha));
        }
        nodes.insert(node.to_string(), reasons.into());
    }
    nodes
}

fn local_disks(guest: &Guest, disks: &[Disk]) -> Value {
    let entry = |disk: &Disk| {
        let cloudinit = disk.volume.contains("cloudinit");
        let mut entry = object(json!({
            "volid": volid(disk),
            "drivename": disk.key,
            "size": disk.size_bytes,
            "cdrom": u8::from(disk.media == Media::Cdrom),
            "shared": 0,
            "replicate": 1,
            "is_attached": 1,
            "is_unused": u8::from(disk.key.starts_with("unused")),
            "is_vmstate": 0,
            "is_tpmstate": u8::from(disk.key.starts_with("tpmstate")),
            "is_cloudinit": u8::from(cloudinit),
        }));
        if !guest.snapshots.is_empty() && disk.media == Media::Disk {
            entry.insert(
                "referenced_in_snapshot".into(),
                guest.snapshots.iter().map(|name| (name.clone(), json!(1))).collect::<Map<_, _>>().into(),
            );
        }
        Value::Object(entry)
    };
    disks.iter().map(entry).collect()
}

fn ct_precondition(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = call.guest()?.id;
    let found = call.world.migrate_precondition(&call.node, id)?;
    let refused: Map<_, _> = found
        .refused
        .iter()
        .filter(|(_, refusal)| !refusal.blocking_ha.is_empty())
        .map(|(node, refusal)| {
            (node.to_string(), json!({"blocking-ha-resources": super::ha::blocking(&refusal.blocking_ha)}))
        })
        .collect();
    // Hyphens here, underscores for VMs; and nothing about disks and mount points.
    let allowed: Vec<_> =
        call.world.nodes.keys().filter(|node| **node != call.node && !refused.contains_key(node.as_str())).collect();
    Ok(json!({
        "running": u8::from(found.running),
        "allowed-nodes": allowed,
        "not-allowed-nodes": refused,
        "dependent-ha-resources": found.dependent_ha,
    })
    .into())
}

/// The map of storages, and what it takes to send one: a privilege to change the guest's disks, and one for each storage
/// that it names.
fn target_storage(call: &Call<'_>, id: GuestId) -> Result<Option<TargetStorage>, CallRefused> {
    let key = if id.kind == GuestKind::Vm { "targetstorage" } else { "target-storage" };
    let Some(text) = call.args.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
    let is_id = |text: &str| crate::schema::format("pve-storage-id", text);
    let map = TargetStorage::parse(text, is_id)
        .map_err(|why| CallRefused::parameter(key, format!("failed to parse storage map: {why}")))?;
    if !map.identity {
        call.require(&format!("/vms/{}", id.vmid), &["VM.Config.Disk"])?;
    }
    for storage in map.targets() {
        call.world.storage_enabled(storage, &call.args.text("target").into())?;
        call.require(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        call.world.storage_takes(storage, id.kind)?;
    }
    Ok(Some(map))
}

fn migrate(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    root_only(call)?;
    let id = call.guest_id()?;
    let request = MigrateRequest {
        target: call.args.text("target").to_owned(),
        online: call.args.is_on("online"),
        restart: call.args.is_on("restart"),
        with_local_disks: call.args.is_on("with-local-disks"),
        with_conntrack_state: call.args.is_on("with-conntrack-state"),
        storages: target_storage(call, id)?,
        user: call.caller.auth_id(),
    };
    Ok(json!(call.world.migrate(&call.node, id, request)?).into())
}
