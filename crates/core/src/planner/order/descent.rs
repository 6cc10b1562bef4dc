//! Local search for a cheap order of the nodes, judged only by the moves that the order forces, before guests are
//! placed.

use crate::planner::bound::forced::Forced;
use crate::planner::draws::mix;
use crate::planner::problem::instance::NodeSet;

/// Moves single nodes to their cheapest position in the order until nothing improves.
fn descend(forced: &Forced, order: &mut Vec<usize>) -> u64 {
    let mut cost = forced.cost(order);
    let mut quiet = 0;
    let mut from = 0;
    while quiet < order.len() {
        let node = order[from];
        let (gain, to) = best_place(forced, order, from);
        if gain > 0 {
            order.remove(from);
            order.insert(to, node);
            cost -= gain;
            quiet = 0;
        } else {
            quiet += 1;
        }
        from = (from + 1) % order.len();
    }
    cost
}

/// The most that is saved by moving one node to another position in the order, and that position. The node is walked
/// past its neighbours one by one: only the two that swap change their cost.
fn best_place(forced: &Forced, order: &[usize], from: usize) -> (u64, usize) {
    let node = order[from];
    let here: NodeSet = order[..from].iter().copied().collect();
    let (mut best_gain, mut best) = (0_i128, from);
    let pass = |before: NodeSet, left: usize, right: usize| {
        let now = forced.price(left, before) + forced.price(right, before.with(left));
        let then = forced.price(right, before) + forced.price(left, before.with(right));
        i128::from(now) - i128::from(then)
    };
    let (mut before, mut gain) = (here, 0_i128);
    for (to, other) in order.iter().copied().enumerate().skip(from + 1) {
        gain += pass(before, node, other);
        before = before.with(other);
        if gain > best_gain {
            (best_gain, best) = (gain, to);
        }
    }
    (before, gain) = (here, 0);
    for to in (0..from).rev() {
        before = before.without(order[to]);
        gain += pass(before, order[to], node);
        if gain > best_gain {
            (best_gain, best) = (gain, to);
        }
    }
    (u64::try_from(best_gain).unwrap_or(0), best)
}

/// A cheap order of the free nodes: the cheapest of several descents, each from a slightly changed best order.
pub(in crate::planner) fn search(forced: &Forced, descents: u64) -> Vec<usize> {
    let mut best = forced.free().to_vec();
    best.sort_by_key(|node| (forced.price(*node, NodeSet::EMPTY), *node));
    descend(forced, &mut best);
    improve(forced, best, 1..descents)
}

/// An order that costs no more: one descent for each round, from a slightly changed best order.
pub(in crate::planner) fn improve(forced: &Forced, mut best: Vec<usize>, rounds: std::ops::Range<u64>) -> Vec<usize> {
    let (mut least, count) = (forced.cost(&best), best.len() as u64);
    for round in rounds {
        if count < 3 || least == forced.base() {
            break;
        }
        let mut order = best.clone();
        for kick in 0..3 {
            let from = (mix(round, 2 * kick) % count) as usize;
            let to = (mix(round, 2 * kick + 1) % count) as usize;
            let node = order.remove(from);
            order.insert(to, node);
        }
        let cost = descend(forced, &mut order);
        if cost <= least {
            (least, best) = (cost, order);
        }
    }
    best
}
