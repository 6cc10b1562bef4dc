//! The plan as a puzzle: numbered nodes, numbered items, who may be where. No names, no readings.
//!
//! Everything that can move is an item: a guest, or guests that must stay together as one. Everything that cannot
//! move is already taken off its node's capacity. The solver knows nothing else, and neither does the benchmark.

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
    /// Free bytes of local storages, by the storage's number.
    pub disk_free_bytes: Vec<u64>,
    /// Has it its turn still before it?
    pub has_turn: bool,
    /// What is installed before its turn.
    pub before: Release,
    /// What is installed after it.
    pub after: Release,
}

/// What moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What it takes, in bytes.
    pub memory_bytes: u64,
    /// Local disks that travel with it: the storage's number and bytes.
    pub disks: Vec<(usize, u64)>,
    /// What one move of it costs; see [`super::cost`].
    pub cost: u64,
    /// Where it is.
    pub home: usize,
    /// Where it may be, home included.
    pub allowed: NodeSet,
    /// Items that must not be on its node, not even while one of them travels.
    pub apart: Vec<usize>,
    /// A running VM: never to an older release than that of its node.
    pub forward_only: bool,
    /// The lowest rank of QEMU that its machine type needs.
    pub least_qemu: u16,
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
}

impl Instance {
    /// Nodes whose turn is still to come.
    pub fn with_turn(&self) -> NodeSet {
        (0..self.places.len()).filter(|node| self.places[*node].has_turn).collect()
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

/// A node's turn: everything that moves before it goes down, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The node.
    pub node: usize,
    /// The moves, one after the other.
    pub moves: Vec<Move>,
}

/// A way through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// The turns in order.
    pub turns: Vec<Turn>,
    /// What all moves cost.
    pub cost: u64,
}

impl Solution {
    /// How many moves.
    pub fn moves(&self) -> usize {
        self.turns.iter().map(|turn| turn.moves.len()).sum()
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
    /// Nodes upgraded by then.
    pub upgraded: NodeSet,
    /// Where every item is at that moment.
    pub positions: Vec<usize>,
}
