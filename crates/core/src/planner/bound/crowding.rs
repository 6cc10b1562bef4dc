//! Guests that must move twice for lack of memory.
//!
//! When the drain of the t-th node ends, every guest of the first t nodes is on an upgraded node or waits on an old
//! one. The upgraded nodes hold at most their capacity; a guest that waits moves twice. So an order has a second cost.
//! The least excess over all orders is a two-machine flow shop, which Johnson's rule solves; with few nodes every order
//! is considered, and both costs are combined (a knapsack cover).

use super::forced::Forced;
use crate::planner::problem::instance::{Instance, NodeSet};

/// Up to this many free nodes, every order is considered.
const MOST_FOR_ALL_ORDERS: usize = 6;

/// Steps of memory in a knapsack: guests count for slightly more than they have, so that the bound stays a bound.
const STEPS: u64 = 400;

/// Memory and costs of all guests that can be forced to move once more.
#[derive(Debug)]
pub(in crate::planner) struct Crowding<'a> {
    instance: &'a Instance,
    weights: &'a [u64],
    /// Guests that have memory, those with the lowest cost per byte first.
    by_price: Vec<usize>,
    /// Memory of the guests that start on each node that is upgraded.
    content: Vec<u64>,
}

impl<'a> Crowding<'a> {
    pub(in crate::planner) fn new(instance: &'a Instance, weights: &'a [u64]) -> Self {
        let mut content = vec![0; instance.places.len()];
        let mut by_price: Vec<usize> = Vec::new();
        for (number, item) in instance.items.iter().enumerate() {
            if instance.places[item.home].has_turn {
                content[item.home] += item.memory_bytes;
            }
            if item.memory_bytes > 0 {
                by_price.push(number);
            }
        }
        let price = |item: &usize| weights[*item] as f64 / instance.items[*item].memory_bytes as f64;
        by_price.sort_by(|one, two| price(one).total_cmp(&price(two)).then(one.cmp(two)));
        Self { instance, weights, by_price, content }
    }

    fn capacity(&self, node: usize) -> u64 {
        self.instance.places[node].capacity_bytes
    }

    /// Room on nodes that need no upgrade: they may take guests from the start.
    fn room_before(&self) -> u64 {
        self.instance.ready().iter().map(|node| self.capacity(node)).fold(0, u64::saturating_add)
    }

    /// The order in which the least memory has to wait, by Johnson's rule.
    pub(in crate::planner) fn johnson(&self, nodes: &[usize]) -> Vec<usize> {
        let mut order = nodes.to_vec();
        order.sort_by_key(|node| {
            let (content, capacity) = (self.content[*node], self.capacity(*node));
            let growing = content < capacity;
            (!growing, if growing { content } else { u64::MAX - capacity }, *node)
        });
        order
    }

    /// How much memory has to wait after each node of an order.
    pub(in crate::planner) fn excess(&self, order: &[usize]) -> Vec<u64> {
        let (mut drained, mut room) = (0_u64, self.room_before());
        let after = order.iter().map(|node| {
            drained = drained.saturating_add(self.content[*node]);
            let excess = drained.saturating_sub(room);
            room = room.saturating_add(self.capacity(*node));
            excess
        });
        after.collect()
    }

    /// The least cost of moving this much memory once more, out of the guests that `may` move: the cheapest ones first,
    /// the last of them in part.
    pub(in crate::planner) fn cover(&self, mut bytes: u64, may: impl Fn(usize) -> bool) -> u64 {
        let mut cost = 0_u64;
        for item in self.by_price.iter().copied().filter(|item| may(*item)) {
            let memory = self.instance.items[item].memory_bytes;
            if memory >= bytes {
                let part = u128::from(self.weights[item]) * u128::from(bytes) / u128::from(memory);
                return cost + u64::try_from(part).unwrap_or(u64::MAX);
            }
            bytes -= memory;
            cost += self.weights[item];
        }
        cost
    }

    /// The same with whole guests: a knapsack in steps of memory.
    fn whole_cover(&self, bytes: u64, may: impl Fn(usize) -> bool) -> u64 {
        let step = bytes.div_ceil(STEPS).max(1);
        let needed = bytes.div_ceil(step) as usize;
        let mut least = vec![u64::MAX; needed + 1];
        least[0] = 0;
        for item in self.by_price.iter().copied().filter(|item| may(*item)) {
            let steps = (self.instance.items[item].memory_bytes.div_ceil(step) as usize).min(needed);
            for filled in (1..=needed).rev() {
                let rest = least[filled.saturating_sub(steps)];
                if rest != u64::MAX {
                    least[filled] = least[filled].min(rest + self.weights[item]);
                }
            }
        }
        // Too little memory to cover: all of these guests wait.
        if least[needed] == u64::MAX { self.cover(bytes, may) } else { least[needed] }
    }

    /// The least that a complete order forces, by memory and by allowed nodes together. `whole` asks for the knapsack.
    pub(in crate::planner) fn price(&self, order: &[usize], whole: bool) -> u64 {
        let mut before = vec![NodeSet::EMPTY; self.instance.places.len()];
        let mut done = self.instance.ready();
        for node in order {
            before[*node] = done;
            done = done.with(*node);
        }
        let forced: Vec<bool> = (0..self.instance.items.len())
            .map(|item| {
                let item = &self.instance.items[item];
                self.instance.places[item.home].has_turn && item.lands().and(before[item.home]).is_empty()
            })
            .collect();
        let paid: u64 = (0..forced.len()).filter(|item| forced[*item]).map(|item| self.weights[item]).sum();
        let mut homes = NodeSet::EMPTY;
        let mut waiting = vec![0_u64; self.instance.places.len()];
        for item in (0..forced.len()).filter(|item| forced[*item]) {
            waiting[self.instance.items[item].home] += self.instance.items[item].memory_bytes;
        }
        let (mut most, mut known) = (0, 0);
        for (node, excess) in order.iter().zip(self.excess(order)) {
            homes = homes.with(*node);
            known += waiting[*node];
            let missing = excess.saturating_sub(known);
            let may = |item: usize| !forced[item] && homes.has(self.instance.items[item].home);
            if missing > 0 {
                let cover = if whole { self.whole_cover(missing, may) } else { self.cover(missing, may) };
                most = most.max(cover);
            }
        }
        paid.saturating_add(most)
    }

    /// No order forces less than this.
    pub(in crate::planner) fn least(&self, forced: &Forced) -> u64 {
        let by_rule = {
            let free = self.johnson(forced.free());
            let excess = self.excess(&free).into_iter().max().unwrap_or(0);
            let fixed = forced.whole(&[]).len();
            // Johnson's rule applies only to orders without fixed nodes.
            let waits = |item: usize| self.instance.places[self.instance.items[item].home].has_turn;
            if fixed == 0 { self.cover(excess, waits) } else { 0 }
        };
        forced.least().max(by_rule).max(self.least_of_all_orders(forced))
    }

    /// For few nodes: the cheapest order by its full cost. The knapsack is solved only where it may decide.
    fn least_of_all_orders(&self, forced: &Forced) -> u64 {
        let orders = forced.all_orders(MOST_FOR_ALL_ORDERS);
        let whole = |order: &Vec<usize>| forced.whole(order);
        let mut rough: Vec<(u64, Vec<usize>)> =
            orders.into_iter().map(|(_, order)| (self.price(&whole(&order), false), order)).collect();
        rough.sort();
        let mut least = u64::MAX;
        for (price, order) in rough {
            if price >= least {
                break;
            }
            least = least.min(self.price(&whole(&order), true));
        }
        if least == u64::MAX { 0 } else { least }
    }
}
