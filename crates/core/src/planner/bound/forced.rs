//! Guests that must move twice because of the order of the nodes.
//!
//! A guest moves twice if none of the nodes that it may be on is upgraded before its own: the node that takes it is
//! drained later. So an order has a cost before any guest is placed. Here that cost is computed and bounded from below:
//! exactly up to 16 free nodes (over all their subsets), beyond that by packing sets of nodes of which one must come
//! first.

use std::collections::BTreeMap;

use crate::planner::draws::mix;
use crate::planner::problem::instance::{Instance, NodeSet};

/// Up to this many free nodes, all their subsets are considered.
const MOST_FOR_EXACT: usize = 16;

/// Up to this many free nodes, there are few enough complete orders to consider paths in each.
const MOST_FOR_JOURNEYS: usize = 4;

/// The cost of orders.
#[derive(Clone, Debug)]
pub struct Forced {
    /// Fixed nodes before the free ones.
    first: Vec<usize>,
    /// Nodes whose position is free.
    free: Vec<usize>,
    /// Fixed nodes after them.
    last: Vec<usize>,
    /// The cost that is forced in any order of the free nodes.
    base: u64,
    /// By node: sets of free nodes; if no node of a set comes before this node, the weight is added.
    terms: Vec<Vec<(NodeSet, u64)>>,
}

impl Forced {
    /// The costs in the measure of `weights`, by guest.
    pub fn new(instance: &Instance, weights: &[u64]) -> Self {
        let with_turn = instance.with_turn();
        let distinct = |nodes: &[usize], not: NodeSet| {
            let mut kept: Vec<usize> = Vec::new();
            for node in nodes.iter().copied().filter(|node| with_turn.has(*node) && !not.has(*node)) {
                if !kept.contains(&node) {
                    kept.push(node);
                }
            }
            kept
        };
        let first = distinct(&instance.first, NodeSet::EMPTY);
        let last = distinct(&instance.last, first.iter().copied().collect());
        let fixed: NodeSet = first.iter().chain(&last).copied().collect();
        let free: Vec<usize> = with_turn.minus(fixed).iter().collect();
        let mut forced = Self { first, free, last, base: 0, terms: vec![Vec::new(); instance.places.len()] };
        forced.read_terms(instance, weights);
        forced
    }

    fn read_terms(&mut self, instance: &Instance, weights: &[u64]) {
        let mut before = vec![NodeSet::EMPTY; instance.places.len()];
        let mut done = instance.ready();
        for node in &self.first {
            before[*node] = done;
            done = done.with(*node);
        }
        let start = done;
        let free: NodeSet = self.free.iter().copied().collect();
        for node in self.free.iter().chain(&self.last) {
            before[*node] = start;
        }
        done = start.with_all(free);
        for node in &self.last {
            before[*node] = done;
            done = done.with(*node);
        }
        let mut sums: BTreeMap<(usize, NodeSet), u64> = BTreeMap::new();
        for (item, weight) in instance.items.iter().zip(weights) {
            if !instance.places[item.home].has_turn || !item.lands().and(before[item.home]).is_empty() {
                continue;
            }
            let earlier = if free.has(item.home) { item.lands().and(free).without(item.home) } else { NodeSet::EMPTY };
            match earlier.is_empty() {
                true => self.base += weight,
                false => *sums.entry((item.home, earlier)).or_default() += weight,
            }
        }
        for ((home, earlier), weight) in sums {
            self.terms[home].push((earlier, weight));
        }
    }

    /// The complete order for an order of the free nodes.
    pub fn whole(&self, free: &[usize]) -> Vec<usize> {
        [self.first.as_slice(), free, self.last.as_slice()].concat()
    }

    /// Nodes of which one is last in the order.
    pub(super) fn may_be_last(&self) -> Vec<usize> {
        match (self.last.last(), self.free.is_empty()) {
            (Some(last), _) => vec![*last],
            (None, true) => self.first.last().copied().into_iter().collect(),
            (None, false) => self.free.clone(),
        }
    }

    /// The cost that is forced in any order of the free nodes.
    pub(in crate::planner) fn base(&self) -> u64 {
        self.base
    }

    /// The nodes whose position is free.
    pub fn free(&self) -> &[usize] {
        &self.free
    }

    /// What a node costs if these nodes come before it.
    pub(in crate::planner) fn price(&self, node: usize, before: NodeSet) -> u64 {
        self.terms[node].iter().filter(|(earlier, _)| earlier.and(before).is_empty()).map(|(_, weight)| weight).sum()
    }

    /// What an order of the free nodes forces.
    pub fn cost(&self, free: &[usize]) -> u64 {
        let mut before = NodeSet::EMPTY;
        let mut cost = self.base;
        for node in free {
            cost += self.price(*node, before);
            before = before.with(*node);
        }
        cost
    }

    /// Every order of the free nodes with what it forces, cheap ones first; none if there are more than `most` nodes.
    pub(in crate::planner) fn all_orders(&self, most: usize) -> Vec<(u64, Vec<usize>)> {
        let mut all: Vec<Vec<usize>> = vec![Vec::new()];
        if self.free.len() > most {
            all.clear();
        }
        for node in &self.free {
            let longer = |order: &Vec<usize>| -> Vec<Vec<usize>> {
                let at = |place: usize| [&order[..place], &[*node], &order[place..]].concat();
                (0..=order.len()).map(at).collect()
            };
            all = all.iter().flat_map(longer).collect();
        }
        let mut all: Vec<(u64, Vec<usize>)> = all.into_iter().map(|order| (self.cost(&order), order)).collect();
        all.sort();
        all
    }

    /// Every complete order of very few nodes; none if there are more.
    pub(in crate::planner) fn few_orders(&self) -> Vec<Vec<usize>> {
        self.all_orders(MOST_FOR_JOURNEYS).iter().map(|(_, order)| self.whole(order)).collect()
    }

    /// No order forces less than this.
    pub fn least(&self) -> u64 {
        if self.free.len() <= MOST_FOR_EXACT { self.exact() } else { self.packed() }
    }

    /// The cost of the cheapest order, by dynamic programming over all subsets of the free nodes.
    fn exact(&self) -> u64 {
        let count = self.free.len();
        let number = |node: usize| self.free.iter().position(|free| *free == node);
        let inner = |set: NodeSet| set.iter().filter_map(number).fold(0_usize, |mask, bit| mask | 1 << bit);
        let full = (1_usize << count) - 1;
        let mut least = vec![u64::MAX; full + 1];
        least[0] = 0;
        // For each node: what it costs if it comes after the nodes in `done`: all terms within the rest.
        let prices: Vec<Vec<u64>> = self
            .free
            .iter()
            .map(|node| {
                let mut within = vec![0_u64; full + 1];
                for (earlier, weight) in &self.terms[*node] {
                    within[inner(*earlier)] += weight;
                }
                for bit in 0..count {
                    for mask in (0..=full).filter(|mask| mask >> bit & 1 == 1) {
                        within[mask] += within[mask ^ 1 << bit];
                    }
                }
                within
            })
            .collect();
        for done in 0..full {
            for (bit, price) in prices.iter().enumerate().filter(|(bit, _)| done >> bit & 1 == 0) {
                let next = done | 1 << bit;
                least[next] = least[next].min(least[done] + price[full ^ done]);
            }
        }
        self.base + least[full]
    }

    /// A bound for many nodes. Of each set of nodes one comes first, and every term of it that lies within the set
    /// counts: at least as much as for the cheapest of them. No weight is counted for two sets.
    pub(in crate::planner) fn packed(&self) -> u64 {
        let rounds = (0..4).map(|round| {
            let mut rest = Packing { terms: self.terms.clone(), total: self.base };
            rest.cycles(&self.free, round);
            rest.sets(&self.free);
            rest.total
        });
        // Small sets first is not always best: without them more is left for the set of all free nodes.
        let mut whole = Packing { terms: self.terms.clone(), total: self.base };
        whole.sets(&self.free);
        rounds.chain([whole.total]).max().unwrap_or(self.base)
    }
}

/// Weights that are not used up yet.
struct Packing {
    terms: Vec<Vec<(NodeSet, u64)>>,
    total: u64,
}

impl Packing {
    /// Uses up as much weight of a set of nodes as possible.
    fn take(&mut self, set: NodeSet) -> u64 {
        let outside = |earlier: &NodeSet| !earlier.minus(set).is_empty();
        let within = |terms: &[(NodeSet, u64)]| -> u64 {
            terms.iter().filter(|(earlier, _)| !outside(earlier)).map(|(_, weight)| weight).sum()
        };
        let least = set.iter().map(|node| within(&self.terms[node])).min().unwrap_or(0);
        if least == 0 {
            return 0;
        }
        for node in set.iter() {
            let mut due = least;
            let terms = &mut self.terms[node];
            // The widest terms first: the others serve smaller sets as well.
            terms.sort_by_key(|(earlier, _)| (std::cmp::Reverse(earlier.len()), *earlier));
            for (_, weight) in terms.iter_mut().filter(|(earlier, _)| !outside(earlier)) {
                let part = due.min(*weight);
                (*weight, due) = (*weight - part, due - part);
            }
            terms.retain(|(_, weight)| *weight > 0);
        }
        self.total += least;
        least
    }

    /// Cycles of guests that may be on one other node each: whichever node of the cycle comes first, one guest moves
    /// twice. Short cycles first: they use up the least.
    fn cycles(&mut self, free: &[usize], round: u64) {
        let mut starts = free.to_vec();
        starts.sort_by_key(|node| (mix(round, *node as u64), *node));
        for longest in 2..=free.len() {
            for start in &starts {
                while let Some(cycle) = self.cycle_through(*start, longest) {
                    if self.take(cycle) == 0 {
                        break;
                    }
                }
            }
        }
    }

    /// The shortest cycle through a node, of at most `longest` nodes.
    fn cycle_through(&self, start: usize, longest: usize) -> Option<NodeSet> {
        let mut reached = NodeSet::EMPTY.with(start);
        let mut front = vec![(start, NodeSet::EMPTY.with(start))];
        for _ in 0..longest {
            let mut next = Vec::new();
            for (node, path) in front {
                for (earlier, _) in self.terms[node].iter().filter(|(earlier, _)| earlier.len() == 1) {
                    if earlier.has(start) {
                        return Some(path);
                    }
                    for other in earlier.minus(reached).iter() {
                        reached = reached.with(other);
                        next.push((other, path.with(other)));
                    }
                }
            }
            front = next;
        }
        None
    }

    /// The sets of nodes that guests are restricted to, small ones first, then all free nodes together.
    fn sets(&mut self, free: &[usize]) {
        let mut sets: BTreeMap<NodeSet, usize> = BTreeMap::new();
        for node in free.iter().copied() {
            for (earlier, _) in &self.terms[node] {
                *sets.entry(earlier.with(node)).or_default() += 1;
            }
        }
        let mut sets: Vec<NodeSet> =
            sets.into_iter().filter(|(set, homes)| *homes >= set.len()).map(|(set, _)| set).collect();
        sets.push(free.iter().copied().collect());
        sets.sort_by_key(|set| (set.len(), *set));
        for set in sets {
            self.take(set);
        }
    }
}
