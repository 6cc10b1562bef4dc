//! Items with their journeys in one order: every journey, or those that may be part of something cheaper than a limit.

use super::super::instance::Instance;
use super::{Early, Journey, journeys};

/// An item with its journeys, and what each costs with the prices of its table.
pub(in super::super) struct Row {
    pub(in super::super) item: usize,
    pub(super) memory: f64,
    pub(super) weight: u64,
    pub(in super::super) journeys: Vec<Journey>,
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

/// Every journey. None if somebody has none in this order.
pub(super) fn all(instance: &Instance, weights: &[u64], order: &[usize]) -> Option<Vec<Row>> {
    let row = |(item, weight): (usize, &u64)| {
        let journeys = journeys(instance, item, order, u64::MAX, Early::Yes);
        (!journeys.is_empty()).then(|| Row::new(instance, item, *weight, journeys))
    };
    weights.iter().enumerate().map(row).collect()
}

/// The journeys that may be part of something cheaper than `limit`: together with the cheapest ones of all others they
/// cost less. None if there is nothing so cheap in this order. As many as are looked at are taken off what is `left`; with
/// nothing left, some are missing.
pub(in super::super) fn below(
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
