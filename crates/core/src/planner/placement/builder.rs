//! What the construction of a solution works with: where every guest is, the search style, and the possible targets of
//! one guest.

use super::board::Board;
use crate::planner::draws::mix;
use crate::planner::problem::instance::{Instance, NodeSet};

/// Where guests are parked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Parking {
    /// On the node that is drained last: by then upgraded nodes have the most room.
    Late,
    /// On the node with the least memory left.
    Tight,
    /// On a random node; the order of the guests is random as well, and now and then one waits that need not.
    Any,
}

/// Which guests wait where the upgraded nodes do not have the memory for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) enum FewWait {
    /// A few big ones wait.
    Yes,
    /// Those that are placed last wait.
    No,
}

/// Which of the upgraded nodes takes a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Fill {
    /// The one with the least memory left over: big gaps are kept for big guests.
    Tight,
    /// The emptiest one.
    Even,
}

/// When guests move back that should be on a certain node at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Back {
    /// As soon as their node is upgraded and has room.
    AtOnce,
    /// When all nodes are upgraded.
    AtTheEnd,
}

/// How a solution is built; the search varies it.
#[derive(Clone, Debug)]
pub(in crate::planner) struct Style {
    pub(in crate::planner) parking: Parking,
    /// Are the guests that wait chosen in advance?
    pub(in crate::planner) few_wait: FewWait,
    pub(in crate::planner) fill: Fill,
    pub(in crate::planner) back: Back,
    /// Shuffles the order of guests that are otherwise alike; 0 leaves it.
    pub(in crate::planner) shuffle: u64,
}

/// What counts against a node: it is not where the guest should end, it is rebooting; then how badly the guest fits;
/// then the node's number.
type Preference = ((bool, bool), (bool, u64), usize);

/// Memory that restricted guests will want on a node later.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    /// By guest: on which nodes, and how much on each of them.
    by_item: Vec<(NodeSet, u64)>,
    /// By node: the sum of all claims.
    total: Vec<u64>,
}

impl Claims {
    pub(super) fn new(instance: &Instance) -> Self {
        Self { by_item: vec![(NodeSet::EMPTY, 0); instance.items.len()], total: vec![0; instance.places.len()] }
    }

    fn set(&mut self, item: usize, nodes: NodeSet, bytes: u64) {
        self.drop(item);
        let share = if nodes.is_empty() { 0 } else { bytes / nodes.len() as u64 };
        for node in nodes.iter() {
            self.total[node] += share;
        }
        self.by_item[item] = (nodes, share);
    }

    pub(super) fn drop(&mut self, item: usize) {
        let (nodes, share) = std::mem::take(&mut self.by_item[item]);
        for node in nodes.iter() {
            self.total[node] -= share;
        }
    }

    /// What other guests will want on a node.
    fn of_others(&self, item: usize, node: usize) -> u64 {
        let (nodes, share) = self.by_item[item];
        self.total[node] - if nodes.has(node) { share } else { 0 }
    }
}

pub(super) struct Builder<'a> {
    pub(super) board: Board<'a>,
    pub(super) claims: Claims,
    /// Position of each node in the order; nodes that need no upgrade come before all others.
    pub(super) rank: Vec<usize>,
    pub(super) style: &'a Style,
    pub(super) limit: u64,
    /// The node that was upgraded last, if guests of the next one leave while it reboots.
    pub(super) rebooting: Option<usize>,
}

impl Builder<'_> {
    /// Records where a restricted guest will want to go when its node is drained.
    pub(super) fn claim(&mut self, item: usize) {
        let (spec, at) = (self.board.item(item), self.board.at[item]);
        let here = self.rank[at];
        let later = spec.allowed.iter().filter(|node| self.rank[*node] < here).collect();
        self.claims.set(item, later, spec.memory_bytes);
    }

    /// The upgraded node where the guest fits best: one where it should end, one that is not rebooting, and then the
    /// one with the least memory left over beyond what other guests will want.
    pub(super) fn upgraded_target(&self, item: usize, not: NodeSet) -> Option<usize> {
        let spec = self.board.item(item);
        let mut best: Option<Preference> = None;
        for node in spec.allowed.and(self.board.upgraded).minus(not).iter() {
            let free = self.board.free(node);
            if free < spec.memory_bytes {
                continue;
            }
            let (left, wanted) = (free - spec.memory_bytes, self.claims.of_others(item, node));
            let fits_as = match self.style.parking {
                Parking::Any => (false, mix(self.style.shuffle, (item * 131 + node) as u64)),
                _ if left < wanted => (true, wanted - left),
                _ if self.style.fill == Fill::Even => (false, self.board.fullness(node)),
                _ => (false, left - wanted),
            };
            let elsewhere = spec.ends.is_some_and(|ends| !ends.has(node));
            let key = ((elsewhere, self.rebooting == Some(node)), fits_as, node);
            if best.is_none_or(|best| key < best) && self.board.fits(item, node) {
                best = Some(key);
            }
        }
        best.map(|(_, _, node)| node)
    }

    /// A node, not upgraded yet, to wait on.
    pub(super) fn parking(&self, item: usize, not: NodeSet) -> Option<usize> {
        let old = self.board.item(item).allowed.minus(self.board.upgraded).minus(not);
        let fitting = old.iter().filter(|node| self.board.fits(item, *node));
        match self.style.parking {
            Parking::Late => fitting.max_by_key(|node| (self.rank[*node], *node)),
            Parking::Tight => fitting.min_by_key(|node| (self.board.free(*node), *node)),
            Parking::Any => {
                let draw = |node: usize| mix(self.style.shuffle, (item * 131 + node) as u64);
                fitting.min_by_key(|node| (draw(*node), *node))
            }
        }
    }
}
