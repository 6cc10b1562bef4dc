//! Lower bounds for the cost of every plan, and what an order of the nodes forces.
//!
//! In: an [`Instance`], a weight for each guest, and the cost of a plan where one is known. Out: a cost that no plan is
//! below. Every guest on a node that is upgraded moves at least once, and some move twice in every order: because no
//! upgraded node may take them ([`forced`]), or because upgraded nodes lack the memory (`crowding`). For a balanced
//! end, what must be on the last node costs extra (`even_end`). With very few nodes all paths of all guests are
//! considered (`journeys`), and the cheapest choice is a suggestion for a plan as well.

pub(super) mod crowding;
pub(super) mod even_end;
pub mod forced;
pub(super) mod journeys;

use super::problem::instance::Instance;
use crowding::Crowding;
use forced::Forced;

/// Up to this many free nodes, every order is considered.
const MOST_FOR_ALL_ORDERS: usize = 5;

/// At most this many paths are considered beside a plan; each takes a hundred bytes while its order is considered.
const MOST_JOURNEYS: u64 = 1_000_000;

pub(super) use journeys::FEW_CHOICES;

/// The cost of every guest on a node that is upgraded moving once; `weights` by guest.
pub fn once(instance: &Instance, weights: &[u64]) -> u64 {
    let with_turn = instance.items.iter().zip(weights).filter(|(item, _)| instance.places[item.home].has_turn);
    with_turn.map(|(_, weight)| weight).sum()
}

/// No plan costs less, in the measure of `weights`.
pub fn least(instance: &Instance, weights: &[u64]) -> u64 {
    least_with(instance, weights, journeys::FEW_CHOICES)
}

/// The same as [`least`], with a limit on the choices of paths that are considered for a balanced end of very few
/// nodes: a benchmark has the time for more.
pub fn least_with(instance: &Instance, weights: &[u64], most_choices: u64) -> u64 {
    let by_kind = least_by_kind(instance, weights);
    let orders = Forced::new(instance, weights).few_orders();
    let found = journeys::cheapest(instance, weights, &orders, most_choices);
    found.map_or(by_kind, |found| found.least.max(by_kind))
}

/// The same where a plan that costs `cost` is known: with few nodes, everything that may be cheaper is considered too.
pub fn least_beside(instance: &Instance, weights: &[u64], cost: u64, most_choices: u64) -> u64 {
    let least = least_with(instance, weights, most_choices);
    if cost <= least {
        return least;
    }
    let (forced, once) = (Forced::new(instance, weights), once(instance, weights));
    let cheaper = forced.all_orders(MOST_FOR_ALL_ORDERS).into_iter().filter(|(price, _)| once + price < cost);
    let orders: Vec<Vec<usize>> = cheaper.map(|(_, order)| forced.whole(&order)).collect();
    let most = (most_choices.min(MOST_JOURNEYS), most_choices.min(journeys::MOST_CHOICES));
    let beside = journeys::least_beside(instance, weights, &orders, cost, most);
    beside.map_or(least, |beside| beside.max(least))
}

/// The same as [`least`], without considering paths.
pub(super) fn least_by_kind(instance: &Instance, weights: &[u64]) -> u64 {
    let (crowding, forced) = (Crowding::new(instance, weights), Forced::new(instance, weights));
    once(instance, weights) + crowding.least(&forced) + even_end::balanced(instance, &crowding, &forced)
}

/// The cost of one move of each guest: the measure that plans are compared in.
pub fn costs(instance: &Instance) -> Vec<u64> {
    instance.items.iter().map(|item| item.cost).collect()
}
