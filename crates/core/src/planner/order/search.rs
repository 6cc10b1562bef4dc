//! The search over orders of the nodes: an order is judged by the moves that it forces, then tried.
//!
//! Deterministic: the same instance gives the same solution. How long it searches is up to the caller, who is asked
//! before each try; [`for_tries`] counts tries.

use super::descent;
use crate::planner::bound::crowding::Crowding;
use crate::planner::bound::forced::Forced;
use crate::planner::bound::journeys::rows::Early;
use crate::planner::bound::{self, journeys};
use crate::planner::draws::mix;
use crate::planner::placement::builder::{Back, FewWait, Fill, Parking, Style};
use crate::planner::placement::construct::{Failure, construct};
use crate::planner::placement::packing;
use crate::planner::problem::instance::{Instance, Solution, StuckItem};
use crate::policy::Overlap;

/// Work for one plan, in guests placed: one or two tenths of a second for a big cluster, far less for a small one.
const PLACEMENTS: usize = 1_500_000;

/// At least this many tries, however big the cluster is.
const LEAST_TRIES: usize = 24;

/// At most this many tries, however small the cluster is.
const MOST_TRIES: usize = 400;

/// The number of tries for a plan: the work is bounded, not the time, so that the plan does not depend on the machine.
pub fn usual_tries(instance: &Instance) -> usize {
    (PLACEMENTS / instance.items.len().max(1)).clamp(LEAST_TRIES, MOST_TRIES)
}

/// Continues for this many tries.
pub fn for_tries(tries: usize) -> impl FnMut() -> bool {
    let mut left = tries;
    move || {
        left = left.saturating_sub(1);
        left > 0
    }
}

/// Descents of the order search before the first plan, and after it.
const DESCENTS: [u64; 2] = [3, 60];

/// After every this many tries the search for an order continues for as many descents: what an order forces, no
/// placement can save.
const DEEPER: u64 = 16;

/// Up to this many free nodes, every order is tried one after the other.
const MOST_FOR_ALL_ORDERS: usize = 5;

/// Up to this many guests, random choices are worth a try, and so is placing all of them at once: with more, something
/// always goes wrong somewhere.
const MOST_FOR_CHANCE: usize = 200;

/// After every this many tries, all guests are placed at once for one order.
const PACKED_EVERY: u64 = 32;

/// Searches for the cheapest solution for as long as `go_on` says so, or until no cheaper one can exist.
///
/// # Errors
/// The guest that was stuck in the try that got furthest.
pub fn solve(
    instance: &Instance,
    mut go_on: impl FnMut() -> bool,
    mut found: impl FnMut(&Solution),
) -> Result<Solution, Box<StuckItem>> {
    let weights = bound::costs(instance);
    let once = bound::once(instance, &weights);
    let forced = Forced::new(instance, &weights);
    let mut order = descent::search(&forced, DESCENTS[0]);
    let crowding = Crowding::new(instance, &weights);
    let mut all = forced.all_orders(MOST_FOR_ALL_ORDERS);
    for (price, order) in &mut all {
        *price = crowding.price(&forced.whole(order), false);
    }
    all.sort();
    let mut least: Option<u64> = None;
    let mut best: Option<Solution> = None;
    let mut furthest: Option<Box<StuckItem>> = None;
    let mut round = 0_u64;
    let mut candidate = order.clone();
    let mut cheapest = order.clone();
    let weighed = journeys::cheapest(instance, &weights, &forced.few_orders(), journeys::MOST_CHOICES);
    let chosen = weighed.as_ref().and_then(|weighed| weighed.best.as_ref());
    if let Some(solution) = chosen.and_then(|choice| by_journeys(instance, choice)) {
        found(&solution);
        best = Some(solution);
    }
    let weighed = weighed.map_or(0, |weighed| weighed.least);
    loop {
        let style = style(instance, round);
        // A solution that misses a preference does not limit one that meets it.
        let limit = best.as_ref().filter(|best| best.unmet == 0).map_or(u64::MAX, |best| best.cost);
        match construct(instance, &forced.whole(&candidate), &style, limit, None) {
            Ok(solution) if best.as_ref().is_none_or(|best| worth(&solution) < worth(best)) => {
                found(&solution);
                order.clone_from(&candidate);
                best = Some(solution);
            }
            Ok(_) | Err(Failure::TooDear) => {}
            Err(Failure::Stuck(stuck)) => {
                if furthest.as_ref().is_none_or(|old| stuck.upgraded.len() > old.upgraded.len()) {
                    furthest = Some(stuck);
                }
            }
        }
        if let Some(best) = &best
            && best.unmet == 0
            && best.cost <= *least.get_or_insert_with(|| bound::least_by_kind(instance, &weights).max(weighed))
        {
            break;
        }
        if !go_on() {
            break;
        }
        round += 1;
        if round.is_multiple_of(DEEPER) && all.is_empty() {
            let from = DESCENTS[1] + round;
            cheapest = descent::improve(&forced, cheapest, from..from + DEEPER);
            if forced.cost(&cheapest) < forced.cost(&order) {
                candidate.clone_from(&cheapest);
                continue;
            }
        }
        match round {
            2 => {
                cheapest = descent::search(&forced, DESCENTS[1]);
                order.clone_from(&cheapest);
            }
            // Where sizes differ a lot, memory decides more than allowed nodes.
            4 => candidate = crowding.johnson(forced.free()),
            _ => {}
        }
        if round.is_multiple_of(PACKED_EVERY)
            && let Some(known) = best.as_ref().filter(|_| may_be_packed(instance))
        {
            let time = round / PACKED_EVERY;
            let promising = one_of(&all, time / 2, known.cost - once).unwrap_or(&order);
            let early = if time.is_multiple_of(2) { Early::Yes } else { Early::No };
            let choice = packing::pack(instance, &forced.whole(promising), known.cost, early, round);
            let packed = choice.and_then(|choice| by_journeys(instance, &choice));
            if let Some(solution) = packed.filter(|packed| packed.cost < known.cost) {
                found(&solution);
                best = Some(solution);
            }
        }
        let limit = best.as_ref().filter(|best| best.unmet == 0).map_or(u64::MAX, |best| best.cost - once);
        candidate = match one_of(&all, round, limit) {
            _ if round < 4 => order.clone(),
            _ if round < 6 => candidate,
            None => neighbour(&forced, &crowding, &order, round, limit),
            Some(order) => order.clone(),
        };
    }
    match (best, furthest) {
        (Some(solution), _) => Ok(solution),
        (None, Some(stuck)) => Err(stuck),
        (None, None) => Ok(Solution::default()),
    }
}

/// A solution built from the choice of positions that the bound suggests.
fn by_journeys(instance: &Instance, choice: &journeys::Choice) -> Option<Solution> {
    let suggested = packing::as_moves(instance, choice);
    let ways = (0..6).map(|round| style(instance, round));
    let ways = ways.filter_map(|style| construct(instance, &choice.order, &style, u64::MAX, Some(&suggested)).ok());
    ways.min_by_key(worth)
}

/// Preferences first, then the cost.
fn worth(solution: &Solution) -> (u64, u64) {
    (solution.unmet, solution.cost)
}

/// How this round searches.
fn style(instance: &Instance, round: u64) -> Style {
    let parking = match round % 5 {
        0 | 2 => Parking::Late,
        4 if instance.items.len() <= MOST_FOR_CHANCE => Parking::Any,
        _ => Parking::Tight,
    };
    Style {
        parking,
        few_wait: if round % 3 == 1 { FewWait::No } else { FewWait::Yes },
        fill: if instance.spread.is_some() && round % 4 != 3 { Fill::Even } else { Fill::Tight },
        back: if round.is_multiple_of(2) { Back::AtOnce } else { Back::AtTheEnd },
        shuffle: if round < 2 { 0 } else { round },
    }
}

/// One order after the other, out of those that force less than `limit`, cheap ones first.
fn one_of(all: &[(u64, Vec<usize>)], round: u64, limit: u64) -> Option<&Vec<usize>> {
    let promising = all.partition_point(|(cost, _)| *cost < limit).max(1);
    all.get((round % promising as u64) as usize).map(|(_, order)| order)
}

/// The cluster is small, and has no preference that placing all guests at once does not know.
fn may_be_packed(instance: &Instance) -> bool {
    instance.items.len() <= MOST_FOR_CHANCE
        && instance.spread.is_none()
        && instance.overlap == Overlap::None
        && instance.items.iter().all(|item| item.ends.is_none())
}

/// A slightly different order that forces less than `limit`: one free node at another position, or the same order.
fn neighbour(forced: &Forced, crowding: &Crowding<'_>, order: &[usize], round: u64, limit: u64) -> Vec<usize> {
    let count = order.len() as u64;
    for draw in 0..16 {
        let (from, to) = (mix(round, 3 * draw), mix(round, 3 * draw + 1));
        if count < 2 || from.is_multiple_of(4) {
            break;
        }
        let mut other = order.to_vec();
        let node = other.remove((from / 4 % count) as usize);
        other.insert((to % count) as usize, node);
        if forced.cost(&other) < limit && crowding.price(&forced.whole(&other), false) < limit {
            return other;
        }
    }
    order.to_vec()
}
