//! What no plan can go below.
//!
//! Everything on a node with a turn travels at least once, and what every order forces travels twice: for want of an
//! upgraded node that takes it ([`super::forced`]), or of memory on those ([`super::crowding`](self)). A balanced end
//! costs on top what must be on the last node; with very few nodes all journeys are weighed ([`super::journeys`](self)).

use super::balance;
use super::crowding::Crowding;
use super::forced::Forced;
use super::instance::Instance;
use super::journeys;

/// Up to so many free nodes every order is weighed.
const MOST_FOR_ALL_ORDERS: usize = 5;

/// Most journeys that are weighed beside a plan, each a hundred bytes while its order is.
const MOST_JOURNEYS: u64 = 1_000_000;

pub(super) use journeys::FEW_CHOICES;

/// Everything once; `weights` by item.
pub fn once(instance: &Instance, weights: &[u64]) -> u64 {
    let with_turn = instance.items.iter().zip(weights).filter(|(item, _)| instance.places[item.home].has_turn);
    with_turn.map(|(_, weight)| weight).sum()
}

/// No plan costs less, in the measure of `weights`.
pub fn least(instance: &Instance, weights: &[u64]) -> u64 {
    least_with(instance, weights, journeys::FEW_CHOICES)
}

/// The same, with so many choices of journeys looked at for a balanced end of very few nodes: a benchmark has the time.
pub fn least_with(instance: &Instance, weights: &[u64], most_choices: u64) -> u64 {
    let by_kind = least_by_kind(instance, weights);
    let orders = Forced::new(instance, weights).few_orders();
    let found = journeys::cheapest(instance, weights, &orders, most_choices);
    found.map_or(by_kind, |found| found.least.max(by_kind))
}

/// The same where a plan is known that costs `cost`: for a few nodes what may be cheaper than that is weighed too.
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

/// The same without journeys as a whole.
pub(super) fn least_by_kind(instance: &Instance, weights: &[u64]) -> u64 {
    let (crowding, forced) = (Crowding::new(instance, weights), Forced::new(instance, weights));
    once(instance, weights) + crowding.least(&forced) + balanced(instance, &crowding, &forced)
}

/// What a balanced end costs on top: whoever ends on the node whose turn is last travels once more than it would, for
/// it can arrive there only when everybody has left. So much memory must be there. Who is to end somewhere is there for
/// nothing: its second journey is in the price of the order, where it is forced.
pub(super) fn balanced(instance: &Instance, crowding: &Crowding<'_>, forced: &Forced) -> u64 {
    let Some(spread) = instance.spread else { return 0 };
    let extra = |node: usize| {
        let told = instance.items.iter().filter(|item| item.ends.is_some() && item.lands().has(node));
        let for_nothing: u64 = told.map(|item| item.memory_bytes).sum();
        let bytes = balance::least_on(instance, node, spread).saturating_sub(for_nothing);
        crowding.cover(bytes, |item| instance.items[item].ends.is_none() && instance.items[item].allowed.has(node))
    };
    forced.may_be_last().into_iter().map(extra).min().unwrap_or(0)
}

/// The cost of each item's move: the measure that plans are compared in.
pub fn costs(instance: &Instance) -> Vec<u64> {
    instance.items.iter().map(|item| item.cost).collect()
}
