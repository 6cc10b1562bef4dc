//! How long a plan takes: a simple estimate, the same for every plan, not calibrated on any cluster.
//!
//! One source node at a time, with `ceil(link/stream)+1` migrations in parallel; each takes a fixed time plus its bytes
//! at its share of the link, and guests that write a lot have pages sent again. Upgrade, reboot and the checks after it
//! take a fixed time per node. With overlap, moves that the planner allows during a reboot begin when the node goes
//! down.

use quorate_core::planner::problem::instance::{Instance, Move, Solution};
use quorate_core::planner::schedule::overlap;

const LINK_BYTES_PER_S: f64 = 1.25e9;
const STREAM_BYTES_PER_S: f64 = 6.0e8;
const PARALLEL: usize = 4;
const AROUND_S: f64 = 4.0;
const AWAY_S: f64 = 480.0;

/// Seconds: everything in sequence, and with the next drain begun while a node is away.
pub(super) fn seconds(instance: &Instance, solution: &Solution) -> (f64, f64) {
    let mut one_by_one = 0.0;
    for turn in &solution.turns {
        one_by_one += mode(instance, &turn.moves) + AWAY_S + mode(instance, &turn.back);
    }
    let mut overlapped = 0.0;
    let parts = overlap::split(instance, solution);
    for (number, (_, late)) in parts.iter().enumerate() {
        let meanwhile = parts.get(number + 1).map_or(0.0, |(early, _)| mode(instance, early));
        overlapped += mode(instance, late) + AWAY_S.max(meanwhile) + mode(instance, &solution.turns[number].back);
    }
    (one_by_one, overlapped)
}

/// Moves in their order, a few at a time: each begins when an earlier one has ended.
fn mode(instance: &Instance, moves: &[Move]) -> f64 {
    let rate = STREAM_BYTES_PER_S.min(LINK_BYTES_PER_S / PARALLEL as f64);
    let mut lanes = [0.0_f64; PARALLEL];
    for step in moves {
        // Every fifth guest writes 40 to 200 MB/s: those pages are sent again.
        let draw = step.item as u64 * 2_654_435_761 % 1000;
        let dirty = if draw.is_multiple_of(5) { 40e6 + draw as f64 * 160e3 } else { 0.0 };
        let bytes = instance.items[step.item].memory_bytes as f64;
        let lane = lanes.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("there is a lane");
        *lane += AROUND_S + bytes / (rate - dirty.min(rate / 2.0));
    }
    lanes.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use quorate_core::planner::problem::instance::{Item, NodeSet, Place, Turn};

    use super::*;

    #[test]
    fn moves_that_do_not_need_the_rebooting_node_are_hidden_behind_its_reboot() {
        let all = NodeSet::first(3);
        let place = Place { capacity_bytes: 1 << 40, has_turn: true, ..Place::default() };
        let item = |home| Item { memory_bytes: 60_000_000_000, cost: 1, home, allowed: all, ..Item::default() };
        let instance = Instance { places: vec![place; 3], items: vec![item(1)], ..Instance::default() };
        let turn = |node, moves| Turn { node, moves, ..Turn::default() };
        let go = |to| vec![Move { item: 0, from: 1, to }];
        let plan = |to| Solution { turns: vec![turn(0, vec![]), turn(1, go(to))], cost: 1, unmet: 0 };
        let (serial, overlapped) = seconds(&instance, &plan(2));
        assert!((serial - overlapped - 196.0).abs() < 60.0, "{serial} {overlapped}");
        let (serial, overlapped) = seconds(&instance, &plan(0));
        assert!((serial - overlapped).abs() < 1.0, "it goes to the node that reboots: {serial} {overlapped}");
    }
}
