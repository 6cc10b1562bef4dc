//! The plan as a puzzle: numbered nodes, numbered items, who may be where. No names, no readings.
//!
//! Everything that can move is an item: a guest, or guests that must stay together as one. Everything that cannot
//! move is already taken off its node's capacity. The solver knows nothing else, and neither does the benchmark.

use crate::policy::Overlap;

/// Most nodes that a plan can have.
pub const MOST_NODES: usize = 128;

/// A set of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSet(u128);

impl NodeSet {
    /// No node.
    pub const EMPTY: Self = Self(0);

    /// The first `count` nodes.
    pub fn first(count: usize) -> Self {
        match count {
            0 => Self(0),
            count => Self(u128::MAX >> (MOST_NODES - count.min(MOST_NODES))),
        }
    }

    /// With one more.
    pub fn with(self, node: usize) -> Self {
        Self(self.0 | 1 << node)
    }

    /// Without one.
    pub fn without(self, node: usize) -> Self {
        Self(self.0 & !(1 << node))
    }

    /// What either has.
    pub fn with_all(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// What both have.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What this one has and the other has not.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Is it in?
    pub fn has(self, node: usize) -> bool {
        self.0 >> node & 1 == 1
    }

    /// Is there none?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// From the lowest number to the highest.
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

/// Ranks of what is installed: a running VM goes only where neither is lower.
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

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Memory for items, in bytes: without headroom and without what cannot move.
    pub capacity_bytes: u64,
    /// Memory of what stays; for how full the node is, and for nothing else.
    pub fixed_bytes: u64,
    /// Virtual processors for items; none: as many as come.
    pub cpus: Option<u64>,
    /// Free bytes of local storages, by the storage's number.
    pub disk_free_bytes: Vec<u64>,
    /// Has it its turn still before it?
    pub has_turn: bool,
    /// What is installed before its turn.
    pub before: Release,
    /// What is installed after it.
    pub after: Release,
}

impl Place {
    /// Something stays here for good: what it takes is not for items.
    pub(super) fn keep(&mut self, memory_bytes: u64, cpus: u64) {
        self.capacity_bytes = self.capacity_bytes.saturating_sub(memory_bytes);
        self.fixed_bytes = self.fixed_bytes.saturating_add(memory_bytes).min(1 << 56);
        self.cpus = self.cpus.map(|limit| limit.saturating_sub(cpus));
    }
}

/// What moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What it takes, in bytes.
    pub memory_bytes: u64,
    /// Virtual processors.
    pub cpus: u64,
    /// Local disks that travel with it: the storage's number and bytes.
    pub disks: Vec<(usize, u64)>,
    /// What one move of it costs; see [`crate::planner::cost`].
    pub cost: u64,
    /// Where it is.
    pub home: usize,
    /// Where it may be, home included.
    pub allowed: NodeSet,
    /// Where it is to be at the end, if that is not all the same.
    pub ends: Option<NodeSet>,
    /// Items that must not be on its node, not even while one of them travels.
    pub apart: Vec<usize>,
    /// A running VM: never to an older release than that of its node.
    pub forward_only: bool,
    /// The lowest rank of QEMU that its machine type needs.
    pub least_qemu: u16,
}

impl Item {
    /// Where one journey can be its last.
    pub fn lands(&self) -> NodeSet {
        self.ends.map_or(self.allowed, |ends| self.allowed.and(ends))
    }
}

/// The puzzle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Nodes by number.
    pub places: Vec<Place>,
    /// Items by number.
    pub items: Vec<Item>,
    /// Nodes that come first, in this order.
    pub first: Vec<usize>,
    /// Nodes that come last, in this order.
    pub last: Vec<usize>,
    /// How far the fullest and the emptiest node may be apart at the end, in thousandths; none: as it comes.
    pub spread: Option<u64>,
    /// May guests of the next node leave it while a node reboots? Then other targets than that node are preferred.
    pub overlap: Overlap,
}

impl Instance {
    /// Nodes whose turn is still to come.
    pub fn with_turn(&self) -> NodeSet {
        (0..self.places.len()).filter(|node| self.places[*node].has_turn).collect()
    }

    /// The same without wishes for the end.
    pub fn without_preferences(&self) -> Self {
        let mut plain = self.clone();
        plain.items.iter_mut().for_each(|item| item.ends = None);
        plain.spread = None;
        plain
    }

    /// What is installed on a node while these are upgraded.
    fn release(&self, node: usize, upgraded: NodeSet) -> Release {
        let place = &self.places[node];
        if upgraded.has(node) && place.has_turn { place.after } else { place.before }
    }

    /// Does what is installed let the item travel? Allowed there, not backwards, and QEMU knows its machine.
    pub(in crate::planner) fn lets(&self, item: usize, from: usize, to: usize, upgraded: NodeSet) -> bool {
        let item = &self.items[item];
        let (there, here) = (self.release(to, upgraded), self.release(from, upgraded));
        item.allowed.has(to) && (!item.forward_only || there.takes_from(here)) && there.qemu >= item.least_qemu
    }

    /// Nodes that are ready from the start: nothing is to be done on them.
    pub fn ready(&self) -> NodeSet {
        NodeSet::first(self.places.len()).minus(self.with_turn())
    }
}

/// One item goes from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The item.
    pub item: usize,
    /// From here.
    pub from: usize,
    /// To there.
    pub to: usize,
}

/// A node's turn: everything that moves before it goes down, and what comes back once it is up, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The node.
    pub node: usize,
    /// The moves, one after the other.
    pub moves: Vec<Move>,
    /// Moves after the node is back, for what the end is to be like.
    pub back: Vec<Move>,
}

impl Turn {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Move> {
        self.moves.iter().chain(&self.back)
    }
}

/// A way through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// The turns in order.
    pub turns: Vec<Turn>,
    /// What all moves cost.
    pub cost: u64,
    /// Items that do not end where they should, and thousandths by which the end is less balanced than it should be.
    pub unmet: u64,
}

impl Solution {
    /// How many moves.
    pub fn moves(&self) -> usize {
        self.turns.iter().map(|turn| turn.all().count()).sum()
    }
}

/// An item that cannot leave its node when that node's turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckItem {
    /// The item.
    pub item: usize,
    /// The node that it should leave.
    pub node: usize,
    /// Free memory of each node at that moment, in bytes; 0 where it is over its limit.
    pub free_bytes: Vec<u64>,
    /// Virtual processors that may still come to each node at that moment.
    pub cpus_free: Vec<u64>,
    /// Nodes upgraded by then.
    pub upgraded: NodeSet,
    /// Where every item is at that moment.
    pub positions: Vec<usize>,
}
