//! Storages that should be active on a node and are not.

use super::check::{Asked, Check, PROOF, Waivable, kinds};
use super::support::online;
use crate::ids::{NodeName, StorageId};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct Storages;

kinds! {
    NotActive { storage: StorageId, kind: String, shared: bool, node: NodeName } => Blocking, storage,
        ("{}storage {storage} ({kind}) is not active on {node}", if shared { "shared " } else { "" }),
        ("Look at it: pvesm status on {node}. If it is away for good: pvesm set {storage} --disable 1");
}

impl Check for Storages {
    const ID: &'static str = "storages";
    const EXPLAIN: &'static str =
        "Every storage that the configuration gives to a node must be active there. A guest cannot move to a node that \
         does not reach its storage, and a node counts as back after its reboot only when its storages are. So one \
         that is not active is blocking. Look with `pvesm status` on the node; a storage that is away for good is \
         better disabled: `pvesm set STORAGE --disable 1`.";
    const WAIVABLE: Waivable = Waivable::Never(PROOF);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for storage in snapshot.storages.known().into_iter().flat_map(|storages| storages.values()) {
            for node in online(snapshot).filter(|node| storage.is_on(&node.name)) {
                let Some(here) = node.storages.known() else { continue };
                if !here.get(&storage.id).is_some_and(|state| state.active) {
                    let (kind, shared) = (storage.kind.clone(), storage.shared);
                    found.push(Found::NotActive { storage: storage.id.clone(), kind, shared, node: node.name.clone() });
                }
            }
        }
    }
}
