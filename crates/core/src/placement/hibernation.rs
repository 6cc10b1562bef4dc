//! Can a VM hibernate, and which storage takes its state?
//!
//! PVE writes its memory to a volume of twice its size (qemu-server, `__snapshot_save_vmstate`), and reads it again when
//! it is started. Quorate names the storage itself, by PVE's own preference: the one of the configuration, else one that
//! has disks of the guest, shared ones first, else `local`.

use crate::ids::{GuestId, GuestKind, StorageId};
use crate::snapshot::{Guest, HaRequest, MigrationFacts, Node, Snapshot, Storage};

use super::compat::{DISPLAY_THAT_STAYS, Obstacle, no, read};

/// Where a VM's state goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePlace {
    /// The storage.
    pub storage: StorageId,
    /// Bytes that the state takes there.
    pub bytes: u64,
}

/// What a state takes besides twice the memory: 500 MiB (qemu-server).
const DEVICES_BYTES: u64 = 500 << 20;

/// What QEMU cannot save, or PVE does not (qemu-server: `vm_suspend`, `check_non_migratable_resources`).
const NOT_SAVED: [&str; 5] = ["hostpci", "amd-sev", "intel-tdx", "virtiofs", "clipboard=vnc"];

/// Where the state of a VM goes if it hibernates, besides the states that the storages of its node are to take already.
///
/// # Errors
/// What keeps it from hibernating.
pub fn state_place(
    snapshot: &Snapshot,
    guest: &Guest,
    taken: impl Fn(&StorageId) -> u64,
) -> Result<StatePlace, Obstacle> {
    let facts = read(&guest.migration)?;
    can_be_saved(snapshot, guest, facts)?;
    let Some(node) = snapshot.nodes.get(&guest.node) else {
        return Err(Obstacle::Unknown(format!("its node {} was not seen", guest.node)));
    };
    let bytes = guest.memory_bytes.saturating_mul(2).saturating_add(DEVICES_BYTES);
    let mut reasons = Vec::new();
    for storage in candidates(snapshot, facts)? {
        match takes(storage, node, bytes.saturating_add(taken(&storage.id)))? {
            None => return Ok(StatePlace { storage: storage.id.clone(), bytes }),
            Some(why) => reasons.push(why),
        }
    }
    let none = "no storage is known for its state".to_owned();
    Err(Obstacle::No(if reasons.is_empty() { none } else { reasons.join("; ") }))
}

fn can_be_saved(snapshot: &Snapshot, guest: &Guest, facts: &MigrationFacts) -> Result<(), Obstacle> {
    if guest.id.kind == GuestKind::Ct {
        return no("PVE hibernates no containers".to_owned());
    }
    if is_managed(snapshot, guest.id)? {
        return no("PVE hibernates no guest that HA manages".to_owned());
    }
    let unsaved = |key: &str| NOT_SAVED.iter().any(|kind| key.starts_with(kind));
    if let Some(resource) = facts.local_resources.iter().find(|resource| unsaved(&resource.key)) {
        return no(format!("the state of {} cannot be saved", resource.key));
    }
    if facts.display.as_deref() == Some(DISPLAY_THAT_STAYS) {
        return no(format!("the state of its display, {DISPLAY_THAT_STAYS}, cannot be saved"));
    }
    Ok(())
}

fn is_managed(snapshot: &Snapshot, guest: GuestId) -> Result<bool, Obstacle> {
    let service = read(&snapshot.ha)?.services.get(&guest);
    Ok(service.is_some_and(|service| service.request != HaRequest::Ignored))
}

fn candidates<'a>(snapshot: &'a Snapshot, facts: &'a MigrationFacts) -> Result<Vec<&'a Storage>, Obstacle> {
    let storages = read(&snapshot.storages)?;
    if let Some(configured) = &facts.state_storage {
        return match storages.get(configured) {
            Some(storage) => Ok(vec![storage]),
            None => Err(Obstacle::No(format!("its vmstatestorage {configured} does not exist"))),
        };
    }
    let used = facts.storages.iter().filter(|id| !facts.only_media_on(id)).filter_map(|id| storages.get(id));
    let mut candidates: Vec<&Storage> = used.collect();
    candidates.sort_by_key(|storage| !storage.shared);
    candidates.extend(storages.get(&StorageId::new("local")));
    candidates.dedup_by_key(|storage| &storage.id);
    Ok(candidates)
}

/// Why the storage does not take so many bytes on this node; none if it does.
fn takes(storage: &Storage, node: &Node, bytes: u64) -> Result<Option<String>, Obstacle> {
    let (id, name) = (&storage.id, &node.name);
    if !storage.content.contains("images") {
        return Ok(Some(format!("{id} is not for images")));
    }
    let here = read(&node.storages)?.get(id).filter(|state| state.active && storage.is_on(name));
    Ok(match here {
        None => Some(format!("{id} is not active on {name}")),
        Some(state) if state.free_bytes < bytes => {
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            let (needed, free) = (gib(bytes), gib(state.free_bytes));
            Some(format!("{id} on {name} has {free:.1} GiB free, and states of guests need {needed:.1}"))
        }
        Some(_) => None,
    })
}
