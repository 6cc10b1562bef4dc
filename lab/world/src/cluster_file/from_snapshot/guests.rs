//! Guests from a snapshot.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StorageId};
use quorate_core::snapshot::{
    DiskUse, Guest, GuestStatus, HaRequest, HostNeed, LocalDisk, LocalGuest, MigrationFacts, Snapshot,
};

use super::super::defaults::{eight, thirty_two, twenty};
use super::super::{GuestPart, StoragePart};
use super::storages::holds_disks;
use super::{GIB, Notes, UNKNOWN_STORAGE};

/// All guests of the snapshot.
pub(super) fn parts(snapshot: &Snapshot, storages: &[StoragePart], notes: &mut Notes) -> Vec<GuestPart> {
    if !snapshot.sees_all_guests.is(&true) {
        notes.guess("guests", "the snapshot may not show all of them");
    }
    if !snapshot.guests.is_empty() {
        notes.guess("guests", "how fast they write memory is not known: 20 MiB/s; they shut down within 8 s");
    }
    let of_members = snapshot.guests.values().filter(|guest| snapshot.nodes.contains_key(&guest.node));
    let mut parts: Vec<GuestPart> = of_members.map(|guest| part(snapshot, guest, storages, notes)).collect();
    let listed = snapshot.nodes.values().flat_map(|node| Some(node).zip(node.local_guests.known()));
    for (node, local) in listed.flat_map(|(node, local)| local.iter().map(move |guest| (&node.name, guest))) {
        if !parts.iter().any(|part| part.id.vmid == local.vmid) {
            parts.push(unseen(node, local, storages, notes));
        }
    }
    parts
}

fn part(snapshot: &Snapshot, guest: &Guest, storages: &[StoragePart], notes: &mut Notes) -> GuestPart {
    let none = MigrationFacts::default();
    let facts = notes.known(guest.id, &guest.migration, "disks and devices are not known: one disk on shared storage");
    let facts = facts.unwrap_or(&none);
    let disk = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Attached);
    let image = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Cdrom);
    let onboot = notes.known(guest.id, &guest.onboot, "whether it starts with its node is not known: yes");
    let service = snapshot.ha_service(guest.id);
    GuestPart {
        id: guest.id,
        name: guest.name.clone(),
        node: guest.node.clone(),
        memory_mib: guest.memory_bytes >> 20,
        cores: guest.cpus,
        state: state(guest, notes),
        storage: storage(facts, disk, storages),
        disk_gib: disk.map_or(thirty_two(), |disk| disk.size_bytes.div_ceil(GIB)),
        iso: image.map(|image| image.volid.clone()),
        devices: devices(facts),
        ha: service.map(|service| request(service.request).to_owned()),
        failback: service.is_none_or(|service| service.failback),
        onboot: onboot.copied(),
        agent: true,
        dirty_mib_per_s: twenty(),
        shutdown_s: eight(),
        cpu: facts.cpu_model.clone(),
        tags: guest.tags.iter().cloned().collect(),
        snapshots: if facts.has_snapshots { vec!["snapshot".to_owned()] } else { Vec::new() },
        lock: guest.lock.known().and_then(Option::as_ref).map(|lock| lock.0.clone()),
        config: config(facts),
    }
}

fn state(guest: &Guest, notes: &mut Notes) -> String {
    if guest.template {
        return "template".to_owned();
    }
    match notes.known(guest.id, &guest.status, "whether it runs is not known: it does") {
        Some(GuestStatus::Stopped) => "stopped".to_owned(),
        Some(GuestStatus::Running | GuestStatus::Paused) | None => "running".to_owned(),
    }
}

/// A disk on local storage binds a guest more than any other, so that one is kept. Where nothing is known of its disks
/// it is one that all nodes have, if there is one.
fn storage(facts: &MigrationFacts, disk: Option<&LocalDisk>, storages: &[StoragePart]) -> StorageId {
    let local = disk.and_then(|disk| disk.volid.split_once(':')).map(|(storage, _)| StorageId::new(storage));
    let there = |id: &StorageId| storages.iter().any(|storage| storage.id == *id);
    let own = || {
        let mut mine = storages.iter().filter(|storage| facts.storages.contains(&storage.id));
        mine.find(|storage| holds_disks(storage))
    };
    let any = || {
        let able = || storages.iter().filter(|storage| holds_disks(storage));
        able().find(|storage| storage.shared && storage.nodes.is_empty()).or_else(|| able().next())
    };
    let other = || own().or_else(any).map(|storage| storage.id.clone());
    local.filter(there).or_else(other).unwrap_or_else(|| StorageId::new(UNKNOWN_STORAGE))
}

/// A guest that only its node's own list shows: the token does not see it.
fn unseen(node: &NodeName, seen: &LocalGuest, storages: &[StoragePart], notes: &mut Notes) -> GuestPart {
    let id = GuestId { kind: seen.kind, vmid: seen.vmid };
    notes.guess(id, "only its node's own list shows it: 2 GiB, one disk, onboot");
    GuestPart {
        id,
        name: seen.name.clone(),
        node: node.clone(),
        memory_mib: 2_048,
        cores: 2,
        state: if seen.running { "running" } else { "stopped" }.to_owned(),
        storage: storage(&MigrationFacts::default(), None, storages),
        disk_gib: thirty_two(),
        iso: None,
        devices: BTreeMap::new(),
        ha: None,
        failback: true,
        onboot: Some(true),
        agent: true,
        dirty_mib_per_s: twenty(),
        shutdown_s: eight(),
        cpu: None,
        tags: Vec::new(),
        snapshots: Vec::new(),
        lock: None,
        config: BTreeMap::new(),
    }
}

fn devices(facts: &MigrationFacts) -> BTreeMap<String, String> {
    let value = |key: &str, mapping: &Option<String>| match mapping {
        Some(mapping) => format!("mapping={mapping}"),
        None if key.starts_with("usb") => "host=1d6b:0002".to_owned(),
        None => "0000:01:00.0".to_owned(),
    };
    let bound = facts.local_resources.iter().filter(|one| !one.key.contains('='));
    bound.map(|one| (one.key.clone(), value(&one.key, &one.mapping))).collect()
}

/// What binds it to what its node has, or to QEMU on its node.
fn config(facts: &MigrationFacts) -> BTreeMap<String, String> {
    let value = |need: &HostNeed| match need.key.as_str() {
        "cicustom" => format!("user={}", need.what),
        "lxc.mount.entry" => format!("{} {} none bind", need.what, need.what.trim_start_matches('/')),
        key if key.starts_with("rng") => format!("source={}", need.what),
        _ => need.what.clone(),
    };
    let needs = facts.host_needs.iter().map(|need| (need.key.clone(), value(need)));
    needs.chain(facts.display.iter().map(|display| ("vga".to_owned(), display.clone()))).collect()
}

fn request(request: HaRequest) -> &'static str {
    match request {
        HaRequest::Started => "started",
        HaRequest::Stopped => "stopped",
        HaRequest::Disabled => "disabled",
        HaRequest::Ignored => "ignored",
    }
}
