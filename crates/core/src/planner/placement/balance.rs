//! Preferences for the end: which guests move back where, and how evenly the nodes are filled.
//!
//! Guests that should be on a certain node at the end move back once that node is upgraded, directly or after others
//! have made room. A balanced end moves guests from nodes that are too full to those that are too empty, each once.
//! Both are preferences: what cannot be met is counted and reported, and is no reason not to upgrade.

use super::builder::Builder;
use crate::planner::cost::PER_RESTART;
use crate::planner::problem::instance::NodeSet;

/// Room is made at most this many times for guests that move back.
const MOST_DETOURS: usize = 200;

impl Builder<'_> {
    fn is_astray(&self, item: usize) -> bool {
        let there = self.board.at[item];
        self.board.item(item).ends.is_some_and(|ends| !ends.has(there))
    }

    /// All guests that are not where they should end, big ones first.
    fn astray(&self) -> Vec<usize> {
        let mut astray: Vec<usize> = (0..self.board.at.len()).filter(|item| self.is_astray(*item)).collect();
        astray.sort_by_key(|item| (std::cmp::Reverse(self.board.item(*item).memory_bytes), *item));
        astray
    }

    /// Guests that can go directly to where they should end do so.
    pub(super) fn come_back(&mut self) {
        if self.board.instance.items.iter().all(|item| item.ends.is_none()) {
            return;
        }
        let mut gone = true;
        while gone {
            gone = false;
            for item in self.astray() {
                let ends = self.board.item(item).lands().and(self.board.upgraded);
                let to = ends.iter().filter(|to| self.board.fits(item, *to)).min_by_key(|to| self.board.fullness(*to));
                if let Some(to) = to {
                    self.board.go(item, to);
                    gone = true;
                }
            }
        }
    }

    /// For guests that cannot go directly: others that are not where they should end either, or that may end anywhere,
    /// leave the target node for another one.
    pub(super) fn come_back_by_detours(&mut self) {
        for _ in 0..MOST_DETOURS {
            let Some((item, node)) =
                self.astray().into_iter().find_map(|item| self.way_back(item).map(|to| (item, to)))
            else {
                return;
            };
            let free = |other: &usize| self.is_astray(*other) || self.board.item(*other).ends.is_none();
            let mut others: Vec<usize> = self.board.on[node].iter().copied().filter(free).collect();
            let missing = self.board.item(item).memory_bytes.saturating_sub(self.board.free(node));
            let bytes = |other: usize| self.board.item(other).memory_bytes;
            others.sort_by_key(|other| (bytes(*other) < missing, bytes(*other).abs_diff(missing), *other));
            let here = NodeSet::EMPTY.with(node);
            let Some((other, to)) =
                others.into_iter().find_map(|other| self.upgraded_target(other, here).map(|to| (other, to)))
            else {
                return;
            };
            self.board.go(other, to);
            self.come_back();
        }
    }

    /// The node with the most free memory of those where a guest should end.
    fn way_back(&self, item: usize) -> Option<usize> {
        let ends = self.board.item(item).lands().and(self.board.upgraded);
        ends.iter().filter(|node| self.board.may_go(item, *node)).max_by_key(|node| self.board.free(*node))
    }

    /// How far the end is from the preferences: guests that are not where they should be, plus thousandths of spread
    /// beyond the limit.
    pub(super) fn unmet(&self) -> u64 {
        let over = self.board.instance.spread.map_or(0, |spread| self.spread().saturating_sub(spread));
        self.astray().len() as u64 + over
    }

    fn spread(&self) -> u64 {
        let full = || (0..self.board.load.len()).map(|node| self.board.fullness(node));
        full().max().unwrap_or(0) - full().min().unwrap_or(0)
    }

    /// Moves guests from nodes that are too full to nodes that are too empty, until the spread is small enough.
    pub(super) fn balance(&mut self) {
        let Some(spread) = self.board.instance.spread else { return };
        let mut moved = vec![false; self.board.at.len()];
        let level = self.level(spread);
        while self.spread() > spread {
            let Some((item, to)) = self.next_to_even(level, spread, &moved) else { return };
            moved[item] = true;
            self.board.go(item, to);
        }
    }

    /// How full the emptiest node should be: such that the excess above the band and what is missing below it are about
    /// equal, because then every move reduces both.
    fn level(&self, spread: u64) -> u64 {
        let bytes = |node: usize, thousandths: u64| {
            let place = &self.board.instance.places[node];
            u128::from(place.capacity_bytes + place.fixed_bytes) * u128::from(thousandths) / 1000
        };
        let taken = |node: usize| u128::from(self.board.load[node] + self.board.instance.places[node].fixed_bytes);
        let nodes = 0..self.board.load.len();
        let (mut low, mut high) = (0, 1000);
        while high - low > 1 {
            let middle = u64::midpoint(low, high);
            let over: u128 = nodes.clone().map(|node| taken(node).saturating_sub(bytes(node, middle + spread))).sum();
            let under: u128 = nodes.clone().map(|node| bytes(node, middle).saturating_sub(taken(node))).sum();
            if over > under { low = middle } else { high = middle }
        }
        low
    }

    /// The move that helps most: from the fullest node that has a suitable guest to the emptiest that can take it.
    fn next_to_even(&self, level: u64, spread: u64, moved: &[bool]) -> Option<(usize, usize)> {
        let mut nodes: Vec<usize> = (0..self.board.load.len()).collect();
        nodes.sort_by_key(|node| (self.board.fullness(*node), *node));
        let whole = |node: usize| {
            let place = &self.board.instance.places[node];
            place.capacity_bytes + place.fixed_bytes
        };
        let above = |node: usize, line: u64| {
            (u128::from(self.board.fullness(node).saturating_sub(line)) * u128::from(whole(node)) / 1000) as u64
        };
        let below = |node: usize, line: u64| {
            (u128::from(line.saturating_sub(self.board.fullness(node))) * u128::from(whole(node)) / 1000) as u64
        };
        for from in nodes.iter().rev().copied() {
            for to in
                nodes.iter().copied().filter(|to| *to != from && self.board.fullness(*to) < self.board.fullness(from))
            {
                // What one node can lose and the other can take without leaving the band on the other side.
                let most = above(from, level).min(below(to, level + spread));
                let wanted = above(from, level + spread).max(below(to, level)).min(most);
                if wanted == 0 {
                    continue;
                }
                let may = |item: &usize| {
                    let spec = self.board.item(*item);
                    let bytes = spec.memory_bytes;
                    !moved[*item]
                        && spec.ends.is_none()
                        && spec.cost < PER_RESTART
                        && bytes > 0
                        && bytes <= most
                        && self.board.fits(*item, to)
                };
                // The smallest one that is enough, otherwise the biggest.
                let items = self.board.on[from].iter().copied().filter(may);
                let bytes = |item: usize| self.board.item(item).memory_bytes;
                let best = items.min_by_key(|item| match bytes(*item) >= wanted {
                    true => (false, bytes(*item), *item),
                    false => (true, u64::MAX - bytes(*item), *item),
                });
                if let Some(item) = best {
                    return Some((item, to));
                }
            }
        }
        None
    }
}
