//! Which guests there are, where, and in which state.
//!
//! The state comes from each node's own list: the cluster-wide list is built from samples and lags. The node comes from
//! both; a guest that is no longer listed, on a node that cannot be asked, is not forgotten.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, GuestKind, NodeName, Vmid};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Guest, GuestStatus, Lock, Snapshot};

use super::membership::Membership;
use super::node::NodeLook;
use super::reader::{Reader, node_path};
use super::rights;
use crate::wire::cluster::GuestEntry;
use crate::wire::lenient::{Int, List};

/// The cluster's own list of guests.
pub(super) async fn resources(reader: &Reader<'_>) -> Result<Vec<GuestEntry>, WhyUnknown> {
    reader.get::<List<GuestEntry>>("/cluster/resources?type=vm").await.map(|list| list.0)
}

/// The cluster's list in two: guests of its members, and what is left below nodes that are none any more. Where the
/// cluster's configuration was not read, every node may be a member.
pub(super) fn of_members(
    resources: Result<Vec<GuestEntry>, WhyUnknown>,
    membership: &Membership,
) -> (Result<Vec<GuestEntry>, WhyUnknown>, BTreeMap<GuestId, NodeName>) {
    let Ok(all) = resources else { return (resources, BTreeMap::new()) };
    let is_left = |entry: &GuestEntry| {
        let node = entry.node.as_ref().map(|node| NodeName::new(node.0.clone()));
        membership.votes.known().is_some() && node.is_some_and(|node| !membership.names.contains(&node))
    };
    let (left, of_members): (Vec<GuestEntry>, Vec<GuestEntry>) = all.into_iter().partition(is_left);
    let orphans = listed_by_cluster(&Ok(left)).into_iter().map(|(id, (node, _))| (id, node)).collect();
    (Ok(of_members), orphans)
}

/// All guests with node and state; what needs calls of its own is still unknown.
pub(super) fn place(
    nodes: &BTreeMap<NodeName, NodeLook>,
    resources: &Result<Vec<GuestEntry>, WhyUnknown>,
    membership: &Membership,
    previous: Option<&Snapshot>,
) -> BTreeMap<GuestId, Guest> {
    let listed = listed_by_nodes(nodes);
    let known = listed_by_cluster(resources);
    let ids: BTreeSet<GuestId> = listed.keys().chain(known.keys()).copied().collect();
    let mut guests = BTreeMap::new();
    for id in ids {
        let in_cluster = known.get(&id);
        let on_nodes = listed.get(&id).map(Vec::as_slice).unwrap_or_default();
        // Two nodes list it if it moved between our calls: then the cluster's list decides.
        let agrees = |(node, _): &&(&NodeName, &GuestEntry)| in_cluster.is_none_or(|(place, _)| place == *node);
        let on_node = on_nodes.iter().find(agrees).or_else(|| on_nodes.first());
        let guest = match (on_node, in_cluster) {
            (Some((node, entry)), _) => from_node(id, node, entry, nodes),
            (None, Some((node, entry))) => from_cluster(id, node, entry, nodes, membership, previous),
            (None, None) => continue,
        };
        guests.insert(id, guest);
    }
    if resources.is_err() {
        remember(&mut guests, nodes, previous);
    }
    guests
}

type OnNodes<'a> = BTreeMap<GuestId, Vec<(&'a NodeName, &'a GuestEntry)>>;

fn listed_by_nodes(nodes: &BTreeMap<NodeName, NodeLook>) -> OnNodes<'_> {
    let mut listed: OnNodes<'_> = BTreeMap::new();
    for (name, seen) in nodes {
        for (kind, list) in [(GuestKind::Vm, &seen.vms), (GuestKind::Ct, &seen.cts)] {
            for entry in list.iter().flatten() {
                if let Some(vmid) = entry.vmid {
                    listed.entry(GuestId { vmid: Vmid(vmid.small()), kind }).or_default().push((name, entry));
                }
            }
        }
    }
    listed
}

fn listed_by_cluster(resources: &Result<Vec<GuestEntry>, WhyUnknown>) -> BTreeMap<GuestId, (NodeName, &GuestEntry)> {
    let entries = resources.iter().flatten();
    let parts = entries.filter_map(|entry| {
        let kind = rights::kind(&entry.kind.as_ref()?.0)?;
        let id = GuestId { vmid: Vmid(entry.vmid?.small()), kind };
        Some((id, (NodeName::new(entry.node.as_ref()?.0.clone()), entry)))
    });
    parts.collect()
}

fn bare(id: GuestId, node: &NodeName, entry: &GuestEntry) -> Guest {
    let unread = || WhyUnknown::new(config_source(id, node), "not read yet");
    let tags = entry.tags.as_ref().map(|tags| tags.0.as_str()).unwrap_or_default();
    let tags = tags.split([';', ',', ' ']).filter(|tag| !tag.is_empty());
    Guest {
        id,
        name: entry.name.as_ref().map(|name| name.0.clone()).unwrap_or_default(),
        node: node.clone(),
        status: Observed::Unknown(unread()),
        template: entry.template.0,
        memory_bytes: entry.maxmem.map_or(0, Int::unsigned),
        cpus: entry.cpus.or(entry.maxcpu).map_or(0, Int::small),
        lock: Observed::Known(entry.lock.as_ref().map(|lock| lock.0.clone()).filter(|lock| !lock.is_empty()).map(Lock)),
        tags: tags.map(str::to_owned).collect(),
        onboot: Observed::Unknown(unread()),
        migration: Observed::Unknown(unread()),
    }
}

/// Where a guest's configuration is read.
pub(super) fn config_source(id: GuestId, node: &NodeName) -> String {
    format!("GET {}", node_path(node, &format!("{}/{}/config", id.kind.api(), id.vmid)))
}

fn from_node(id: GuestId, node: &NodeName, entry: &GuestEntry, nodes: &BTreeMap<NodeName, NodeLook>) -> Guest {
    let mut guest = bare(id, node, entry);
    let local = nodes.get(node).and_then(|seen| seen.local_states.get(&(id.kind, id.vmid)));
    let source = format!("GET {}", node_path(node, id.kind.api()));
    let word = entry.status.as_ref().map(|status| status.0.as_str()).unwrap_or("missing");
    let qmp = entry.qmpstatus.as_ref().map(|status| status.0.as_str()).or(local.map(String::as_str));
    guest.status = match status(word, qmp) {
        Some(status) => Observed::Known(status),
        None => Observed::unknown(source, format!("{id} has the status {word:?}")),
    };
    guest
}

/// The node's list says only whether there is a process; QEMU's own state distinguishes a paused guest from a running
/// one.
pub(super) fn status(word: &str, qmp: Option<&str>) -> Option<GuestStatus> {
    match (word, qmp) {
        ("stopped", _) => Some(GuestStatus::Stopped),
        ("running", Some("paused" | "suspended" | "prelaunch" | "io-error" | "internal-error" | "postmigrate")) => {
            Some(GuestStatus::Paused)
        }
        ("running", _) => Some(GuestStatus::Running),
        ("paused" | "suspended", _) => Some(GuestStatus::Paused),
        _ => None,
    }
}

/// Listed only by the cluster: its node is silent or offline, or it is migrating.
fn from_cluster(
    id: GuestId,
    node: &NodeName,
    entry: &GuestEntry,
    nodes: &BTreeMap<NodeName, NodeLook>,
    membership: &Membership,
    previous: Option<&Snapshot>,
) -> Guest {
    let mut guest = bare(id, node, entry);
    if let Some(old) = previous.and_then(|previous| previous.guests.get(&id)).filter(|_| entry.maxmem.is_none()) {
        // A guest without samples is listed without its size.
        (guest.memory_bytes, guest.cpus) = (old.memory_bytes, old.cpus);
        guest.name = if guest.name.is_empty() { old.name.clone() } else { guest.name };
    }
    let seen = nodes.get(node);
    let list = seen.map(|seen| if id.kind == GuestKind::Vm { &seen.vms } else { &seen.cts });
    let local = seen.and_then(|seen| seen.local_states.get(&(id.kind, id.vmid)));
    let source = format!("GET {}", node_path(node, id.kind.api()));
    guest.status = match (local, list) {
        // The node's own list by shell is as current as its API.
        (Some(word), _) if !membership.is_offline(node) => {
            let simple = if word == "stopped" { "stopped" } else { "running" };
            status(simple, Some(word)).map_or(Observed::unknown(source, word.clone()), Observed::Known)
        }
        (_, Some(Err(why))) => Observed::Unknown(why.clone()),
        (_, Some(Ok(_))) => Observed::unknown(source, format!("{id} is not in the node's list; it may be moving")),
        (_, None) => Observed::unknown(source, format!("{node} is not a node of this cluster")),
    };
    guest
}

/// With neither the cluster's nor its node's list, a guest that was there is still there: with everything unknown.
fn remember(guests: &mut BTreeMap<GuestId, Guest>, nodes: &BTreeMap<NodeName, NodeLook>, previous: Option<&Snapshot>) {
    for old in previous.iter().flat_map(|previous| previous.guests.values()) {
        let Some(seen) = nodes.get(&old.node) else { continue };
        let list = if old.id.kind == GuestKind::Vm { &seen.vms } else { &seen.cts };
        if let (Err(why), false) = (list, guests.contains_key(&old.id)) {
            let unknown = || Observed::Unknown(why.clone());
            let guest = Guest { status: unknown(), lock: Observed::Unknown(why.clone()), ..old.clone() };
            let guest =
                Guest { onboot: Observed::Unknown(why.clone()), migration: Observed::Unknown(why.clone()), ..guest };
            guests.insert(old.id, guest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_guest_is_distinguished_from_a_running_one_and_nonsense_is_unknown() {
        assert_eq!(status("running", Some("running")), Some(GuestStatus::Running));
        assert_eq!(status("running", Some("paused")), Some(GuestStatus::Paused));
        assert_eq!(status("running", None), Some(GuestStatus::Running));
        assert_eq!(status("stopped", Some("running")), Some(GuestStatus::Stopped));
        assert_eq!(status("unknown", None), None);
    }
}
