//! Moving guests, and starting and stopping them.

use quorate_core::ids::{GuestId, GuestKind};
use serde_json::{Map, Value, json};

use super::cluster::object;
use super::config::volid;
use super::{Call, Needs, Route, route, since};
use crate::wire::answer::{Refusal, Reply};
use crate::wire::params::{Kind, Param, opt, req, since as param_since};
use crate::world::guest::{Disk, Guest, Media};
use crate::world::migration::{MigrateRequest, Precondition};

const MIGRATE: Needs = Needs::Privilege("/vms/{vmid}", &["VM.Migrate"]);
const POWER: Needs = Needs::Privilege("/vms/{vmid}", &["VM.PowerMgmt"]);
const SHUTDOWN: &[Param] = &[
    opt("timeout", Kind::Integer(0, i64::MAX)),
    opt("forceStop", Kind::Boolean),
    opt("keepActive", Kind::Boolean),
    opt("skiplock", Kind::Boolean),
];

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/qemu/{vmid}/migrate", MIGRATE, &[opt("target", Kind::Node)], vm_precondition),
    since(
        (9, 0),
        route("GET", "/nodes/{node}/lxc/{vmid}/migrate", MIGRATE, &[opt("target", Kind::Node)], ct_precondition),
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/migrate",
        MIGRATE,
        &[
            req("target", Kind::Node),
            opt("online", Kind::Boolean),
            opt("with-local-disks", Kind::Boolean),
            opt("targetstorage", Kind::Text),
            opt("bwlimit", Kind::Integer(0, i64::MAX)),
            opt("force", Kind::Boolean),
            opt("migration_type", Kind::Enum(&["secure", "insecure"])),
            opt("migration_network", Kind::Text),
            param_since((9, 0), opt("with-conntrack-state", Kind::Boolean)),
        ],
        vm_migrate,
    ),
    route(
        "POST",
        "/nodes/{node}/lxc/{vmid}/migrate",
        MIGRATE,
        &[
            req("target", Kind::Node),
            opt("online", Kind::Boolean),
            opt("restart", Kind::Boolean),
            opt("timeout", Kind::Integer(i64::MIN, i64::MAX)),
            opt("target-storage", Kind::Text),
            opt("bwlimit", Kind::Integer(0, i64::MAX)),
        ],
        ct_migrate,
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/start",
        POWER,
        &[
            opt("skiplock", Kind::Boolean),
            opt("timeout", Kind::Integer(0, i64::MAX)),
            opt("force-cpu", Kind::Text),
            opt("machine", Kind::Text),
            opt("migratedfrom", Kind::Node),
            opt("migration_network", Kind::Text),
            opt("migration_type", Kind::Enum(&["secure", "insecure"])),
            opt("stateuri", Kind::Text),
            opt("targetstorage", Kind::Text),
            param_since((9, 1), opt("nets-host-mtu", Kind::Text)),
            param_since((9, 0), opt("with-conntrack-state", Kind::Boolean)),
        ],
        vm_start,
    ),
    route(
        "POST",
        "/nodes/{node}/lxc/{vmid}/status/start",
        POWER,
        &[opt("skiplock", Kind::Boolean), opt("debug", Kind::Boolean)],
        ct_start,
    ),
    route("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown", POWER, SHUTDOWN, vm_shutdown),
    route(
        "POST",
        "/nodes/{node}/lxc/{vmid}/status/shutdown",
        POWER,
        &[opt("timeout", Kind::Integer(0, i64::MAX)), opt("forceStop", Kind::Boolean)],
        ct_shutdown,
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/status/stop",
        POWER,
        &[
            opt("timeout", Kind::Integer(0, i64::MAX)),
            opt("keepActive", Kind::Boolean),
            opt("migratedfrom", Kind::Node),
            opt("skiplock", Kind::Boolean),
            param_since((8, 2), opt("overrule-shutdown", Kind::Boolean)),
        ],
        vm_stop,
    ),
    route(
        "POST",
        "/nodes/{node}/lxc/{vmid}/status/stop",
        POWER,
        &[opt("skiplock", Kind::Boolean), param_since((8, 2), opt("overrule-shutdown", Kind::Boolean))],
        ct_stop,
    ),
    route(
        "POST",
        "/nodes/{node}/qemu/{vmid}/agent/ping",
        Needs::Privilege("/vms/{vmid}", &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"]),
        &[],
        agent_ping,
    ),
];

/// What stands in a guest's way to each node. It says nothing about whether the node is up, has room or knows the CPU.
fn vm_precondition(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.guest(GuestKind::Vm)?.id;
    let found = call.world.migrate_precondition(&call.node, id)?;
    let release = call.release();
    let mut data = object(json!({
        "running": u8::from(found.running),
        "local_disks": local_disks(call.guest(GuestKind::Vm)?, &found.local_disks),
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
fn refused(found: &Precondition, release: (u32, u32)) -> Map<String, Value> {
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

fn ct_precondition(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.guest(GuestKind::Ct)?.id;
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

/// What PVE's nodes say among each other, and no token may.
const ROOT_ONLY: [&str; 8] =
    ["force", "force-cpu", "machine", "migratedfrom", "migration_network", "migration_type", "skiplock", "stateuri"];

fn root_only(call: &Call<'_>) -> Result<(), Refusal> {
    let used = ROOT_ONLY.iter().find(|name| call.args.get(name).is_some() && !call.caller.is_root());
    used.map_or(Ok(()), |name| Err(Refusal::parameter(name, "Only root may use this option.")))
}

fn vm_migrate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    root_only(call)?;
    let id = call.guest_id(GuestKind::Vm)?;
    migrate(call, id)
}

fn ct_migrate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let id = call.guest_id(GuestKind::Ct)?;
    migrate(call, id)
}

fn migrate(call: &mut Call<'_>, id: GuestId) -> Result<Reply, Refusal> {
    let request = MigrateRequest {
        target: call.args.text("target").to_owned(),
        online: call.args.is_on("online"),
        restart: call.args.is_on("restart"),
        with_local_disks: call.args.is_on("with-local-disks"),
        user: call.caller.auth_id(),
    };
    Ok(json!(call.world.migrate(&call.node, id, request)?).into())
}

fn vm_start(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    start(call, GuestKind::Vm)
}

fn ct_start(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    start(call, GuestKind::Ct)
}

fn start(call: &mut Call<'_>, kind: GuestKind) -> Result<Reply, Refusal> {
    root_only(call)?;
    let id = call.guest(kind)?.id;
    let user = call.caller.auth_id();
    Ok(json!(call.world.guest_start(&call.node, id, &user)?).into())
}

fn vm_shutdown(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    shutdown(call, GuestKind::Vm)
}

fn ct_shutdown(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    shutdown(call, GuestKind::Ct)
}

fn shutdown(call: &mut Call<'_>, kind: GuestKind) -> Result<Reply, Refusal> {
    root_only(call)?;
    let id = call.guest(kind)?.id;
    let user = call.caller.auth_id();
    let timeout_s = call.args.number("timeout").unwrap_or(60);
    let force = call.args.is_on("forceStop");
    Ok(json!(call.world.guest_shutdown(&call.node, id, timeout_s, force, &user)?).into())
}

fn vm_stop(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    stop(call, GuestKind::Vm)
}

fn ct_stop(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    stop(call, GuestKind::Ct)
}

fn stop(call: &mut Call<'_>, kind: GuestKind) -> Result<Reply, Refusal> {
    root_only(call)?;
    let id = call.guest(kind)?.id;
    let user = call.caller.auth_id();
    Ok(json!(call.world.guest_stop(&call.node, id, &user)?).into())
}

fn agent_ping(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let guest = call.guest(GuestKind::Vm)?;
    if !guest.agent {
        return Err(Refusal::failed("No QEMU guest agent configured"));
    }
    if !guest.serves() {
        return Err(Refusal::failed("QEMU guest agent is not running"));
    }
    Ok(json!({}).into())
}
