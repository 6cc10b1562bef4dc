//! Storages that should be active on a node and are not.

use std::collections::BTreeSet;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::{GuestId, NodeName, StorageId};
use crate::policy::Policy;
use crate::snapshot::{Guest, Snapshot, Storage};

pub(super) struct Storages;

kinds! {
    NotActive { storage: StorageId, kind: String, shared: bool, node: NodeName, lasting: String } => Blocking, storage,
        ("{}storage {storage} ({kind}) is not active on {node}", if shared { "shared " } else { "" }),
        ("Look at it: pvesm status on {node}. {lasting}");
    OnNoNode { storage: StorageId, kind: String, lasting: String } => Warning, storage,
        ("shared storage {storage} ({kind}) is active on no node; no guest that runs has a volume there"),
        ("Look at its server. {lasting}");
    OnNoNodeAndUsed { storage: StorageId, kind: String, guests: Vec<String> } => Blocking, storage,
        ("shared storage {storage} ({kind}) is active on no node, and {} may need it", some(&guests)),
        ("Bring its server back: pvesm status on any node");
}

impl Check for Storages {
    const ID: &'static str = "storages";
    const EXPLAIN: &'static str =
        "Every storage that the configuration gives to a node should be active there: a guest cannot move to a node \
         that does not reach its storage. One that is not active on a node is blocking; so is a shared one that no \
         node reaches while a guest that runs has a volume there. If none has, it is a warning: the run does not need \
         it. After its reboot a node counts as back without what was away before or is away everywhere. Look with \
         `pvesm status` on the node. A storage that a node is not meant to have is limited to the others: \
         `pvesm set STORAGE --nodes THE,OTHERS`. Only one that is away for good everywhere, and on which no guest has a \
         volume, is disabled: `pvesm set STORAGE --disable 1`.";
    const WAIVABLE: Waivable = Waivable::Except("on-no-node-and-used", "guests stand still without it, and cannot move");
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for storage in snapshot.storages.known().into_iter().flat_map(|storages| storages.values()) {
            let away = away(snapshot, storage);
            let nowhere = |node: &NodeName| snapshot.away_elsewhere(storage, node);
            if away.first().is_some_and(|node| nowhere(node)) {
                found.push(on_no_node(snapshot, storage));
                continue;
            }
            let lasting = lasting(snapshot, storage, &away);
            found.extend(away.iter().map(|node| Found::NotActive {
                storage: storage.id.clone(),
                kind: storage.kind.clone(),
                shared: storage.shared,
                node: (*node).clone(),
                lasting: lasting.clone(),
            }));
        }
    }
}

/// Nodes that should have it and do not reach it.
fn away<'a>(snapshot: &'a Snapshot, storage: &Storage) -> BTreeSet<&'a NodeName> {
    let lacks = |here: &std::collections::BTreeMap<StorageId, crate::snapshot::StorageOnNode>| {
        !here.get(&storage.id).is_some_and(|state| state.active)
    };
    let nodes = online(snapshot).filter(|node| storage.is_on(&node.name));
    nodes.filter(|node| node.storages.known().is_some_and(lacks)).map(|node| &node.name).collect()
}

fn on_no_node(snapshot: &Snapshot, storage: &Storage) -> Found {
    let (id, kind) = (storage.id.clone(), storage.kind.clone());
    let running = users(snapshot, storage).filter(|guest| guest.may_be_running());
    let guests: Vec<String> = running.map(|guest| guest.id.to_string()).collect();
    if guests.is_empty() {
        let lasting = gone_for_good(snapshot, storage);
        return Found::OnNoNode { storage: id, kind, lasting };
    }
    Found::OnNoNodeAndUsed { storage: id, kind, guests }
}

/// Guests that have a volume there, or of which that is not known.
fn users<'a>(snapshot: &'a Snapshot, storage: &'a Storage) -> impl Iterator<Item = &'a Guest> {
    let uses = |guest: &&Guest| guest.migration.known().is_none_or(|facts| facts.storages.contains(&storage.id));
    snapshot.guests.values().filter(uses)
}

/// What to do where that is to stay so: the nodes that lack it are taken out of its list, and guests on the others keep
/// what is theirs.
fn lasting(snapshot: &Snapshot, storage: &Storage, away: &BTreeSet<&NodeName>) -> String {
    let have = snapshot.nodes.keys().filter(|node| storage.is_on(node) && !away.contains(node));
    let have: Vec<&str> = have.map(NodeName::as_str).collect();
    if have.is_empty() {
        return gone_for_good(snapshot, storage);
    }
    let id = &storage.id;
    format!("If it is not meant to be there, limit it to the others: pvesm set {id} --nodes {}", have.join(","))
}

fn gone_for_good(snapshot: &Snapshot, storage: &Storage) -> String {
    let owners: Vec<GuestId> = users(snapshot, storage).map(|guest| guest.id).collect();
    if owners.is_empty() {
        return format!("If it is away for good: pvesm set {} --disable 1", storage.id);
    }
    let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
    format!("Volumes of {} are on it: move or remove these before it is disabled", some(&owners))
}
