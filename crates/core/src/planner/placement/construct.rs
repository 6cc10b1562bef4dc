//! Builds one solution for one order of the nodes, guest by guest.
//!
//! The swap chain: each node is drained into those that are already upgraded, so that its guests move once. A guest
//! that finds no room there waits on an old node (it is parked) and moves again, or another guest makes room. The
//! cheapest of these is chosen for each guest, the hard ones first. The result need not be the best: the search tries
//! many.

use super::board::Board;
use super::builder::{Back, Builder, Claims, FewWait, Parking, Style};
use crate::planner::draws::mix;
use crate::planner::problem::instance::{Instance, Move, NodeSet, Solution, StuckItem, Turn};
use crate::policy::Overlap;

/// Why no solution was built.
#[derive(Clone, Debug)]
pub(in crate::planner) enum Failure {
    /// It costs as much as the best one known, or more.
    TooDear,
    /// A guest cannot leave its node.
    Stuck(Box<StuckItem>),
}

/// How often a node step is tried again with the stuck guest in front.
const MOST_RETRIES: usize = 12;

/// Builds one solution for `order`, cheaper than `limit`. Where there is an older solution, its moves are made again as
/// far as they still can be.
pub(in crate::planner) fn construct(
    instance: &Instance,
    order: &[usize],
    style: &Style,
    limit: u64,
    older: Option<&Solution>,
) -> Result<Solution, Failure> {
    let mut rank = vec![0; instance.places.len()];
    for (place, node) in order.iter().enumerate() {
        rank[*node] = place + 1;
    }
    let (board, claims) = (Board::new(instance), Claims::new(instance));
    let mut builder = Builder { board, claims, rank, style, limit, rebooting: None };
    let everywhere = NodeSet::first(instance.places.len());
    for (number, item) in instance.items.iter().enumerate() {
        if item.allowed != everywhere && instance.places[item.home].has_turn {
            builder.claim(number);
        }
    }
    let mut turns = Vec::with_capacity(order.len());
    for node in order {
        let older = older.and_then(|older| older.turns.iter().find(|turn| turn.node == *node));
        let moves = builder.turn(*node, older.map_or(&[], |turn| &turn.moves))?;
        builder.follow(older.map_or(&[], |turn| &turn.back));
        if style.back == Back::AtOnce || Some(node) == order.last() {
            builder.come_back();
        }
        if Some(node) == order.last() {
            builder.come_back_by_detours();
            builder.balance();
        }
        if builder.board.cost >= limit {
            return Err(Failure::TooDear);
        }
        turns.push(Turn { node: *node, moves, back: std::mem::take(&mut builder.board.moves) });
    }
    Ok(Solution { turns, cost: builder.board.cost, unmet: builder.unmet() })
}

impl Builder<'_> {
    /// Drains a node. If a guest is stuck, all moves of this node step are undone and the stuck guest goes first.
    fn turn(&mut self, node: usize, older: &[Move]) -> Result<Vec<Move>, Failure> {
        self.board.leaving = Some(node);
        self.board.moves.clear();
        // Before older moves are made: if the node step is tried again, the guests that they took away are back.
        let mut items = self.board.on[node].clone();
        self.follow(older);
        items.sort_unstable_by_key(|item| self.precedence(*item));
        let mut retries = 0;
        while let Err(stuck) = self.drain(node, &items) {
            retries += 1;
            let again = items.first() != Some(&stuck) && retries <= MOST_RETRIES;
            if !again {
                return Err(self.stuck(stuck, node));
            }
            while !self.board.moves.is_empty() {
                self.board.take_back();
            }
            items.retain(|item| *item != stuck);
            items.insert(0, stuck);
        }
        if self.board.cost >= self.limit {
            return Err(Failure::TooDear);
        }
        for index in 0..self.board.moves.len() {
            let moved = self.board.moves[index].item;
            self.settle(moved);
        }
        self.board.upgraded = self.board.upgraded.with(node);
        self.board.leaving = None;
        self.rebooting = Some(node).filter(|_| self.board.instance.overlap == Overlap::Reboot);
        Ok(std::mem::take(&mut self.board.moves))
    }

    /// Makes the moves of an older solution, as far as they still can be made.
    fn follow(&mut self, older: &[Move]) {
        for step in older {
            if self.board.at[step.item] == step.from && self.board.fits(step.item, step.to) {
                self.board.go(step.item, step.to);
            }
        }
    }

    /// Hard guests first: those with few nodes to go to, then big ones.
    fn precedence(&self, item: usize) -> (usize, std::cmp::Reverse<u64>, u64, usize) {
        let spec = self.board.item(item);
        let now = spec.allowed.and(self.board.upgraded).len();
        let bytes = match self.style.shuffle {
            _ if self.style.parking == Parking::Any => 0,
            0 => spec.memory_bytes,
            // Guests of about the same size may swap.
            seed => u64::from(spec.memory_bytes.checked_ilog2().unwrap_or(0)) + mix(seed, item as u64) % 2,
        };
        let bucket = if spec.allowed.len() == self.board.instance.places.len() { usize::MAX } else { now };
        (bucket, std::cmp::Reverse(bytes), mix(self.style.shuffle, item as u64), item)
    }

    fn settle(&mut self, item: usize) {
        let parked = !self.board.upgraded.has(self.board.at[item]);
        let restricted = self.board.item(item).allowed.len() < self.board.instance.places.len();
        if parked && restricted { self.claim(item) } else { self.claims.drop(item) }
    }

    fn drain(&mut self, node: usize, items: &[usize]) -> Result<(), usize> {
        let waiters = self.waiters(node);
        for item in items {
            if self.board.at[*item] != node {
                continue;
            }
            if (waiters.contains(item) || self.waits_by_chance(*item))
                && let Some(to) = self.parking(*item, NodeSet::EMPTY)
            {
                self.board.go(*item, to);
                continue;
            }
            if let Some(to) = self.upgraded_target(*item, NodeSet::EMPTY) {
                self.board.go(*item, to);
                continue;
            }
            let (helpers, to) = self.cheapest_detour(*item).ok_or(*item)?;
            for (helper, there) in helpers {
                self.board.go(helper, there);
            }
            self.board.go(*item, to);
        }
        Ok(())
    }

    /// Guests that wait because the upgraded nodes do not have the memory for all: a few big ones, which is cheaper
    /// than many small ones.
    fn waiters(&self, node: usize) -> Vec<usize> {
        let upgraded = self.board.upgraded;
        let room: u64 = upgraded.iter().map(|node| self.board.free(node)).sum();
        let mut missing = self.board.load[node].saturating_sub(room);
        if missing == 0 || upgraded.is_empty() || self.style.few_wait == FewWait::No {
            return Vec::new();
        }
        let anywhere = self.board.instance.places.len();
        let mut big: Vec<usize> = self.board.on[node]
            .iter()
            .copied()
            .filter(|item| self.board.item(*item).allowed.len() == anywhere)
            .collect();
        big.sort_by_key(|item| (std::cmp::Reverse(self.board.item(*item).memory_bytes), *item));
        let mut waiters = Vec::new();
        while missing > 0 && !big.is_empty() {
            // The smallest one that is enough, otherwise the biggest.
            let enough = big.iter().rposition(|item| self.board.item(*item).memory_bytes >= missing);
            let item = big.remove(enough.unwrap_or(0));
            missing = missing.saturating_sub(self.board.item(item).memory_bytes);
            waiters.push(item);
        }
        waiters
    }

    fn waits_by_chance(&self, item: usize) -> bool {
        self.style.parking == Parking::Any && mix(self.style.shuffle ^ 0x55, item as u64).is_multiple_of(8)
    }

    fn stuck(&self, item: usize, node: usize) -> Failure {
        Failure::Stuck(Box::new(StuckItem {
            item,
            node,
            free_bytes: (0..self.board.load.len()).map(|node| self.board.free(node)).collect(),
            cpus_free: (0..self.board.load.len()).map(|node| self.board.cpus_left(node)).collect(),
            upgraded: self.board.upgraded,
            positions: self.board.at.clone(),
        }))
    }
}
