//! What no plan can go below.
//!
//! Everything on a node with a turn travels at least once, and what every order forces travels twice: for want of an
//! upgraded node that takes it ([`super::forced`]), or of memory on those ([`super::crowding`](self)).

use super::crowding::Crowding;
use super::forced::Forced;
use super::instance::Instance;

/// Everything once; `weights` by item.
pub fn once(instance: &Instance, weights: &[u64]) -> u64 {
    let with_turn = instance.items.iter().zip(weights).filter(|(item, _)| instance.places[item.home].has_turn);
    with_turn.map(|(_, weight)| weight).sum()
}

/// No plan costs less, in the measure of `weights`.
pub fn least(instance: &Instance, weights: &[u64]) -> u64 {
    once(instance, weights) + Crowding::new(instance, weights).least(&Forced::new(instance, weights))
}

/// The cost of each item's move: the measure that plans are compared in.
pub fn costs(instance: &Instance) -> Vec<u64> {
    instance.items.iter().map(|item| item.cost).collect()
}
