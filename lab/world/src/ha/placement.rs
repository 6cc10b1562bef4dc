//! Where a service belongs: nodes that are online, rules, failback, and the move back after maintenance.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

use super::{NodeStatus, Rule, RuleKind, ServiceState};
use crate::World;

/// What one round of the master looks up repeatedly.
pub(super) struct Round {
    /// Nodes that may receive services.
    pub online: BTreeSet<NodeName>,
    /// Services per node, for the least loaded.
    pub load: BTreeMap<NodeName, u32>,
    /// Rules by service.
    pub rules: BTreeMap<GuestId, Vec<Rule>>,
}

impl World {
    pub(super) fn begin_round(&self) -> Round {
        let manager = &self.ha.manager;
        let online = manager.node_status.iter().filter(|(_, status)| **status == NodeStatus::Online);
        let online: BTreeSet<NodeName> = online
            .map(|(node, _)| node.clone())
            .filter(|node| self.ha.lrm.get(node).is_some_and(|lrm| lrm.running))
            .collect();
        let mut load: BTreeMap<NodeName, u32> = online.iter().map(|node| (node.clone(), 0)).collect();
        for service in manager.services.values() {
            let node = service.target.as_ref().unwrap_or(&service.node);
            *load.entry(node.clone()).or_default() += 1;
        }
        let mut rules: BTreeMap<GuestId, Vec<Rule>> = BTreeMap::new();
        for rule in self.ha.rules.values().filter(|rule| !rule.disabled) {
            for sid in &rule.resources {
                rules.entry(*sid).or_default().push(rule.clone());
            }
        }
        Round { online, load, rules }
    }

    /// The node a service should be on; none if no node may have it.
    pub(super) fn select_node(&self, round: &Round, sid: GuestId) -> Option<NodeName> {
        let service = self.ha.manager.services.get(&sid)?;
        let failback = self.ha.resources.get(&sid).is_none_or(|resource| resource.failback);
        let none = Vec::new();
        let rules = round.rules.get(&sid).unwrap_or(&none);
        if rules.is_empty() && service.maintenance_node.is_none() && round.online.contains(&service.node) {
            return Some(service.node.clone());
        }
        let mut allowed: BTreeSet<NodeName> = round.online.clone();
        for rule in rules {
            self.apply_rule(rule, sid, &mut allowed);
        }
        let preferred = best_priority(rules, &allowed);
        if !failback && allowed.contains(&service.node) {
            return Some(service.node.clone());
        }
        if let Some(home) = service.maintenance_node.as_ref().filter(|home| preferred.contains(*home)) {
            return Some(home.clone());
        }
        if preferred.contains(&service.node) {
            return Some(service.node.clone());
        }
        let fresh = preferred.iter().filter(|node| !service.failed_nodes.contains(node));
        fresh.min_by_key(|node| round.load.get(*node).copied().unwrap_or(0)).cloned()
    }

    fn apply_rule(&self, rule: &Rule, sid: GuestId, allowed: &mut BTreeSet<NodeName>) {
        let others = rule.resources.iter().filter(|other| **other != sid);
        match &rule.kind {
            RuleKind::NodeAffinity { nodes, strict: true } => allowed.retain(|node| nodes.contains_key(node)),
            RuleKind::NodeAffinity { .. } => {}
            RuleKind::KeepApart => {
                // A stopped service blocks no other here, although a requested move is refused because of it.
                for other in others.filter(|other| !self.is_at_rest(**other)) {
                    for place in self.places_of(*other) {
                        allowed.remove(&place);
                    }
                }
            }
            RuleKind::KeepTogether => {
                let others = others.filter(|other| !self.is_at_rest(**other));
                let together: BTreeSet<NodeName> = others.flat_map(|other| self.places_of(*other)).collect();
                if allowed.iter().any(|node| together.contains(node)) {
                    allowed.retain(|node| together.contains(node));
                }
            }
        }
    }

    /// Does it count for no node's load: stopped, or about to be started?
    fn is_at_rest(&self, sid: GuestId) -> bool {
        let service = self.ha.manager.services.get(&sid);
        service.is_some_and(|service| matches!(service.state, ServiceState::Stopped | ServiceState::RequestStart))
    }

    /// Where a service is and where it goes.
    fn places_of(&self, sid: GuestId) -> Vec<NodeName> {
        let service = self.ha.manager.services.get(&sid);
        service.map(|s| [Some(s.node.clone()), s.target.clone()].into_iter().flatten().collect()).unwrap_or_default()
    }

    /// Resources that go along with this one.
    pub fn ha_companions(&self, sid: GuestId) -> Vec<GuestId> {
        let rules = self.ha.rules.values().filter(|rule| !rule.disabled && rule.kind == RuleKind::KeepTogether);
        let mine = rules.filter(|rule| rule.resources.contains(&sid));
        let all: BTreeSet<GuestId> = mine.flat_map(|rule| rule.resources.iter().copied()).collect();
        all.into_iter().filter(|other| *other != sid).collect()
    }

    /// Resources that keep this one off a node, and why.
    pub fn ha_blockers(&self, sid: GuestId, node: &NodeName) -> Vec<(GuestId, String)> {
        let mut found = Vec::new();
        if !self.ha_managed(sid) {
            return found;
        }
        for rule in self.ha.rules.values().filter(|rule| !rule.disabled && rule.resources.contains(&sid)) {
            match &rule.kind {
                RuleKind::NodeAffinity { nodes, strict: true } if !nodes.contains_key(node) => {
                    found.push((sid, "node-affinity".to_owned()));
                }
                RuleKind::KeepApart => {
                    let others = rule.resources.iter().filter(|other| **other != sid);
                    let there = others.filter(|other| self.places_of(**other).contains(node));
                    found.extend(there.map(|other| (*other, "resource-affinity".to_owned())));
                }
                RuleKind::NodeAffinity { .. } | RuleKind::KeepTogether => {}
            }
        }
        found
    }
}

/// The nodes with the highest priority among those allowed; nodes that no rule names have none.
pub(super) fn best_priority(rules: &[Rule], allowed: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
    let affinity = rules.iter().find_map(|rule| match &rule.kind {
        RuleKind::NodeAffinity { nodes, .. } => Some(nodes),
        RuleKind::KeepApart | RuleKind::KeepTogether => None,
    });
    let Some(nodes) = affinity else { return allowed.clone() };
    let best = allowed.iter().filter_map(|node| nodes.get(node)).max();
    match best {
        Some(best) => allowed.iter().filter(|node| nodes.get(*node) == Some(best)).cloned().collect(),
        None => allowed.clone(),
    }
}
