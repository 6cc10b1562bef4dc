//! Readings without which nothing is planned, and nodes that are out for a reason of their own.

use crate::checks::{Finding, Subject};
use crate::snapshot::{HaNodeState, Node, Snapshot};
use crate::steps::{Maintenance, undo};

use super::Ongoing;
use super::findings::{blocking, unknown};
use super::instance::MOST_NODES;
use super::problem::has_turn;

/// What is missing of the cluster as a whole.
pub(super) fn cluster_findings(snapshot: &Snapshot, ongoing: &Ongoing) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut need = |missing: Option<&crate::observed::WhyUnknown>, what: &str| {
        if let Some(why) = missing {
            findings.push(unknown(Subject::Cluster, &format!("{what} is not known: {why}")));
        }
    };
    need(snapshot.ha.read().err(), "the state of HA");
    need(snapshot.ceph.read().err(), "whether there is Ceph");
    need(snapshot.storages.read().err(), "the storage configuration");
    need(snapshot.sees_all_guests.read().err(), "whether the token sees all guests");
    if snapshot.sees_all_guests.is(&false) {
        findings.push(unknown(Subject::Cluster, "the token does not see all guests: some may be in the way unseen"));
    }
    if snapshot.nodes.is_empty() {
        findings.push(unknown(Subject::Cluster, "no node was seen"));
    }
    if snapshot.nodes.len() > MOST_NODES {
        let what = format!("{} nodes; a plan can have {MOST_NODES}", snapshot.nodes.len());
        findings.push(blocking("plan-too-big", Subject::Cluster, what, "upgrade this cluster in parts by hand".into()));
    }
    for name in ongoing.under_work.iter().filter(|name| !snapshot.nodes.contains_key(name)) {
        findings.push(unknown(Subject::Node(name.clone()), &format!("{name} is under work, but not a node any more")));
    }
    for (name, state) in snapshot.ha.known().iter().flat_map(|ha| &ha.nodes) {
        let ours = ongoing.under_work.as_ref() == Some(name)
            || ongoing.owed.contains(&undo(Maintenance { node: name.clone() }));
        if !matches!(state, HaNodeState::Online | HaNodeState::Gone) && !ours && snapshot.nodes.contains_key(name) {
            let what = format!("HA has {name} as {state:?}, and not because of this run");
            let remedy = format!("ha-manager crm-command node-maintenance disable {name}, or bring it back");
            findings.push(blocking("plan-node-out", Subject::Node(name.clone()), what, remedy));
        }
    }
    findings
}

/// What is missing of a node.
pub(super) fn node_findings(node: &Node, ongoing: &Ongoing) -> Vec<Finding> {
    let subject = || Subject::Node(node.name.clone());
    if node.online.is(&false) {
        let what = format!("{} is not a member of the cluster now", node.name);
        let remedy = "bring it back first: with one node out no other may be taken".to_owned();
        return vec![blocking("plan-node-out", subject(), what, remedy)];
    }
    let mut missing = vec![
        ("membership", node.online.read().err()),
        ("memory", node.memory.read().err()),
        ("PVE version", node.pve_version.read().err()),
        ("QEMU version", node.qemu_version.read().err()),
        ("state of packages", node.packages.read().err()),
        ("kernels", node.kernel.read().err()),
    ];
    if has_turn(node, ongoing) {
        missing.push(("boot id", node.boot.read().err()));
    }
    let missing = missing.into_iter().filter_map(|(what, why)| why.map(|why| (what, why)));
    missing.map(|(what, why)| unknown(subject(), &format!("the {what} of {} is not known: {why}", node.name))).collect()
}
