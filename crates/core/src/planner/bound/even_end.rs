//! A balanced end: what must be on each node for it, and what that costs in addition.

use super::crowding::Crowding;
use super::forced::Forced;
use crate::planner::problem::instance::{Instance, Place};

/// Memory of the whole cluster, what is taken of it, and the memory of one node.
struct Sums {
    all: u128,
    taken: u128,
    whole: u128,
}

fn sums(instance: &Instance, node: usize) -> Sums {
    let whole = |place: &Place| u128::from(place.capacity_bytes) + u128::from(place.fixed_bytes);
    let fixed: u128 = instance.places.iter().map(|place| u128::from(place.fixed_bytes)).sum();
    let items: u128 = instance.items.iter().map(|item| u128::from(item.memory_bytes)).sum();
    Sums { all: instance.places.iter().map(whole).sum(), taken: fixed + items, whole: whole(&instance.places[node]) }
}

/// Memory of guests that must be on `node` at the end if no other node may be fuller by more than `spread` thousandths:
/// with less there, there would be too much elsewhere.
pub(super) fn least_on(instance: &Instance, node: usize, spread: u64) -> u64 {
    let Sums { all, taken, whole } = sums(instance, node);
    // Fullness is counted in whole thousandths: one more is still within the limit.
    let others_more = (all - whole) * u128::from(spread + 1) / 1000 + 1;
    let share = taken.saturating_sub(others_more) * whole / all.max(1);
    of_items(instance, node, share)
}

/// The same from above: with more there, there would be too little elsewhere.
pub(super) fn most_on(instance: &Instance, node: usize, spread: u64) -> u64 {
    let Sums { all, taken, whole } = sums(instance, node);
    let others_less = (all - whole) * u128::from(spread + 1) / 1000 + 1;
    of_items(instance, node, (taken + others_less) * whole / all.max(1) + 1)
}

fn of_items(instance: &Instance, node: usize, share: u128) -> u64 {
    u64::try_from(share.saturating_sub(u128::from(instance.places[node].fixed_bytes))).unwrap_or(u64::MAX)
}

/// What a balanced end costs in addition: a guest that ends on the last node of the order moves once more than it would
/// otherwise, because it can arrive there only after all guests have left. At least this much memory must be there.
/// Guests that should end there anyway add nothing: their second move is in the cost of the order, where it is forced.
pub(in crate::planner) fn balanced(instance: &Instance, crowding: &Crowding<'_>, forced: &Forced) -> u64 {
    let Some(spread) = instance.spread else { return 0 };
    let extra = |node: usize| {
        let told = instance.items.iter().filter(|item| item.ends.is_some() && item.lands().has(node));
        let for_nothing: u64 = told.map(|item| item.memory_bytes).sum();
        let bytes = least_on(instance, node, spread).saturating_sub(for_nothing);
        crowding.cover(bytes, |item| instance.items[item].ends.is_none() && instance.items[item].allowed.has(node))
    };
    forced.may_be_last().into_iter().map(extra).min().unwrap_or(0)
}
