//! Where every guest is in the middle of a plan, and what a move needs. Every rule of a move is stated here, once.

use crate::planner::problem::instance::{Instance, Item, Move, NodeSet};

/// Where guests are, how loaded nodes are, and which nodes are upgraded.
#[derive(Clone, Debug)]
pub(in crate::planner) struct Board<'a> {
    pub(in crate::planner) instance: &'a Instance,
    /// The node of each guest.
    pub(in crate::planner) at: Vec<usize>,
    /// Guests on each node, in no particular order.
    pub(in crate::planner) on: Vec<Vec<usize>>,
    /// Memory of the guests on each node.
    pub(in crate::planner) load: Vec<u64>,
    /// Virtual processors of the guests on each node.
    pub(in crate::planner) cpus: Vec<u64>,
    /// Free bytes of local storages, by node and storage.
    pub(in crate::planner) disk_free: Vec<Vec<u64>>,
    /// Nodes that are upgraded, or need no upgrade.
    pub(in crate::planner) upgraded: NodeSet,
    /// The node that is being drained: no guest goes there.
    pub(in crate::planner) leaving: Option<usize>,
    /// Moves since the last node step began.
    pub(in crate::planner) moves: Vec<Move>,
    /// Cost of all moves so far.
    pub(in crate::planner) cost: u64,
}

impl<'a> Board<'a> {
    pub(in crate::planner) fn new(instance: &'a Instance) -> Self {
        let nodes = instance.places.len();
        let mut board = Self {
            instance,
            at: instance.items.iter().map(|item| item.home).collect(),
            on: vec![Vec::new(); nodes],
            load: vec![0; nodes],
            cpus: vec![0; nodes],
            disk_free: instance.places.iter().map(|place| place.disk_free_bytes.clone()).collect(),
            upgraded: instance.ready(),
            leaving: None,
            moves: Vec::new(),
            cost: 0,
        };
        for (number, item) in instance.items.iter().enumerate() {
            board.on[item.home].push(number);
            board.load[item.home] += item.memory_bytes;
            board.cpus[item.home] += item.cpus;
        }
        board
    }

    pub(in crate::planner) fn item(&self, number: usize) -> &'a Item {
        &self.instance.items[number]
    }

    /// Free memory of a node.
    pub(in crate::planner) fn free(&self, node: usize) -> u64 {
        self.instance.places[node].capacity_bytes.saturating_sub(self.load[node])
    }

    /// How full a node is, in thousandths, with what stays there.
    pub(in crate::planner) fn fullness(&self, node: usize) -> u64 {
        let place = &self.instance.places[node];
        let (taken, whole) = (self.load[node] + place.fixed_bytes, place.capacity_bytes + place.fixed_bytes);
        u64::try_from(u128::from(taken) * 1000 / u128::from(whole.max(1))).unwrap_or(u64::MAX)
    }

    /// Everything except room and other guests there: allowed, not being drained, not to an older release.
    pub(in crate::planner) fn may_go(&self, item: usize, to: usize) -> bool {
        let from = self.at[item];
        to != from && self.leaving != Some(to) && self.instance.lets(item, from, to, self.upgraded)
    }

    /// Is there a guest that must not be on the same node?
    pub(in crate::planner) fn meets(&self, item: usize, to: usize) -> bool {
        self.item(item).apart.iter().any(|other| self.at[*other] == to)
    }

    /// Is there room for its local disks?
    pub(in crate::planner) fn disks_fit(&self, item: usize, to: usize) -> bool {
        let free = |storage: usize| self.disk_free[to].get(storage).copied().unwrap_or(0);
        self.item(item).disks.iter().all(|(storage, bytes)| free(*storage) >= *bytes)
    }

    /// Does the node have processors left for it? A node that is over its limit already takes no guest.
    pub(in crate::planner) fn cpus_fit(&self, item: usize, to: usize) -> bool {
        self.cpus_left(to) >= self.item(item).cpus
    }

    /// Virtual processors that a node can still take.
    pub(in crate::planner) fn cpus_left(&self, node: usize) -> u64 {
        self.instance.places[node].cpus.map_or(u64::MAX, |limit| limit.saturating_sub(self.cpus[node]))
    }

    /// May the guest go there now?
    pub(in crate::planner) fn fits(&self, item: usize, to: usize) -> bool {
        self.free(to) >= self.item(item).memory_bytes
            && self.cpus_fit(item, to)
            && self.may_go(item, to)
            && !self.meets(item, to)
            && self.disks_fit(item, to)
    }

    /// Moves a guest that fits.
    pub(in crate::planner) fn go(&mut self, item: usize, to: usize) {
        let from = self.at[item];
        self.put(item, to);
        self.moves.push(Move { item, from, to });
        self.cost = self.cost.saturating_add(self.item(item).cost);
    }

    /// Undoes the last move.
    pub(in crate::planner) fn take_back(&mut self) {
        if let Some(last) = self.moves.pop() {
            self.put(last.item, last.from);
            self.cost -= self.item(last.item).cost;
        }
    }

    fn put(&mut self, item: usize, to: usize) {
        let (from, bytes) = (self.at[item], self.item(item).memory_bytes);
        if let Some(index) = self.on[from].iter().position(|there| *there == item) {
            self.on[from].swap_remove(index);
        }
        self.on[to].push(item);
        self.load[from] -= bytes;
        self.load[to] += bytes;
        let cpus = self.instance.items[item].cpus;
        self.cpus[from] -= cpus;
        self.cpus[to] += cpus;
        self.at[item] = to;
        for (storage, bytes) in &self.instance.items[item].disks {
            if let Some(free) = self.disk_free[from].get_mut(*storage) {
                *free = free.saturating_add(*bytes);
            }
            if let Some(free) = self.disk_free[to].get_mut(*storage) {
                *free = free.saturating_sub(*bytes);
            }
        }
    }
}
