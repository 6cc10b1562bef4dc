//! Local storages that take each other's place, as the policy says: what is `nvme-pve1` on one node is `nvme-pve2` on
//! another.
//!
//! PVE takes this with a move (`targetstorage`, for containers `target-storage`) and leaves shared storages out of it.
//! Every node has at most one storage of a group, so that it is always clear which one is meant, on the way back too.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, StorageId};
use crate::policy::Policy;
use crate::snapshot::{MigrationFacts, Snapshot, Storage};

/// Why the map of the policy does not fit this cluster. Nothing is planned with it then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapFault {
    /// The cluster has no storage of this name.
    NoSuchStorage(StorageId),
    /// It is the same on every node.
    Shared(StorageId),
    /// A node has two of a group.
    Two(NodeName, StorageId, StorageId),
}

impl fmt::Display for MapFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchStorage(id) => write!(f, "storage-map names {id}, which is no storage of this cluster"),
            Self::Shared(id) => write!(f, "storage-map names {id}, which is shared: PVE maps only local storages"),
            Self::Two(node, one, other) => {
                write!(
                    f,
                    "storage-map has {one} and {other} in one group, and {node} has both: which is meant is not clear"
                )
            }
        }
    }
}

/// Everything in which the map does not fit the cluster.
pub fn map_faults(snapshot: &Snapshot, policy: &Policy) -> Vec<MapFault> {
    let Some(storages) = snapshot.storages.known() else { return Vec::new() };
    let mut faults = Vec::new();
    for group in &policy.storage_map {
        faults.extend(group.iter().filter_map(|id| match storages.get(id) {
            None => Some(MapFault::NoSuchStorage(id.clone())),
            Some(storage) => storage.shared.then(|| MapFault::Shared(id.clone())),
        }));
        faults.extend(snapshot.nodes.keys().filter_map(|node| {
            let mut here = group.iter().filter(|id| is_on(storages, id, node));
            Some(MapFault::Two(node.clone(), here.next()?.clone(), here.next()?.clone()))
        }));
    }
    faults
}

fn is_on(storages: &BTreeMap<StorageId, Storage>, id: &StorageId, node: &NodeName) -> bool {
    storages.get(id).is_some_and(|storage| storage.is_on(node))
}

/// The storage that stands for this one on a node: itself where the node has it, or where nothing stands for it.
pub fn stands_for<'a>(
    storages: &BTreeMap<StorageId, Storage>,
    policy: &'a Policy,
    id: &'a StorageId,
    node: &NodeName,
) -> &'a StorageId {
    let Some(group) = policy.storage_map.iter().find(|group| group.contains(id)) else { return id };
    if is_on(storages, id, node) {
        return id;
    }
    group.iter().find(|other| is_on(storages, other, node)).unwrap_or(id)
}

/// Which of a guest's storages are another one after a move between these nodes, as pairs of before and after. The facts
/// may be those of a third node, on which it was when they were read.
pub fn mapped(
    storages: &BTreeMap<StorageId, Storage>,
    policy: &Policy,
    facts: &MigrationFacts,
    from: &NodeName,
    to: &NodeName,
) -> BTreeMap<StorageId, StorageId> {
    if policy.storage_map.is_empty() {
        return BTreeMap::new();
    }
    let pair = |id: &StorageId| {
        let (before, after) = (stands_for(storages, policy, id, from), stands_for(storages, policy, id, to));
        (before != after && is_on(storages, after, to)).then(|| (before.clone(), after.clone()))
    };
    facts.storages.iter().filter(|id| !facts.only_media_on(id)).filter_map(pair).collect()
}

/// Does PVE have a form in which it can copy this volume from one storage to the other, where QEMU does not mirror it?
/// (pve-storage, `volume_transfer_formats`.)
pub(super) fn has_common_form(from: &Storage, to: &Storage, volid: &str) -> bool {
    let file = volid.rsplit(['/', ':']).next().unwrap_or_default();
    let is_raw = !file.starts_with("subvol-") && (file.ends_with(".raw") || !file.contains('.'));
    let takes_raw = |storage: &Storage| matches!(storage.kind.as_str(), "dir" | "lvm" | "lvmthin");
    from.kind == to.kind || (is_raw && takes_raw(from) && takes_raw(to))
}
