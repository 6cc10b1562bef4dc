//! What no plan can go below.
//!
//! Everything on a node with a turn travels at least once. Whatever may be on no node that is upgraded before its own
//! must wait on an old one and travels at least twice (proof: its only targets are drained after it).

use std::collections::BTreeMap;

use super::instance::{Instance, Item, NodeSet};

/// Items of one home that may go to the same nodes.
fn classes(instance: &Instance, weights: &[u64]) -> BTreeMap<NodeSet, BTreeMap<usize, u64>> {
    let mut classes: BTreeMap<NodeSet, BTreeMap<usize, u64>> = BTreeMap::new();
    for (item, weight) in instance.items.iter().zip(weights) {
        if instance.places[item.home].has_turn {
            *classes.entry(item.allowed).or_default().entry(item.home).or_default() += weight;
        }
    }
    classes
}

/// Everything once; `weights` by item.
pub fn once(instance: &Instance, weights: &[u64]) -> u64 {
    let with_turn = instance.items.iter().zip(weights).filter(|(item, _)| instance.places[item.home].has_turn);
    with_turn.map(|(_, weight)| weight).sum()
}

/// Everything once, and of each set of items with the same allowed nodes at least the lightest node's twice, because
/// one of these nodes comes first.
pub fn least(instance: &Instance, weights: &[u64]) -> u64 {
    let ready = instance.ready();
    let mut twice = 0_u64;
    for (allowed, homes) in classes(instance, weights) {
        if allowed.and(ready).is_empty() {
            twice += allowed.iter().map(|node| homes.get(&node).copied().unwrap_or(0)).min().unwrap_or(0);
        }
    }
    once(instance, weights) + twice
}

/// The cost of each item's move: the measure that plans are compared in.
pub fn costs(instance: &Instance) -> Vec<u64> {
    instance.items.iter().map(|item| item.cost).collect()
}

/// What an order forces to travel twice, in cost.
pub fn forced_cost(instance: &Instance, order: &[usize]) -> u64 {
    let mut done = instance.ready();
    let mut before = vec![NodeSet::EMPTY; instance.places.len()];
    for node in order {
        before[*node] = done;
        done = done.with(*node);
    }
    let forced = |item: &&Item| instance.places[item.home].has_turn && item.allowed.and(before[item.home]).is_empty();
    instance.items.iter().filter(forced).map(|item| item.cost).sum()
}
