//! What keeps a guest from moving at all, and what keeps it from one target, as far as that never changes.
//!
//! Not here: memory, HA rules, versions, because they depend on what else moves and on what is upgraded by then; and the
//! way between two nodes, which is the same for all guests. Not known at all: whether raw `args:` work on the target.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestKind, NodeName, StorageId};
use crate::observed::Observed;
use crate::policy::{GuestPolicy, Policy, tags};
use crate::snapshot::{
    DiskUse, Guest, GuestStatus, HaRequest, LocalDisk, LocalResource, MigrationFacts, Node, Snapshot, Storage,
    TargetRefusal,
};

use super::storage_map::{has_common_form, mapped};

/// Storages that are others on the target.
type StorageMap = BTreeMap<StorageId, StorageId>;

/// Why a guest cannot move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It cannot move, and this is the reason.
    No(String),
    /// It is not known whether it can, and this is the reading that is missing.
    Unknown(String),
}

impl Obstacle {
    /// The reason in words.
    pub fn text(&self) -> &str {
        match self {
            Self::No(text) | Self::Unknown(text) => text,
        }
    }
}

pub(super) fn read<T>(value: &Observed<T>) -> Result<&T, Obstacle> {
    value.read().map_err(|why| Obstacle::Unknown(format!("not known: {why}")))
}

pub(super) fn no(text: String) -> Result<(), Obstacle> {
    Err(Obstacle::No(text))
}

/// The guest as it will be once it is shut down, to check its obstacles before that.
pub fn as_stopped(guest: &Guest) -> Guest {
    Guest { status: Observed::Known(GuestStatus::Stopped), ..guest.clone() }
}

/// What binds a VM to its host only while it runs: encrypted memory, a clipboard's process, shared folders in use.
const ONLY_WHILE_IT_RUNS: [&str; 4] = ["amd-sev", "intel-tdx", "clipboard=vnc", "virtiofs"];

/// The display whose state QEMU cannot send ("virgl is not yet migratable"); all others migrate.
pub(super) const DISPLAY_THAT_STAYS: &str = "virtio-gl";

/// What keeps a guest where it is, whatever the target. For a stopped guest only what also holds it offline.
///
/// # Errors
/// The first obstacle.
pub fn obstacle_here(guest: &Guest, policy: &Policy) -> Result<(), Obstacle> {
    if guest.tags.contains(tags::SKIP) {
        return no(format!("it has the tag {}", tags::SKIP));
    }
    if policy.of(guest) == Some(GuestPolicy::Refuse) {
        return no("the policy says that it is not touched".to_owned());
    }
    let facts = read(&guest.migration)?;
    if let Some(mount) = facts.local_mounts.first() {
        return no(format!(
            "its mount point {mount} is a path of its node, and nothing says that the others have the same (shared=1)"
        ));
    }
    let eject = policy.of(guest) == Some(GuestPolicy::Eject);
    if let Some(disk) = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Cdrom && !eject) {
        return no(format!("its drive {} holds {}, an image on a storage of its node", disk.drive, disk.volid));
    }
    if let Some(disk) = facts.local_disks.iter().find(|disk| disk.volid.starts_with('/')) {
        return no(format!("its drive {} is {}, a device or file of its node", disk.drive, disk.volid));
    }
    if !guest.may_be_running() {
        let bound = |resource: &&LocalResource| {
            resource.mapping.is_none() && !ONLY_WHILE_IT_RUNS.contains(&resource.key.as_str())
        };
        return match facts.local_resources.iter().find(bound) {
            Some(resource) => no(format!("{} is a device of its node", resource.key)),
            None => Ok(()),
        };
    }
    if let Some(resource) = facts.local_resources.iter().find(|resource| !resource.live_capable) {
        return no(match &resource.mapping {
            Some(name) => {
                format!("{} is the mapped device {name}, which cannot move with a running guest", resource.key)
            }
            None => format!("{} is a device of its node that cannot move with a running guest", resource.key),
        });
    }
    if facts.display.as_deref() == Some(DISPLAY_THAT_STAYS) {
        return no(format!("its display is {DISPLAY_THAT_STAYS}, whose state QEMU cannot send to another node"));
    }
    let bytes = disk_bytes(facts);
    if bytes > 0 && guest.id.kind == GuestKind::Vm && !policy.copies_disks_of(guest) {
        return no(format!("its local disks ({:.1} GiB) are not to be copied by the policy", in_gib(bytes)));
    }
    if let Some(disk) = facts.local_disks.iter().find(|disk| copied(disk) && !disk.replicated && facts.has_snapshots) {
        return no(format!("{} is a local disk with snapshots, which cannot move with a running guest", disk.volid));
    }
    Ok(())
}

/// What keeps a guest from one target.
///
/// # Errors
/// The first obstacle.
pub fn obstacle_there(snapshot: &Snapshot, policy: &Policy, guest: &Guest, target: &Node) -> Result<(), Obstacle> {
    let facts = read(&guest.migration)?;
    let map = mapped(read(&snapshot.storages)?, policy, facts, &guest.node, &target.name);
    refused_by_pve(facts, &target.name, &map)?;
    map_holds(snapshot, guest, facts, &map)?;
    storages_there(snapshot, facts, target, &map)?;
    snapshots_move(snapshot, guest, facts)?;
    replicas_there(snapshot, guest, facts, &target.name)?;
    let bridges = read(&target.bridges)?;
    if let Some(bridge) = facts.bridges.iter().find(|bridge| !bridges.contains(*bridge)) {
        return no(format!("{} has no bridge {bridge}", target.name));
    }
    host_needs_there(guest, facts, target)?;
    cpus_there(snapshot, guest, facts, target)
}

/// PVE looks for these where the guest starts, and only then: a hook script, a device of a container.
fn host_needs_there(guest: &Guest, facts: &MigrationFacts, target: &Node) -> Result<(), Obstacle> {
    for need in facts.host_needs.iter().filter(|need| !need.cold_start_only || !guest.may_be_running()) {
        let Some(seen) = need.on.get(&target.name) else {
            let (what, key, name) = (&need.what, &need.key, &target.name);
            return Err(Obstacle::Unknown(format!("not known: is {what} ({key}) on {name}?")));
        };
        if !*read(seen)? {
            return no(format!("{} does not have {}, its {}", target.name, need.what, need.key));
        }
    }
    Ok(())
}

/// PVE's own answer. What it says about guests that are kept apart is about where they are now: the planner knows
/// better.
fn refused_by_pve(facts: &MigrationFacts, target: &NodeName, map: &StorageMap) -> Result<(), Obstacle> {
    for refusal in facts.refused.get(target).into_iter().flatten() {
        // PVE's own call cannot be asked with a map.
        match refusal.unless_mapped(map) {
            None => {}
            Some(TargetRefusal::HaRule { cause, .. }) if cause == "resource-affinity" => {}
            Some(refusal) => return no(format!("PVE refuses {target}: {refusal}")),
        }
    }
    Ok(())
}

/// What may be done with a storage that is another one on the target.
fn map_holds(snapshot: &Snapshot, guest: &Guest, facts: &MigrationFacts, map: &StorageMap) -> Result<(), Obstacle> {
    for (before, after) in map {
        let managed = read(&snapshot.ha)?.services.get(&guest.id);
        if managed.is_some_and(|service| service.request != HaRequest::Ignored) {
            let id = guest.id;
            return no(format!(
                "HA moves it and cannot be told that {before} is {after} there; while HA leaves it alone \
                 (ha-manager set {id} --state ignored) it can move"
            ));
        }
        let mut disks = facts.local_disks.iter().filter(|disk| disk.is_on(before));
        if let Some(disk) = disks.clone().find(|disk| disk.replicated) {
            return no(format!("{} is replicated, and so moves to no storage of another name", disk.volid));
        }
        let storages = read(&snapshot.storages)?;
        let Some((here, there)) = storages.get(before).zip(storages.get(after)) else { continue };
        // QEMU mirrors what a running VM has in use, whatever the storages are; all else goes as a stream.
        let mirrored = |disk: &LocalDisk| {
            guest.id.kind == GuestKind::Vm && guest.may_be_running() && disk.usage == DiskUse::Attached
        };
        let streamed = |disk: &&LocalDisk| disk.usage != DiskUse::Cdrom && !mirrored(disk);
        if let Some(disk) = disks.find(|disk| streamed(disk) && !has_common_form(here, there, &disk.volid)) {
            let (volid, from, to) = (&disk.volid, &here.kind, &there.kind);
            return no(format!("PVE has no way to copy {volid} from {before} ({from}) to {after} ({to})"));
        }
        let kind = if guest.id.kind == GuestKind::Vm { "images" } else { "rootdir" };
        allows_contents(there, Some(&BTreeSet::from([kind.to_owned()])))?;
    }
    Ok(())
}

fn storages_there(
    snapshot: &Snapshot,
    facts: &MigrationFacts,
    target: &Node,
    map: &StorageMap,
) -> Result<(), Obstacle> {
    let (storages, there) = (read(&snapshot.storages)?, read(&target.storages)?);
    for before in facts.storages.iter().filter(|id| !facts.only_media_on(id)) {
        let id = map.get(before).unwrap_or(before);
        match storages.get(id) {
            None => return no(format!("storage {id} is not in the cluster's configuration")),
            Some(storage) if !storage.is_on(&target.name) => return no(format!("{} does not have {id}", target.name)),
            Some(storage) => allows_contents(storage, facts.contents.get(before))?,
        }
        let Some(state) = there.get(id).filter(|state| state.active) else {
            return no(format!("storage {id} is not active on {}", target.name));
        };
        let to_copy = facts.local_disks.iter().filter(|disk| copied(disk) && disk.is_on(before));
        let bytes = to_copy.fold(0_u64, |sum, disk| sum.saturating_add(disk.size_bytes));
        if bytes > state.free_bytes {
            let (needed, free) = (in_gib(bytes), in_gib(state.free_bytes));
            return no(format!("{id} on {} has {free:.1} GiB free, its disks need {needed:.1}", target.name));
        }
    }
    Ok(())
}

/// PVE moves no volume of a kind that its storage is no longer configured for.
fn allows_contents(storage: &Storage, needed: Option<&BTreeSet<String>>) -> Result<(), Obstacle> {
    match needed.into_iter().flatten().find(|kind| !storage.content.contains(*kind)) {
        None => Ok(()),
        Some(kind) => {
            let (id, has) = (&storage.id, Vec::from_iter(storage.content.iter().map(String::as_str)).join(", "));
            no(format!("storage {id} is not for {kind}, as its configuration says (content: {has})"))
        }
    }
}

/// Local disks with snapshots move with a stopped guest where their storage can send both: ZFS, Btrfs, and qcow2 files,
/// which hold their snapshots in themselves.
fn snapshots_move(snapshot: &Snapshot, guest: &Guest, facts: &MigrationFacts) -> Result<(), Obstacle> {
    if guest.may_be_running() || !facts.has_snapshots {
        return Ok(());
    }
    let storages = read(&snapshot.storages)?;
    let moves = |disk: &&LocalDisk| {
        let storage: Option<&Storage> =
            disk.volid.split_once(':').and_then(|(storage, _)| storages.get(&StorageId::new(storage)));
        let kind = storage.map_or("", |storage| storage.kind.as_str());
        matches!(kind, "zfspool" | "btrfs") || disk.volid.ends_with(".qcow2")
    };
    match facts.local_disks.iter().filter(|disk| copied(disk) && !disk.replicated).find(|disk| !moves(disk)) {
        Some(disk) => no(format!("{} is a local disk with snapshots, which its storage cannot send", disk.volid)),
        None => Ok(()),
    }
}

/// A replicated guest moves only to where its replica is.
fn replicas_there(
    snapshot: &Snapshot,
    guest: &Guest,
    facts: &MigrationFacts,
    target: &NodeName,
) -> Result<(), Obstacle> {
    if !facts.local_disks.iter().any(|disk| disk.replicated) {
        return Ok(());
    }
    let jobs = read(&snapshot.replication)?;
    match jobs.iter().any(|job| job.vmid == guest.id.vmid && job.target == *target) {
        true => Ok(()),
        false => no(format!("its disks are not replicated to {target}")),
    }
}

/// PVE starts no VM with more virtual processors than the node has, and a running one moves only to processors that can
/// go on with its CPU model. Containers take what there is.
fn cpus_there(snapshot: &Snapshot, guest: &Guest, facts: &MigrationFacts, target: &Node) -> Result<(), Obstacle> {
    if guest.id.kind == GuestKind::Ct {
        return Ok(());
    }
    let there = read(&target.cpu)?;
    if facts.most_cpus > there.count {
        let (name, most, count) = (&target.name, facts.most_cpus, there.count);
        return no(format!("it has {most} virtual processors and {name} has {count}: PVE starts no VM with more"));
    }
    let Some(home) = snapshot.nodes.get(&guest.node) else {
        return Err(Obstacle::Unknown(format!("its node {} was not seen", guest.node)));
    };
    if !guest.may_be_running() {
        return Ok(());
    }
    let here = read(&home.cpu)?;
    // PVE's default is a model that every processor has.
    let model = facts.cpu_model.as_deref().unwrap_or("kvm64");
    let Some(difference) = super::cpu::unlike(model, &facts.cpu_flags, here, there) else { return Ok(()) };
    let whose = if matches!(model, "host" | "max") { "the host's" } else { model };
    let both = super::cpu::common_model([&here.flags, &there.flags]);
    let (home, target) = (&home.name, &target.name);
    no(format!(
        "its CPU model is {whose}, and the processors of {home} and {target} differ ({target} {difference}); \
         both could give it {both}"
    ))
}

fn in_gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Does this volume move with the guest? CD images do not, and the cloud-init drive is generated again.
fn copied(disk: &LocalDisk) -> bool {
    !matches!(disk.usage, DiskUse::Cdrom | DiskUse::CloudInit)
}

/// Must local disks move with the guest?
pub fn moves_with_disks(facts: &MigrationFacts) -> bool {
    facts.local_disks.iter().any(copied)
}

/// The same by storage, those first whose name comes first.
pub fn disks_by_storage(facts: &MigrationFacts) -> BTreeMap<StorageId, u64> {
    let mut by_storage: BTreeMap<StorageId, u64> = BTreeMap::new();
    for disk in facts.local_disks.iter().filter(|disk| copied(disk) && !disk.replicated) {
        let storage = disk.volid.split_once(':').map_or("", |(storage, _)| storage);
        let bytes = by_storage.entry(StorageId::new(storage)).or_default();
        *bytes = bytes.saturating_add(disk.size_bytes);
    }
    by_storage
}

/// Bytes of local disks that move with the guest; replicated ones are there already.
pub fn disk_bytes(facts: &MigrationFacts) -> u64 {
    let to_copy = facts.local_disks.iter().filter(|disk| copied(disk) && !disk.replicated);
    to_copy.fold(0, |sum, disk| sum.saturating_add(disk.size_bytes))
}
