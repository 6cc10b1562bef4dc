//! Which node next: orders are judged by what they force, then tried.
//!
//! Deterministic: the same instance gives the same solution. How long it looks is the caller's choice, as a question
//! that is asked before each try; [`for_tries`] counts.

use super::bound;
use super::construct::{Failure, Parking, Style, construct, mix};
use super::instance::{Instance, NodeSet, Solution, StuckItem};

/// Work for one plan, in items placed. A tenth of a second or two for a big cluster, far less for a small one.
const PLACEMENTS: usize = 1_500_000;

/// At least so many tries, however big the cluster is.
const LEAST_TRIES: usize = 24;

/// Most tries for a small cluster.
const MOST_TRIES: usize = 400;

/// The number of tries that a plan is worth: the work is bounded, not the time, so that the plan does not depend on the
/// machine.
pub fn usual_tries(instance: &Instance) -> usize {
    (PLACEMENTS / instance.items.len().max(1)).clamp(LEAST_TRIES, MOST_TRIES)
}

/// Goes on for so many tries.
pub fn for_tries(tries: usize) -> impl FnMut() -> bool {
    let mut left = tries;
    move || {
        left = left.saturating_sub(1);
        left > 0
    }
}

/// Looks for the cheapest way for as long as `go_on` says so, or until no cheaper one can exist.
///
/// # Errors
/// The item that was stuck in the try that came furthest.
pub fn solve(
    instance: &Instance,
    mut go_on: impl FnMut() -> bool,
    mut found: impl FnMut(&Solution),
) -> Result<Solution, Box<StuckItem>> {
    let least = bound::least(instance, &bound::costs(instance));
    let mut order = first_order(instance);
    let mut best: Option<Solution> = None;
    let mut furthest: Option<Box<StuckItem>> = None;
    let mut round = 0_u64;
    let mut candidate = order.clone();
    loop {
        let shuffle = if round < 2 { 0 } else { round };
        let parking = if round.is_multiple_of(2) { Parking::Late } else { Parking::Tight };
        let limit = best.as_ref().map_or(u64::MAX, |best| best.cost);
        match construct(instance, &candidate, &Style { parking, shuffle }, limit) {
            Ok(solution) => {
                found(&solution);
                order.clone_from(&candidate);
                best = Some(solution);
            }
            Err(Failure::TooDear) => {}
            Err(Failure::Stuck(stuck)) => {
                if furthest.as_ref().is_none_or(|old| stuck.upgraded.len() > old.upgraded.len()) {
                    furthest = Some(stuck);
                }
            }
        }
        if best.as_ref().is_some_and(|best| best.cost <= least) || !go_on() {
            break;
        }
        round += 1;
        candidate = if round < 2 { order.clone() } else { neighbour(instance, &order, round) };
    }
    match (best, furthest) {
        (Some(solution), _) => Ok(solution),
        (None, Some(stuck)) => Err(stuck),
        (None, None) => Ok(Solution::default()),
    }
}

/// The order to begin with: as the operator wants it, and in between by what it forces to travel twice.
fn first_order(instance: &Instance) -> Vec<usize> {
    let mut middle = instance.free_nodes();
    let weight =
        |node: usize| -> u64 { instance.items.iter().filter(|item| item.home == node).map(|item| item.cost).sum() };
    middle.sort_by_key(|node| (weight(*node), *node));
    let mut order = whole(instance, &middle);
    let mut least = bound::forced_cost(instance, &order);
    let mut improved = !middle.is_empty();
    let mut sweeps = 0;
    while improved && sweeps < 4 {
        improved = false;
        sweeps += 1;
        for from in 0..middle.len() {
            for to in 0..middle.len() {
                let mut other = middle.clone();
                let node = other.remove(from);
                other.insert(to, node);
                let cost = bound::forced_cost(instance, &whole(instance, &other));
                if cost < least {
                    (least, middle, improved) = (cost, other, true);
                }
            }
        }
    }
    order.clear();
    order.extend(whole(instance, &middle));
    order
}

fn whole(instance: &Instance, middle: &[usize]) -> Vec<usize> {
    let turn = |nodes: &[usize]| -> Vec<usize> {
        let mut seen = NodeSet::EMPTY;
        let with_turn = instance.with_turn();
        let mut kept = Vec::new();
        for node in nodes.iter().copied().filter(|node| with_turn.has(*node)) {
            if !seen.has(node) {
                seen = seen.with(node);
                kept.push(node);
            }
        }
        kept
    };
    let first = turn(&instance.first);
    let last: Vec<usize> = turn(&instance.last).into_iter().filter(|node| !first.contains(node)).collect();
    [first.as_slice(), middle, last.as_slice()].concat()
}

/// A slightly different order: one free node elsewhere.
fn neighbour(instance: &Instance, order: &[usize], round: u64) -> Vec<usize> {
    let free = instance.free_nodes();
    let mut middle: Vec<usize> = order.iter().copied().filter(|node| free.contains(node)).collect();
    if middle.len() > 1 && !mix(round, 1).is_multiple_of(4) {
        let from = (mix(round, 2) % middle.len() as u64) as usize;
        let to = (mix(round, 3) % middle.len() as u64) as usize;
        let node = middle.remove(from);
        middle.insert(to, node);
    }
    whole(instance, &middle)
}
