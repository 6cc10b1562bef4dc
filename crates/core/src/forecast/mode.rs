//! Can a guest move as the plan says? What PVE's own precondition call does not test is tested here.

use crate::ids::GuestKind;
use crate::observed::Observed;
use crate::snapshot::{DiskUse, Guest, MigrationFacts, Node, Snapshot};
use crate::steps::{Move, MoveMode};

/// Every reason against a move, unknown readings included.
pub(super) fn faults(snapshot: &Snapshot, migrate: Move<'_>) -> Vec<String> {
    let seen = snapshot.guests.get(&migrate.guest).zip(snapshot.nodes.get(migrate.to));
    let Some((guest, target)) = seen else {
        return vec![format!("{} or its target {} was not seen", migrate.guest, migrate.to)];
    };
    if guest.node != *migrate.from {
        return Vec::new(); // It has moved, or the step's own status says what is wrong.
    }
    against(snapshot, migrate, guest, target).unwrap_or_else(|gap| vec![gap])
}

fn read<T>(value: &Observed<T>) -> Result<&T, String> {
    value.read().map_err(|why| format!("not known: {why}"))
}

fn against(snapshot: &Snapshot, migrate: Move<'_>, guest: &Guest, target: &Node) -> Result<Vec<String>, String> {
    let facts = read(&guest.migration)?;
    let mut faults = Vec::new();
    on_the_way(migrate, guest, facts, &mut faults);
    let bridges = read(&target.bridges)?;
    for bridge in facts.bridges.difference(bridges) {
        faults.push(format!("{} has no bridge {bridge}", target.name));
    }
    let (storages, there) = (read(&snapshot.storages)?, read(&target.storages)?);
    // An image that was ejected leaves its storage in the list: the list is that of the first look.
    let local: Vec<_> = facts.local_disks.iter().map(|disk| disk.volid.split(':').next().unwrap_or("")).collect();
    for id in &facts.storages {
        let Some(storage) = storages.get(id) else { continue };
        let needed = storage.shared || local.contains(&id.as_str());
        let id = migrate.storages.get(id).unwrap_or(id);
        let Some(storage) = storages.get(id) else { continue };
        let active = storage.is_on(&target.name) && there.get(id).is_some_and(|state| state.active);
        if needed && !active {
            faults.push(format!("storage {id} is not active on {}", target.name));
        }
    }
    Ok(faults)
}

/// What the guest has that cannot move in this way.
fn on_the_way(migrate: Move<'_>, guest: &Guest, facts: &MigrationFacts, faults: &mut Vec<String>) {
    let runs = guest.may_be_running();
    if let Some(disk) = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Cdrom) {
        faults.push(format!("{} holds the local image {}", disk.drive, disk.volid));
    }
    let copied = |usage| !matches!(usage, DiskUse::Cdrom | DiskUse::CloudInit);
    let disk = facts.local_disks.iter().find(|disk| copied(disk.usage));
    if let Some(disk) = disk.filter(|_| runs && migrate.mode == MoveMode::Live) {
        faults.push(format!("{} is a local disk, which this move does not take along", disk.volid));
    }
    for resource in facts.local_resources.iter().filter(|resource| runs && !resource.live_capable) {
        faults.push(format!("{} is bound to its host", resource.key));
    }
    for mount in &facts.local_mounts {
        faults.push(format!("{mount} exists on its host only"));
    }
    let live = matches!(migrate.mode, MoveMode::Live | MoveMode::LiveWithDisks);
    if live && guest.id.kind == GuestKind::Ct {
        faults.push("a container cannot be migrated live".to_owned());
    }
}
