//! A digest of what a plan depends on and does not change itself.
//!
//! Steps move guests, upgrade nodes and set flags. They do not change which guests there are, how big they are, where
//! they may go, how big the nodes are, HA's rules and the policy. As long as these are the same and the rest of a plan
//! still verifies, there is no reason to plan again.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::ids::StorageId;
use crate::policy::Policy;
use crate::snapshot::{Guest, Node, Snapshot};

/// The SHA-256 of it, in hexadecimal digits.
pub(in crate::planner) fn digest(snapshot: &Snapshot, policy: &Policy) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: String| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    snapshot.guests.values().filter(|guest| !guest.template).for_each(|guest| add(guest_text(guest, policy)));
    snapshot.nodes.values().for_each(|node| add(node_text(node)));
    let mut rules: Vec<String> =
        snapshot.ha.known().into_iter().flat_map(|ha| &ha.rules).map(|rule| format!("{rule:?}")).collect();
    rules.sort();
    rules.into_iter().for_each(&mut add);
    add(format!("{policy:?}"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the guest runs is not part of it: a guest that we shut down is still the same guest.
fn guest_text(guest: &Guest, policy: &Policy) -> String {
    let facts = guest.migration.known().map(|facts| {
        // PVE's refusals and the machine type are left out: they depend on where the guest is.
        // Disks that have gone to the storage of another node are the same disks.
        let storages: BTreeSet<&StorageId> = facts.storages.iter().map(|id| policy.one_name(id)).collect();
        (&facts.local_mounts, &facts.bridges, storages, facts.local_resources.len())
    });
    format!("{} {} {} {:?} {facts:?}", guest.id, guest.memory_bytes, guest.cpus, guest.tags)
}

fn node_text(node: &Node) -> String {
    let memory = node.memory.known().map(|memory| memory.total_bytes);
    format!("{} {memory:?} {:?}", node.name, node.bridges.known())
}
