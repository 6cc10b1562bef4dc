//! Guests with their paths in one order: every path, or those that may be part of a choice cheaper than a limit.

use crate::planner::problem::instance::Instance;

/// A path: the node of a guest at each moment, and how many moves that takes.
pub(in crate::planner) struct Journey {
    pub(in crate::planner) at: Vec<usize>,
    pub(in crate::planner) moves: u64,
}

/// Whether a guest may move before its node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Early {
    Yes,
    /// Only to leave a node that goes down: far fewer paths, among which there usually is a solution.
    No,
}

/// A guest with its paths, and what each costs with the multipliers of its table.
pub(in crate::planner) struct Row {
    pub(in crate::planner) item: usize,
    pub(super) memory: f64,
    pub(super) weight: u64,
    pub(in crate::planner) journeys: Vec<Journey>,
    pub(super) priced: Vec<f64>,
}

impl Row {
    fn new(instance: &Instance, item: usize, weight: u64, journeys: Vec<Journey>) -> Self {
        let memory = instance.items[item].memory_bytes as f64;
        let priced = vec![0.0; journeys.len()];
        Self { item, memory, weight, journeys, priced }
    }

    pub(super) fn least(&self) -> f64 {
        self.priced.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Every path of every guest. None if a guest has no path in this order.
pub(super) fn all(instance: &Instance, weights: &[u64], order: &[usize]) -> Option<Vec<Row>> {
    let row = |(item, weight): (usize, &u64)| {
        let journeys = journeys(instance, item, order, u64::MAX, Early::Yes);
        (!journeys.is_empty()).then(|| Row::new(instance, item, *weight, journeys))
    };
    weights.iter().enumerate().map(row).collect()
}

/// The paths that may be part of a choice cheaper than `limit`: together with the cheapest ones of all other guests
/// they cost less. None if nothing is this cheap in this order. The number of paths considered is subtracted from
/// `left`; at 0 some are missing.
pub(in crate::planner) fn below(
    instance: &Instance,
    weights: &[u64],
    order: &[usize],
    limit: u64,
    early: Early,
    left: &mut u64,
) -> Option<Vec<Row>> {
    let most = order.len() as u64 + 1;
    let fewest = |item: usize| (0..=most).find(|moves| !journeys(instance, item, order, *moves, early).is_empty());
    let fewest: Vec<u64> = (0..weights.len()).map(fewest).collect::<Option<_>>()?;
    let least = fewest.iter().zip(weights).map(|(moves, weight)| moves * weight).sum();
    let slack = limit.checked_sub(least).filter(|slack| *slack > 0)?;
    let mut rows = Vec::new();
    for (item, weight) in weights.iter().enumerate() {
        if *left == 0 {
            break;
        }
        let more = (slack - 1).checked_div(*weight).unwrap_or(most);
        let journeys = journeys(instance, item, order, (fewest[item] + more).min(most), early);
        *left = left.saturating_sub(journeys.len() as u64);
        rows.push(Row::new(instance, item, *weight, journeys));
    }
    Some(rows)
}

/// Every path of a guest that keeps to its allowed nodes and never goes to an older release, with at most this many
/// moves.
fn journeys(instance: &Instance, number: usize, order: &[usize], most_moves: u64, early: Early) -> Vec<Journey> {
    let item = &instance.items[number];
    let mut all = vec![Journey { at: Vec::new(), moves: 0 }];
    let mut upgraded = instance.ready();
    for moment in 0..=order.len() {
        let away = order.get(moment).copied();
        let mut longer = Vec::new();
        for journey in &all {
            let from = journey.at.last().copied().unwrap_or(item.home);
            let lands = if away.is_none() { item.lands() } else { item.allowed };
            for to in item.allowed.with(from).iter().filter(|to| Some(*to) != away) {
                let too_early = early == Early::No && away != Some(from);
                let refused = to != from && (too_early || !instance.lets(number, from, to, upgraded));
                if refused || (away.is_none() && !lands.has(to)) {
                    continue;
                }
                let moves = journey.moves + u64::from(to != from);
                if moves > most_moves {
                    continue;
                }
                longer.push(Journey { at: [journey.at.as_slice(), &[to]].concat(), moves });
            }
        }
        all = longer;
        if let Some(away) = away {
            upgraded = upgraded.with(away);
        }
    }
    all
}
