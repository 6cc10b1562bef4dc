//! The placement problem: numbered nodes, numbered guests, and which guest may be where. No names, no readings.
//!
//! A node is a [`Place`] in the code. Everything that can move is an [`Item`]: a guest, or several guests that must
//! stay together; the comments call it a guest. What cannot move is already subtracted from its node's capacity. The
//! solver knows nothing else, and neither does the benchmark.

use crate::policy::Overlap;

/// The most nodes that a plan can have.
pub const MOST_NODES: usize = 128;

/// A set of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSet(u128);

impl NodeSet {
    /// The set without nodes.
    pub const EMPTY: Self = Self(0);

    /// The first `count` nodes.
    pub fn first(count: usize) -> Self {
        match count {
            0 => Self(0),
            count => Self(u128::MAX >> (MOST_NODES - count.min(MOST_NODES))),
        }
    }

    /// This set with one more node.
    pub fn with(self, node: usize) -> Self {
        Self(self.0 | 1 << node)
    }

    /// This set without one node.
    pub fn without(self, node: usize) -> Self {
        Self(self.0 & !(1 << node))
    }

    /// The union of both sets.
    pub fn with_all(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The intersection of both sets.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The nodes of this set that are not in the other.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Is this node in the set?
    pub fn has(self, node: usize) -> bool {
        self.0 >> node & 1 == 1
    }

    /// Is the set without nodes?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of nodes in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The nodes, from the lowest number to the highest.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let node = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(node)
        })
    }
}

impl FromIterator<usize> for NodeSet {
    fn from_iter<I: IntoIterator<Item = usize>>(nodes: I) -> Self {
        nodes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// Ranks of the installed versions: a running VM goes only where neither is lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Rank of the QEMU package.
    pub qemu: u16,
    /// Rank of pve-manager.
    pub pve: u16,
}

impl Release {
    /// May a running VM come here from `other`?
    pub fn takes_from(self, other: Self) -> bool {
        self.qemu >= other.qemu && self.pve >= other.pve
    }
}

/// A node of the placement problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Memory for guests that can move, in bytes: without headroom and without what cannot move.
    pub capacity_bytes: u64,
    /// Memory of guests that cannot move, in bytes; used only for how full the node is.
    pub fixed_bytes: u64,
    /// Virtual processors for guests that can move; none: no limit.
    pub cpus: Option<u64>,
    /// Free bytes of local storages, by the storage's number.
    pub disk_free_bytes: Vec<u64>,
    /// Is it still to be upgraded?
    pub has_turn: bool,
    /// What is installed before its upgrade.
    pub before: Release,
    /// What is installed after its upgrade.
    pub after: Release,
}

impl Place {
    /// A guest stays here for good: what it takes is not available for others.
    pub(super) fn keep(&mut self, memory_bytes: u64, cpus: u64) {
        self.capacity_bytes = self.capacity_bytes.saturating_sub(memory_bytes);
        self.fixed_bytes = self.fixed_bytes.saturating_add(memory_bytes).min(1 << 56);
        self.cpus = self.cpus.map(|limit| limit.saturating_sub(cpus));
    }
}

/// A guest that can move, or several that must stay together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The memory that it takes, in bytes.
    pub memory_bytes: u64,
    /// Its virtual processors.
    pub cpus: u64,
    /// Local disks that move with it: the storage's number and the size in bytes.
    pub disks: Vec<(usize, u64)>,
    /// The cost of one move of it; see [`crate::planner::cost`].
    pub cost: u64,
    /// The node where it is at the start.
    pub home: usize,
    /// The nodes where it may be, as a rule including `home`.
    pub allowed: NodeSet,
    /// The nodes where it should be at the end, if that matters.
    pub ends: Option<NodeSet>,
    /// Guests that must not be on its node, not even while one of them is being migrated.
    pub apart: Vec<usize>,
    /// A running VM: it never goes to an older release than that of its node.
    pub forward_only: bool,
    /// The lowest rank of QEMU that its machine type needs.
    pub least_qemu: u16,
}

impl Item {
    /// The nodes where one move can be its last.
    pub fn lands(&self) -> NodeSet {
        self.ends.map_or(self.allowed, |ends| self.allowed.and(ends))
    }
}

/// The placement problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// The nodes, by number.
    pub places: Vec<Place>,
    /// The guests, by number.
    pub items: Vec<Item>,
    /// Nodes that are upgraded first, in this order.
    pub first: Vec<usize>,
    /// Nodes that are upgraded last, in this order.
    pub last: Vec<usize>,
    /// How much the fullest and the emptiest node may differ at the end, in thousandths; none: no preference.
    pub spread: Option<u64>,
    /// May guests of the next node leave it while a node reboots? Then targets other than the rebooting node are
    /// preferred.
    pub overlap: Overlap,
}

impl Instance {
    /// Nodes that are still to be upgraded.
    pub fn with_turn(&self) -> NodeSet {
        (0..self.places.len()).filter(|node| self.places[*node].has_turn).collect()
    }

    /// The same problem without preferences for the end.
    pub fn without_preferences(&self) -> Self {
        let mut plain = self.clone();
        plain.items.iter_mut().for_each(|item| item.ends = None);
        plain.spread = None;
        plain
    }

    /// What is installed on a node when these nodes are upgraded.
    fn release(&self, node: usize, upgraded: NodeSet) -> Release {
        let place = &self.places[node];
        if upgraded.has(node) && place.has_turn { place.after } else { place.before }
    }

    /// Do rules and versions allow this move? The node is allowed, the release not older, and QEMU knows the machine
    /// type.
    pub(in crate::planner) fn lets(&self, item: usize, from: usize, to: usize, upgraded: NodeSet) -> bool {
        let item = &self.items[item];
        let (there, here) = (self.release(to, upgraded), self.release(from, upgraded));
        item.allowed.has(to) && (!item.forward_only || there.takes_from(here)) && there.qemu >= item.least_qemu
    }

    /// Nodes that are ready from the start, because they need no upgrade.
    pub fn ready(&self) -> NodeSet {
        NodeSet::first(self.places.len()).minus(self.with_turn())
    }
}

/// One guest goes from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The number of the guest that moves.
    pub item: usize,
    /// The node that it leaves.
    pub from: usize,
    /// The node that it goes to.
    pub to: usize,
}

/// A node step: everything that moves before the node goes down, and what moves once it is back, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The node that is upgraded.
    pub node: usize,
    /// The moves before it goes down, one after the other.
    pub moves: Vec<Move>,
    /// Moves after the node is back, to meet preferences for the end.
    pub back: Vec<Move>,
}

impl Turn {
    /// All moves of the node step, in order.
    pub fn all(&self) -> impl Iterator<Item = &Move> {
        self.moves.iter().chain(&self.back)
    }
}

/// A solution of the placement problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// The node steps, in order.
    pub turns: Vec<Turn>,
    /// The cost of all moves.
    pub cost: u64,
    /// Guests that do not end where they should, and thousandths by which the end is less balanced than it should be.
    pub unmet: u64,
}

impl Solution {
    /// The number of moves in all node steps.
    pub fn moves(&self) -> usize {
        self.turns.iter().map(|turn| turn.all().count()).sum()
    }
}

/// A guest that cannot leave its node when that node is drained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckItem {
    /// The number of the guest that is stuck.
    pub item: usize,
    /// The node that it should leave.
    pub node: usize,
    /// Free memory of each node at that moment, in bytes; 0 where it is over its limit.
    pub free_bytes: Vec<u64>,
    /// Virtual processors that each node can still take at that moment.
    pub cpus_free: Vec<u64>,
    /// Nodes upgraded by then.
    pub upgraded: NodeSet,
    /// The node of every guest at that moment.
    pub positions: Vec<usize>,
}
