//! What must be known and in order before anything is planned: readings, nodes that are online, node names that exist.

use crate::observed::WhyUnknown;
use crate::plan::{Missing, Reason};
use crate::policy::Policy;
use crate::snapshot::{HaNodeState, Node, Snapshot};
use crate::steps::{Maintenance, undo};

use super::instance::MOST_NODES;
use super::{Ongoing, has_turn};

/// What is missing for the cluster as a whole.
pub(super) fn of_cluster(snapshot: &Snapshot, ongoing: &Ongoing) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut need = |missing: Option<&WhyUnknown>, what: &str| {
        reasons.extend(missing.map(|why| Reason::Unknown(Missing::Cluster(what.to_owned(), why.clone()))));
    };
    need(snapshot.ha.read().err(), "the state of HA");
    need(snapshot.ceph.read().err(), "whether there is Ceph");
    need(snapshot.storages.read().err(), "the storage configuration");
    need(snapshot.sees_all_guests.read().err(), "whether the token sees all guests");
    if snapshot.sees_all_guests.is(&false) {
        reasons.push(Reason::Unknown(Missing::Guests));
    }
    if snapshot.nodes.is_empty() {
        reasons.push(Reason::Unknown(Missing::Nodes));
    }
    if snapshot.nodes.len() > MOST_NODES {
        reasons.push(Reason::TooManyNodes(snapshot.nodes.len(), MOST_NODES));
    }
    for name in ongoing.current_node.iter().filter(|name| !snapshot.nodes.contains_key(name)) {
        reasons.push(Reason::Unknown(Missing::Begun(name.clone())));
    }
    for (name, state) in snapshot.ha.known().iter().flat_map(|ha| &ha.nodes) {
        let ours = ongoing.current_node.as_ref() == Some(name)
            || ongoing.to_undo.contains(&undo(Maintenance { node: name.clone() }));
        if !matches!(state, HaNodeState::Online | HaNodeState::Gone) && !ours && snapshot.nodes.contains_key(name) {
            reasons.push(Reason::NodeOut(name.clone(), *state));
        }
    }
    reasons
}

/// What is missing for a node.
pub(super) fn of_node(snapshot: &Snapshot, node: &Node, ongoing: &Ongoing) -> Vec<Reason> {
    if node.online.is(&false) {
        return vec![Reason::NodeOffline(node.name.clone())];
    }
    let mut readings = vec![
        ("membership", node.online.read().err()),
        ("memory", node.memory.read().err()),
        ("PVE version", node.pve_version.read().err()),
        ("QEMU version", node.qemu_version.read().err()),
        ("state of packages", node.packages.read().err()),
        ("kernels", node.kernel.read().err()),
    ];
    if has_turn(snapshot, node, ongoing) {
        readings.push(("boot id", node.boot.read().err()));
    }
    let missing = |(what, why): (&'static str, Option<&WhyUnknown>)| {
        Some(Reason::Unknown(Missing::Node(node.name.clone(), what.to_owned(), why?.clone())))
    };
    readings.into_iter().filter_map(missing).collect()
}

/// Nodes that the operator names in the order but that do not exist.
pub(super) fn of_order(policy: &Policy, snapshot: &Snapshot) -> Vec<Reason> {
    let ordered = policy.first.iter().chain(&policy.last).chain(&policy.spare);
    ordered.filter(|name| !snapshot.nodes.contains_key(name)).map(|name| Reason::NoSuchNode(name.clone())).collect()
}

/// Nodes whose processors are not known although the policy limits them.
pub(super) fn of_processors(policy: &Policy, snapshot: &Snapshot) -> Vec<Reason> {
    if policy.cpu_limit_percent.is_none() {
        return Vec::new();
    }
    let missing = |node: &Node| {
        let why = node.cpu.read().err()?;
        Some(Reason::Unknown(Missing::Processors(node.name.clone(), why.clone())))
    };
    snapshot.nodes.values().filter_map(missing).collect()
}
