//! Proofs of infeasibility where they are cheap: sums, sizes and groups. What is reported here is certain; where
//! nothing is reported, there may still be no plan.

use crate::plan;
use crate::planner::problem::Problem;
use crate::planner::problem::instance::{Instance, NodeSet};

/// Why there can be no plan, whatever the order of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Proof {
    /// While this node is away, all guests need more memory than the others have.
    NoRoomWithout {
        /// The node that is away.
        node: usize,
        /// Memory of all guests that can move.
        needed_bytes: u64,
        /// Memory that the other nodes have for them.
        there_bytes: u64,
    },
    /// No node that the guest may be on, except its own, is big enough for it, even when empty.
    TooBig {
        /// The guest that has to leave its node.
        item: usize,
        /// The biggest of these nodes, and what it has; none if there is none.
        biggest: Option<(usize, u64)>,
    },
    /// There are at least as many guests that must not meet as nodes for them, and one of these nodes is away while it
    /// is upgraded.
    GroupTooWide {
        /// The guests that must not meet.
        items: Vec<usize>,
        /// The nodes that they may be on.
        nodes: NodeSet,
    },
}

/// Everything that can be proven cheaply; one of each kind for each node or group.
pub(in crate::planner) fn proofs(instance: &Instance) -> Vec<Proof> {
    let mut found = Vec::new();
    let needed_bytes = instance.items.iter().fold(0_u64, |sum, item| sum.saturating_add(item.memory_bytes));
    for node in instance.with_turn().iter() {
        let others = instance.places.iter().enumerate().filter(|(other, _)| *other != node);
        let there_bytes = others.fold(0_u64, |sum, (_, place)| sum.saturating_add(place.capacity_bytes));
        if needed_bytes > there_bytes {
            found.push(Proof::NoRoomWithout { node, needed_bytes, there_bytes });
        }
    }
    for (number, item) in instance.items.iter().enumerate() {
        if !instance.places[item.home].has_turn {
            continue;
        }
        let elsewhere = item.allowed.without(item.home).iter().map(|node| (node, instance.places[node].capacity_bytes));
        let biggest = elsewhere.max_by_key(|(node, bytes)| (*bytes, std::cmp::Reverse(*node)));
        if biggest.is_none_or(|(_, bytes)| bytes < item.memory_bytes) {
            found.push(Proof::TooBig { item: number, biggest });
        }
    }
    found.extend(groups(instance));
    found
}

fn groups(instance: &Instance) -> Vec<Proof> {
    let mut found: Vec<Proof> = Vec::new();
    for start in 0..instance.items.len() {
        let mut items = vec![start];
        for other in &instance.items[start].apart {
            if items[1..].iter().all(|one| instance.items[*one].apart.contains(other)) {
                items.push(*other);
            }
        }
        items.sort_unstable();
        let nodes = items.iter().fold(NodeSet::EMPTY, |nodes, item| nodes.with_all(instance.items[*item].allowed));
        let one_is_away = !nodes.and(instance.with_turn()).is_empty();
        let known = |known: &Proof| matches!(known, Proof::GroupTooWide { items: known, .. } if *known == items);
        if items.len() > 1 && one_is_away && items.len() >= nodes.len() && !found.iter().any(known) {
            found.push(Proof::GroupTooWide { items, nodes });
        }
    }
    found
}

impl Proof {
    /// The same with names.
    pub(super) fn named(self, problem: &Problem<'_>) -> plan::Proof {
        let name = |node: usize| problem.names[node].clone();
        match self {
            Self::NoRoomWithout { node, needed_bytes, there_bytes } => {
                plan::Proof::NoRoomWithout { node: name(node), needed: needed_bytes, there: there_bytes }
            }
            Self::TooBig { item, biggest } => plan::Proof::TooBig {
                guests: problem.guests_of(item),
                bytes: problem.instance.items[item].memory_bytes,
                biggest: biggest.map(|(node, there)| (name(node), there)),
            },
            Self::GroupTooWide { items, nodes } => plan::Proof::GroupTooWide {
                guests: items.into_iter().map(|item| problem.guests_of(item)).collect(),
                nodes: nodes.iter().map(name).collect(),
            },
        }
    }
}
