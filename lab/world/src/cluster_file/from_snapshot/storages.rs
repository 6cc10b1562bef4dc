//! Storages from a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, StorageId};
use quorate_core::snapshot::{Snapshot, Storage};

use super::super::StoragePart;
use super::{GIB, Notes, UNKNOWN_STORAGE, ceph};
use crate::World;
use crate::guest::Media;

/// All storages of the snapshot, and one for guests if none is known.
pub(super) fn parts(snapshot: &Snapshot, notes: &mut Notes) -> Vec<StoragePart> {
    let known = notes.known("storages", &snapshot.storages, "not known: one shared storage for all guests");
    let mut parts: Vec<StoragePart> = known.into_iter().flatten().map(|(_, one)| part(snapshot, one)).collect();
    if !parts.is_empty() {
        notes
            .guess("storages", "how large they are is not known, only what is free: twice that, and the guests' disks");
    }
    if !parts.iter().any(holds_disks) {
        parts.push(unknown());
    }
    parts
}

/// Do disks of guests lie there?
pub(super) fn holds_disks(storage: &StoragePart) -> bool {
    storage.content.iter().any(|content| content == "images" || content == "rootdir")
}

fn unknown() -> StoragePart {
    StoragePart {
        id: StorageId::new(UNKNOWN_STORAGE),
        kind: "nfs".to_owned(),
        shared: true,
        content: vec!["images".to_owned(), "rootdir".to_owned(), "backup".to_owned()],
        nodes: Vec::new(),
        pool: None,
        total_gib: 65_536,
        used_gib: 0,
        files: BTreeMap::new(),
        only_on: BTreeMap::new(),
        served_by: None,
    }
}

fn part(snapshot: &Snapshot, storage: &Storage) -> StoragePart {
    let mut files = Files::default();
    images(snapshot, storage, &mut files);
    snippets(snapshot, storage, &mut files);
    StoragePart {
        id: storage.id.clone(),
        kind: storage.kind.clone(),
        shared: storage.shared,
        content: storage.content.iter().cloned().collect(),
        nodes: storage.nodes.iter().flatten().cloned().collect(),
        pool: ceph::pool_of(snapshot, storage),
        total_gib: 1024,
        used_gib: 0,
        served_by: None,
        only_on: files.only_on,
        files: files.sizes,
    }
}

#[derive(Default)]
struct Files {
    sizes: BTreeMap<String, u64>,
    only_on: BTreeMap<String, Vec<NodeName>>,
}

/// Images in the guests' CD drives, and the nodes where they lie.
fn images(snapshot: &Snapshot, storage: &Storage, files: &mut Files) {
    for facts in snapshot.guests.values().filter_map(|guest| guest.migration.known()) {
        let sizes: BTreeMap<&str, u64> =
            facts.local_disks.iter().map(|disk| (disk.volid.as_str(), disk.size_bytes >> 20)).collect();
        let drives = facts.cd_drives.values().map(String::as_str);
        for volid in drives.chain(sizes.keys().copied()).collect::<BTreeSet<_>>() {
            let Some(volume) = volid.strip_prefix(&format!("{}:", storage.id)) else { continue };
            if !volume.starts_with("iso/") {
                continue;
            }
            files.sizes.insert(volume.to_owned(), sizes.get(volid).copied().unwrap_or(753));
            if let Some(nodes) = facts.images_on.get(volid) {
                files.only_on.insert(volume.to_owned(), nodes.iter().cloned().collect());
            }
        }
    }
}

/// Hook scripts and the like that guests need, and where they lie.
fn snippets(snapshot: &Snapshot, storage: &Storage, files: &mut Files) {
    let facts = snapshot.guests.values().filter_map(|guest| guest.migration.known());
    for need in facts.flat_map(|facts| &facts.host_needs) {
        let Some(volume) = need.what.strip_prefix(&format!("{}:", storage.id)) else { continue };
        let on = need.on.iter().filter(|(_, there)| there.is(&true)).map(|(node, _)| node.clone());
        files.sizes.insert(volume.to_owned(), 1);
        files.only_on.insert(volume.to_owned(), on.collect());
    }
}

/// Sets what is free on each node, and where a storage is away.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot) {
    for (id, seen) in snapshot.storages.known().into_iter().flatten() {
        let disks: BTreeMap<NodeName, u64> =
            snapshot.nodes.keys().map(|node| (node.clone(), disks_on(world, id, seen.shared, node))).collect();
        let Some(storage) = world.storages.get_mut(id) else { continue };
        storage.disabled = seen.disabled;
        let read = snapshot.nodes.iter().filter_map(|(name, node)| Some((name, node.storages.known()?.get(id)?)));
        let (active, away): (Vec<_>, Vec<_>) = read.partition(|(_, state)| state.active);
        storage.inactive_on.extend(away.into_iter().map(|(name, _)| name.clone()));
        let most = active.iter().map(|(name, state)| 2 * state.free_bytes + disks[*name]).max();
        storage.total_bytes = most.unwrap_or(storage.total_bytes).max(GIB);
        for (name, state) in active {
            let others = storage.total_bytes - state.free_bytes - disks[name];
            storage.used_on.insert(name.clone(), others);
        }
    }
}

/// What guests' disks take of a storage, as a node sees it.
fn disks_on(world: &World, id: &StorageId, shared: bool, node: &NodeName) -> u64 {
    let here = world.guests.values().filter(|guest| shared || guest.node == *node);
    let disks = here.flat_map(|guest| &guest.disks);
    let mine = disks.filter(|disk| disk.storage.as_ref() == Some(id) && disk.media == Media::Disk);
    mine.map(|disk| disk.size_bytes).sum()
}
