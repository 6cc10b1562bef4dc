//! `/cluster`: membership, the list of all resources, options, jobs.

use quorate_core::ids::{GuestKind, NodeName};
use quorate_world::World;
use quorate_world::guest::Guest;
use quorate_world::node::Node;
use serde_json::{Map, Value, json};

use super::config::{disk_total, guest_kind};
use super::storage::root_total;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::sees;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/status", status),
    route("GET", "/cluster/resources", resources),
    route("GET", "/cluster/config/nodes", config_nodes),
    route("GET", "/cluster/config/totem", totem),
    route("GET", "/cluster/config/qdevice", qdevice),
    route("GET", "/cluster/nextid", next_id),
];

fn status(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let world = &*call.world;
    let mut list = vec![json!({
        "id": "cluster",
        "type": "cluster",
        "name": world.corosync.cluster_name,
        "nodes": world.nodes.len(),
        "quorate": u8::from(world.writable(&call.node)),
        "version": world.corosync.config_version,
    })];
    for (name, node) in &world.nodes {
        list.push(json!({
            "id": format!("node/{name}"),
            "type": "node",
            "name": name,
            "nodeid": node.nodeid,
            "ip": address(node),
            "local": u8::from(*name == call.node),
            "online": u8::from(sees(world, &call.node, name)),
            "level": "",
        }));
    }
    Ok(Value::Array(list).into())
}

/// The address by which the cluster knows a node: that of its first link.
pub(crate) fn address(node: &Node) -> &str {
    node.links.first().map_or("", |link| link.address.as_str())
}

/// A node in the lists of `/nodes` and `/cluster/resources`; what it uses is known only while it is seen.
pub(super) fn node_entry(call: &Call<'_>, name: &NodeName, node: &Node) -> Map<String, Value> {
    let online = sees(call.world, &call.node, name);
    let mut entry = object(json!({
        "id": format!("node/{name}"),
        "type": "node",
        "node": name,
        "level": "",
        "status": if online { "online" } else { "offline" },
    }));
    if call.may(&format!("/nodes/{name}"), &["Sys.Audit"]) {
        entry.extend(object(json!({
            "maxcpu": node.cpus,
            "maxmem": node.memory_bytes,
            "maxdisk": root_total(node),
        })));
        if online {
            entry.extend(object(json!({
                "cpu": cpu_share(call.world, name),
                "mem": memory_used(call.world, name),
                "disk": root_total(node) - node.root_free_bytes,
                "uptime": node.uptime_s(call.world.now_ms),
            })));
        }
    }
    entry
}

/// Guests with a process on a node.
fn running_on<'a>(world: &'a World, node: &NodeName) -> impl Iterator<Item = &'a Guest> {
    let here = world.nodes.get(node).into_iter().flat_map(|node| &node.processes);
    here.filter_map(|id| world.guests.get(id))
}

/// Memory in use: the host's own and its guests'.
pub(super) fn memory_used(world: &World, node: &NodeName) -> u64 {
    let guests = running_on(world, node).map(memory_of).sum::<u64>();
    let host = world.nodes.get(node).map_or(0, |node| node.host_used_bytes);
    guests.saturating_add(host).min(world.nodes.get(node).map_or(0, |node| node.memory_bytes))
}

/// What a running guest's process holds.
pub(super) fn memory_of(guest: &Guest) -> u64 {
    if guest.is_running() { guest.held_bytes() } else { 0 }
}

/// Load as a share of all processors, from the configured cores of what runs.
pub(super) fn cpu_share(world: &World, node: &NodeName) -> f64 {
    let cores: u32 = running_on(world, node).map(|guest| guest.cores).sum();
    let cpus = world.nodes.get(node).map_or(1, |node| node.cpus.max(1));
    (0.02 + f64::from(cores) / f64::from(cpus) * 0.1).min(1.0)
}

fn resources(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let only = call.args.get("type").map(str::to_owned);
    let wants = |kind: &str| only.as_deref().is_none_or(|only| only == kind);
    let mut list: Vec<Value> = Vec::new();
    if wants("vm") {
        let guests = call.world.guests.values();
        let visible = guests.filter(|guest| call.may(&format!("/vms/{}", guest.id.vmid), &["VM.Audit"]));
        list.extend(visible.map(|guest| guest_entry(call, guest)));
        list.extend(left_below_removed_nodes(call));
    }
    if wants("node") {
        for (name, node) in &call.world.nodes {
            let mut entry = node_entry(call, name, node);
            if call.release() >= (8, 3) {
                entry.insert("hastate".into(), json!(ha_state(call.world, name)));
            }
            if call.release() >= (9, 2) {
                entry.insert("host-arch".into(), json!("x86_64"));
            }
            if sees(call.world, &call.node, name) && call.release() >= (9, 0) {
                entry.insert("cgroup-mode".into(), json!(2));
            }
            list.push(entry.into());
        }
    }
    if wants("storage") {
        list.extend(super::storage::resources(call));
    }
    if wants("sdn") {
        list.extend(zones(call));
    }
    Ok(Value::Array(list).into())
}

/// Guests whose configuration is left below a node that was removed: pmxcfs lists them, and nobody samples them.
fn left_below_removed_nodes(call: &Call<'_>) -> Vec<Value> {
    let file = |path: &str| {
        let (node, rest) = path.strip_prefix("/etc/pve/nodes/")?.split_once('/')?;
        let (directory, name) = rest.split_once('/')?;
        let kind = if directory == "qemu-server" { "qemu" } else { "lxc" };
        let vmid: u32 = name.strip_suffix(".conf")?.parse().ok()?;
        let removed = !call.world.nodes.contains_key(&NodeName::from(node));
        let seen = removed && call.may(&format!("/vms/{vmid}"), &["VM.Audit"]);
        seen.then(|| {
            let id = format!("{kind}/{vmid}");
            json!({"id": id, "type": kind, "vmid": vmid, "node": node, "status": "unknown", "template": 0})
        })
    };
    call.world.files.keys().filter_map(|path| file(path)).collect()
}

fn guest_entry(call: &Call<'_>, guest: &Guest) -> Value {
    let world = &*call.world;
    let kind = guest_kind(guest.id);
    let seen = call.wire.samples.seen(&guest.node, guest.id, world.now_ms);
    let runs = seen == crate::samples::Seen::Running;
    let used = if runs { guest.held_bytes() } else { 0 };
    let mut entry = object(json!({
        "id": format!("{kind}/{}", guest.id.vmid),
        "type": kind,
        "vmid": guest.id.vmid,
        "name": guest.name,
        "node": guest.node,
        "status": seen.as_str(),
        "template": u8::from(guest.template),
        "maxcpu": guest.cores,
        "maxmem": guest.memory_bytes,
        "maxdisk": disk_total(guest),
        "cpu": if runs { json!(0.05) } else { json!(0) },
        "mem": used,
        "disk": 0,
        "uptime": if runs { world.now_ms.saturating_sub(guest.started_ms) / 1000 } else { 0 },
        "netin": 0,
        "netout": 0,
        "diskread": 0,
        "diskwrite": 0,
    }));
    if call.release() >= (9, 0) {
        entry.insert("memhost".into(), json!(used));
    }
    if !guest.tags.is_empty() {
        entry.insert("tags".into(), json!(guest.tags.join(";")));
    }
    if let Some(lock) = &guest.lock {
        entry.insert("lock".into(), json!(lock));
    }
    if let Some(state) = guest_ha_state(world, guest) {
        entry.insert("hastate".into(), json!(state));
    }
    entry.into()
}

/// The HA state of a guest that is a resource: the manager's, or the requested state while the manager has not seen it.
pub(super) fn guest_ha_state(world: &World, guest: &Guest) -> Option<&'static str> {
    let resource = world.ha.resources.get(&guest.id)?;
    let service = world.ha.manager.services.get(&guest.id);
    Some(service.map_or(resource.state.as_str(), |service| service.state.as_str()))
}

/// The HA state of a node; `online` for one that the manager never used.
fn ha_state(world: &World, node: &NodeName) -> &'static str {
    world.ha.manager.node_status.get(node).map_or("online", |status| status.as_str())
}

fn zones(call: &Call<'_>) -> Vec<Value> {
    let nodes = call.world.nodes.keys().filter(|node| sees(call.world, &call.node, node));
    let new = call.release() >= (9, 1);
    nodes
        .filter(|_| call.may("/sdn/zones/localnetwork", &["SDN.Audit"]))
        .map(|node| match new {
            true => json!({
                "id": format!("network/{node}/zone/localnetwork"), "type": "network", "network": "localnetwork",
                "network-type": "zone", "node": node, "status": "ok",
            }),
            false => json!({
                "id": format!("sdn/{node}/localnetwork"), "type": "sdn", "sdn": "localnetwork", "node": node,
                "status": "ok",
            }),
        })
        .collect()
}

/// corosync.conf's node list; every value is a string.
fn config_nodes(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let list = call.world.nodes.iter().map(|(name, node)| {
        let votes = call.world.corosync.votes.get(name).copied().unwrap_or(1);
        let mut entry = object(json!({
            "node": name,
            "name": name,
            "nodeid": node.nodeid.to_string(),
            "quorum_votes": votes.to_string(),
        }));
        for (number, link) in node.links.iter().enumerate() {
            entry.insert(format!("ring{number}_addr"), json!(link.address));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn totem(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(totem_section(call).into())
}

/// The section of corosync.conf; every value is a string.
pub(super) fn totem_section(call: &Call<'_>) -> Value {
    let links = call.here().links.len();
    let interfaces: Map<_, _> =
        (0..links).map(|link| (link.to_string(), json!({"linknumber": link.to_string()}))).collect();
    let corosync = &call.world.corosync;
    json!({
        "cluster_name": corosync.cluster_name,
        "config_version": corosync.config_version.to_string(),
        "interface": interfaces,
        "ip_version": "ipv4-6",
        "link_mode": "passive",
        "secauth": "on",
        "version": "2",
    })
}

fn qdevice(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let Some(device) = &call.world.corosync.qdevice else { return Ok(json!({}).into()) };
    Ok(json!({
        "Model": "Net",
        "Algorithm": if device.votes == 1 { "Fifty-Fifty split" } else { "LMS" },
        "QNetd host": "qnetd:5403",
        "State": if device.alive { "Connected" } else { "Connect failed" },
    })
    .into())
}

fn next_id(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let taken = |vmid: u64| call.world.guests.keys().any(|guest| u64::from(guest.vmid.0) == vmid);
    if let Some(wanted) = call.args.number("vmid") {
        if let Some(guest) = call.world.guests.keys().find(|guest| u64::from(guest.vmid.0) == wanted) {
            let kind = if guest.kind == GuestKind::Vm { "VM" } else { "CT" };
            return Err(CallRefused::parameter("vmid", format!("{kind} {wanted} already exists")));
        }
        return Ok(json!(wanted.to_string()).into());
    }
    let free = (100..=999_999_999).find(|vmid| !taken(*vmid)).unwrap_or(100);
    Ok(json!(free.to_string()).into())
}
