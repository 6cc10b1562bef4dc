//! How the rules gather evidence: what is broken, and which readings are missing.

use std::collections::BTreeSet;

use super::outcome::{Grounds, Missing, RuleOutcome};
use crate::ids::NodeName;
use crate::observed::Observed;
use crate::snapshot::{Node, QuorumView, Snapshot, UnitState};

/// Evidence as it is gathered.
#[derive(Debug)]
pub(super) struct Findings<E> {
    broken: Vec<E>,
    missing: Vec<E>,
}

impl<E: From<Missing>> Findings<E> {
    pub(super) fn new() -> Self {
        Self { broken: Vec::new(), missing: Vec::new() }
    }

    /// Something that breaks the rule.
    pub(super) fn broken(&mut self, evidence: E) {
        self.broken.push(evidence);
    }

    /// Something that must be known and is not.
    pub(super) fn missing(&mut self, what: impl Into<E>) {
        self.missing.push(what.into());
    }

    /// A reading; if it is missing, that is noted.
    pub(super) fn read<'a, T>(&mut self, value: &'a Observed<T>) -> Option<&'a T> {
        match value {
            Observed::Known(value) => Some(value),
            Observed::Unknown(why) => {
                self.missing(Missing::Reading(why.clone()));
                None
            }
        }
    }

    /// The outcome; what is broken for certain outweighs what is not known.
    pub(super) fn outcome(self) -> RuleOutcome<E> {
        match (Grounds::of(self.broken), Grounds::of(self.missing)) {
            (Some(broken), _) => RuleOutcome::Broken(broken),
            (None, Some(missing)) => RuleOutcome::Unknown(missing),
            (None, None) => RuleOutcome::Holds,
        }
    }
}

/// `pve1, pve2`.
pub(super) fn names(nodes: &BTreeSet<NodeName>) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

/// The nodes that are online. If that is not known for a node, it counts as online: it has to be asked.
pub(super) fn online_nodes(snapshot: &Snapshot) -> impl Iterator<Item = &Node> {
    snapshot.nodes.values().filter(|node| !node.online.is(&false))
}

/// The own views of all nodes that are online; a missing one is noted.
pub(super) fn online_views<'a, E: From<Missing>>(
    snapshot: &'a Snapshot,
    findings: &mut Findings<E>,
) -> Vec<(&'a NodeName, &'a QuorumView)> {
    let mut views = Vec::new();
    for node in online_nodes(snapshot) {
        if findings.read(&node.online).is_none() {
            continue;
        }
        match snapshot.quorum.get(&node.name) {
            Some(view) => views.extend(findings.read(view).map(|view| (&node.name, view))),
            None => findings.missing(Missing::View(node.name.clone())),
        }
    }
    if views.is_empty() {
        findings.missing(Missing::EveryView);
    }
    views
}

/// Is an upgrade of ours running on the node? If that is not known on a node that is online, it is noted.
pub(super) fn is_upgrading<E: From<Missing>>(node: &Node, findings: &mut Findings<E>) -> bool {
    let unit = match node.online.is(&false) {
        true => node.upgrade_unit.known(),
        false => findings.read(&node.upgrade_unit),
    };
    unit.and_then(Option::as_ref).is_some_and(|unit| unit.state == UnitState::Running)
}

/// Nodes with an upgrade running: at some moment of it they are no members. Corosync is restarted by its own package,
/// the network under it by others (ifupdown2, Open vSwitch); and a node whose upgrade has begun has to be rebooted.
pub(super) fn upgrading<E: From<Missing>>(snapshot: &Snapshot, findings: &mut Findings<E>) -> BTreeSet<NodeName> {
    let nodes = online_nodes(snapshot).filter(|node| is_upgrading(node, findings));
    nodes.map(|node| node.name.clone()).collect()
}
