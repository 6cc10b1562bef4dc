//! Storages: as configured, as one node sees them, and their content.

use quorate_world::World;
use quorate_world::guest::Media;
use quorate_world::node::Node;
use quorate_world::store::Storage;
use serde_json::{Map, Value, json};

use super::config::volid;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::sees;
use crate::text::config_digest;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/storage", configured),
    route("GET", "/storage/{storage}", configured_one),
    route("GET", "/nodes/{node}/storage", on_node),
    route("GET", "/nodes/{node}/storage/{storage}/status", status),
    route("GET", "/nodes/{node}/storage/{storage}/content", content),
];

const SEE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

fn visible<'a>(call: &'a Call<'_>) -> impl Iterator<Item = &'a Storage> {
    call.world.storages.values().filter(|storage| call.may(&format!("/storage/{}", storage.id), SEE))
}

/// Types that are the same everywhere by their nature: no `shared` is needed in the configuration.
fn shared_by_nature(kind: &str) -> bool {
    matches!(kind, "nfs" | "cifs" | "rbd" | "cephfs" | "iscsi" | "iscsidirect" | "pbs" | "esxi" | "zfs" | "glusterfs")
}

fn configured(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let only = call.args.get("type");
    let wanted = visible(call).filter(|storage| only.is_none_or(|only| storage.kind == only));
    Ok(wanted.map(|storage| configuration(call, storage)).collect::<Value>().into())
}

fn configured_one(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(configuration(call, named(call)?).into())
}

/// The storage that the path names.
fn named<'a>(call: &'a Call<'_>) -> Result<&'a Storage, CallRefused> {
    let id = call.args.text("storage");
    let found = call.world.storages.values().find(|storage| storage.id.as_str() == id);
    found.ok_or_else(|| CallRefused::failed(format!("storage '{id}' does not exist")))
}

/// An entry of storage.cfg.
fn configuration(call: &Call<'_>, storage: &Storage) -> Value {
    let digest = config_digest(&format!("{:?}", call.world.storages.keys().collect::<Vec<_>>()));
    let mut entry = object(json!({
        "storage": storage.id, "type": storage.kind, "content": storage.content.join(","), "digest": digest,
    }));
    if storage.shared && !shared_by_nature(&storage.kind) {
        entry.insert("shared".into(), json!(1));
    }
    if storage.disabled {
        entry.insert("disable".into(), json!(1));
    }
    if !storage.nodes.is_empty() {
        let nodes: Vec<_> = storage.nodes.iter().map(ToString::to_string).collect();
        entry.insert("nodes".into(), json!(nodes.join(",")));
    }
    let (key, value) = match storage.kind.as_str() {
        "rbd" => ("pool", storage.pool.clone().unwrap_or_else(|| "rbd".to_owned())),
        "lvmthin" => ("vgname", "pve".to_owned()),
        "zfspool" => ("pool", "rpool/data".to_owned()),
        "dir" if storage.id.as_str() == "local" => ("path", "/var/lib/vz".to_owned()),
        _ => ("path", format!("/mnt/pve/{}", storage.id)),
    };
    entry.insert(key.into(), json!(value));
    if storage.kind == "lvmthin" {
        entry.insert("thinpool".into(), json!("data"));
    }
    Value::Object(entry)
}

/// Used and total bytes as a node sees them.
fn usage(world: &World, node: &Node, storage: &Storage) -> (u64, u64) {
    let recorded = storage.used_on.get(&node.name);
    if storage.id.as_str() == "local" && storage.kind == "dir" && recorded.is_none() {
        let total = root_total(node);
        return (total - node.root_free_bytes, total);
    }
    let on_it = |guest: &&quorate_world::guest::Guest| storage.shared || guest.node == node.name;
    let disks = world.guests.values().filter(on_it).flat_map(|guest| &guest.disks);
    let disks: u64 = disks
        .filter(|disk| disk.storage.as_ref() == Some(&storage.id) && disk.media == Media::Disk)
        .map(|disk| disk.size_bytes)
        .sum();
    ((recorded.copied().unwrap_or(storage.used_bytes) + disks).min(storage.total_bytes), storage.total_bytes)
}

fn on_node(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let target = call.args.get("target").map(quorate_core::ids::NodeName::new);
    let wanted = visible(call).filter(|storage| {
        storage.is_on(&node.name)
            && target.as_ref().is_none_or(|target| storage.is_on(target))
            && call.args.get("storage").is_none_or(|id| storage.id.as_str() == id)
            && call.args.get("content").is_none_or(|wanted| {
                wanted.split(',').any(|wanted| storage.content.iter().any(|content| content == wanted))
            })
    });
    let list = wanted.map(|storage| {
        let mut entry = state(call, storage);
        entry.insert("storage".into(), json!(storage.id));
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn status(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let mut found = state(call, here(call)?);
    found.remove("used_fraction");
    Ok(Value::Object(found).into())
}

/// The storage that the path names, if this node has it.
fn here<'a>(call: &'a Call<'_>) -> Result<&'a Storage, CallRefused> {
    let storage = named(call)?;
    match storage.is_on(&call.node) {
        true => Ok(storage),
        false => Err(CallRefused::failed(format!("storage '{}' is not available on node '{}'", storage.id, call.node))),
    }
}

/// Used and total bytes of the storage that the path names.
pub(super) fn usage_of(call: &Call<'_>) -> Result<(u64, u64), CallRefused> {
    Ok(usage(call.world, call.here(), here(call)?))
}

/// State of a storage on the node of the call.
fn state(call: &Call<'_>, storage: &Storage) -> Map<String, Value> {
    let node = call.here();
    let active = call.world.reaches(storage, &node.name);
    let (used, total) = if active { usage(call.world, node, storage) } else { (0, 0) };
    let mut entry = object(json!({
        "type": storage.kind,
        "content": storage.content.join(","),
        "shared": u8::from(storage.shared),
        "enabled": 1,
        "active": u8::from(active),
        "total": total,
        "used": used,
        "avail": total - used,
    }));
    if total > 0 {
        entry.insert("used_fraction".into(), json!(used as f64 / total as f64));
    }
    entry
}

/// Size of a root file system, of which the world knows only what is free.
pub(crate) fn root_total(node: &Node) -> u64 {
    (64_u64 << 30).max(node.root_free_bytes.saturating_add(8 << 30))
}

/// Storages in `/cluster/resources`.
pub(super) fn resources(call: &Call<'_>) -> Vec<Value> {
    let mut list = Vec::new();
    for (name, node) in &call.world.nodes {
        for storage in visible(call).filter(|storage| storage.is_on(name)) {
            let known = sees(call.world, &call.node, name) && call.world.reaches(storage, name);
            let mut entry = object(json!({
                "id": format!("storage/{name}/{}", storage.id),
                "type": "storage",
                "storage": storage.id,
                "node": name,
                "plugintype": storage.kind,
                "content": storage.content.join(","),
                "shared": u8::from(storage.shared),
                "status": if known { "available" } else { "unknown" },
            }));
            if known {
                let (used, total) = usage(call.world, node, storage);
                entry.insert("disk".into(), json!(used));
                entry.insert("maxdisk".into(), json!(total));
            }
            list.push(entry.into());
        }
    }
    list
}

fn content(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let storage = here(call)?;
    let id = &storage.id;
    let vmid = call.args.number("vmid");
    let kind = call.args.get("content");
    let mut list = Vec::new();
    for guest in call.world.guests.values().filter(|guest| storage.shared || guest.node == call.node) {
        let number = u64::from(guest.id.vmid.0);
        let mine = |disk: &&quorate_world::guest::Disk| {
            disk.storage.as_ref() == Some(&storage.id) && disk.media == Media::Disk
        };
        let is_vm = guest.id.kind == quorate_core::ids::GuestKind::Vm;
        let word = if is_vm { "images" } else { "rootdir" };
        if vmid.is_some_and(|vmid| vmid != number) || kind.is_some_and(|kind| kind != word) {
            continue;
        }
        list.extend(guest.disks.iter().filter(mine).map(|disk| {
            json!({"volid": volid(disk), "content": word, "format": "raw", "size": disk.size_bytes, "vmid": number})
        }));
    }
    for (volume, size) in storage.files.iter().filter(|(volume, _)| storage.has_file(volume, &call.node)) {
        let word = volume.split('/').next().unwrap_or("iso");
        if vmid.is_none() && kind.is_none_or(|kind| kind == word) {
            list.push(json!({
                "volid": format!("{id}:{volume}"), "content": word, "format": word, "size": size,
                "ctime": call.world.started_ms / 1000,
            }));
        }
    }
    Ok(Value::Array(list).into())
}
