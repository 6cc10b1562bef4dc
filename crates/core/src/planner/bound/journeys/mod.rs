//! A balanced end of a small cluster, looked at as a whole: where everybody is while each node is away, and at the end.
//!
//! With three nodes and some twenty guests the bound by what the last node must hold is weak, and building one way item
//! by item misses good ends. Here every order and every journey is weighed. Prices on memory and on unevenness bound
//! each order from below ([`prices`]); then items are placed one after the other, and of all ways to have placed the
//! first of them those are kept that may still be the cheapest ([`layers`]): first few of them, then more where a gap is
//! left. Only the moments when a node is away and the end are looked at, not the ways between them: so what is found
//! here is a bound for every plan, and a suggestion for one.

mod layers;
mod prices;
pub(in crate::planner) mod rows;

use crate::planner::problem::instance::Instance;
use prices::Table;
use rows::{Early, Row};

/// Most journeys that an item may have: three nodes have 81, most of which are not allowed.
const MOST_JOURNEYS: usize = 300;

/// Most items.
const MOST_ITEMS: usize = 40;

/// The most that all of them may cost if they move at every moment: sums of prices are exact enough up to here.
const MOST_COST: u64 = 1 << 53;

/// Choices that are looked at in all for a plan: a tenth of a second, where a gap is left for so long.
pub(in crate::planner) const MOST_CHOICES: u64 = 300_000;

/// The same for a bound in moves or bytes alone, which no plan is looked for by.
pub(in crate::planner) const FEW_CHOICES: u64 = 60_000;

/// Ways to have placed the first items that are kept, one width after the other until nothing is left open.
const WIDTHS: [usize; 4] = [60, 1000, 10_000, 100_000];

/// What is known of the cheapest choice of journeys.
pub(in crate::planner) struct Found {
    /// No plan that meets the wish costs less.
    pub(in crate::planner) least: u64,
    /// The cheapest choice, if one was found.
    pub(in crate::planner) best: Option<Choice>,
}

/// An order of the nodes, and each item with where it is at each moment.
pub(in crate::planner) struct Choice {
    pub(in crate::planner) order: Vec<usize>,
    pub(in crate::planner) at: Vec<(usize, Vec<usize>)>,
}

/// Looks at these whole orders, and at so many choices at most. None where nothing is asked of the end, or the cluster is too big for it.
pub(in crate::planner) fn cheapest(
    instance: &Instance,
    weights: &[u64],
    orders: &[Vec<usize>],
    most_choices: u64,
) -> Option<Found> {
    instance.spread?;
    let moments = orders.first()?.len() + 1;
    let journeys = instance.places.len().checked_pow(u32::try_from(moments).ok()?)?;
    if journeys > MOST_JOURNEYS || instance.items.len() > MOST_ITEMS {
        return None;
    }
    let dearest = dearest(weights, moments)?;
    let unit = unit(weights);
    let all = |order: &Vec<usize>| Some(Table::new(instance, rows::all(instance, weights, order)?, order, None));
    let tables = orders.iter().filter_map(all);
    let mut open: Vec<(f64, Table<'_>)> = tables.map(|table| (table.bound() - table.inexact, table)).collect();
    open.sort_by(|(one, _), (two, _)| one.total_cmp(two));
    let mut best: Option<(u64, usize, Vec<u16>)> = None;
    let mut choices = most_choices;
    for width in WIDTHS {
        for (number, (bound, table)) in open.iter_mut().enumerate() {
            let limit = best.as_ref().map_or(f64::INFINITY, |(cost, _, _)| *cost as f64 - unit as f64);
            if *bound > limit || choices == 0 {
                continue;
            }
            let walked = layers::walk(table, limit + table.inexact, width, &mut choices);
            *bound = bound.max(walked.left_out - table.inexact);
            best = walked.best.map(|(cost, chosen)| (cost, number, chosen)).or(best);
        }
    }
    let least_open = open.iter().map(|(bound, _)| *bound).fold(f64::INFINITY, f64::min);
    let least = match &best {
        Some((cost, _, _)) if *cost as f64 - (unit as f64) < least_open => *cost,
        // Where nobody can have such an end, prices know no limit.
        _ if least_open.is_finite() => (least_open.clamp(0.0, dearest as f64).ceil() as u64).next_multiple_of(unit),
        _ => 0,
    };
    let best = best.map(|(_, number, chosen)| {
        let table = &open[number].1;
        let at = |(row, journey): (&Row, &u16)| (row.item, row.journeys[usize::from(*journey)].at.clone());
        Choice { order: table.order.clone(), at: table.rows.iter().zip(&chosen).map(at).collect() }
    });
    Some(Found { least, best })
}

/// Where a plan is known that costs `cost`: no plan in one of these whole orders costs less than what comes out, which is
/// `cost` if everything cheaper is ruled out. Only journeys that may be part of something cheaper are weighed: so many
/// of them in all orders, and so many choices, at `most`. None where there are more journeys, or where an end is wished
/// for, which [`cheapest`] weighs.
pub(in crate::planner) fn least_beside(
    instance: &Instance,
    weights: &[u64],
    orders: &[Vec<usize>],
    cost: u64,
    most: (u64, u64),
) -> Option<u64> {
    dearest(weights, orders.first()?.len() + 1)?;
    if instance.spread.is_some() {
        return None;
    }
    let unit = unit(weights);
    let ceiling = (cost.saturating_sub(1) / unit * unit) as f64;
    let (mut least, mut left, mut choices) = (cost, most.0, most.1);
    for order in orders {
        let Some(rows) = rows::below(instance, weights, order, cost, Early::Yes, &mut left) else { continue };
        if left == 0 {
            return None;
        }
        let table = Table::new(instance, rows, order, Some(cost));
        let bound = least_of(&table, ceiling, &mut choices);
        least = least.min((bound.clamp(0.0, cost as f64).ceil() as u64).next_multiple_of(unit));
    }
    Some(least)
}

/// No choice in this table costs less; looked at until that is above `ceiling`, or nothing is left to look at.
fn least_of(table: &Table<'_>, ceiling: f64, choices: &mut u64) -> f64 {
    let mut bound = table.bound() - table.inexact;
    for width in WIDTHS {
        if bound > ceiling || *choices == 0 {
            break;
        }
        let walked = layers::walk(table, ceiling + table.inexact, width, choices);
        let found = walked.best.map_or(f64::INFINITY, |(cost, _)| cost as f64);
        bound = bound.max(found.min(walked.left_out - table.inexact));
    }
    bound
}

/// What all cost if they move at every moment. None if sums of prices would not be exact enough.
fn dearest(weights: &[u64], moments: usize) -> Option<u64> {
    let dearest = weights.iter().try_fold(0_u64, |sum, weight| sum.checked_add(weight.checked_mul(moments as u64)?))?;
    (dearest <= MOST_COST).then_some(dearest)
}

/// What every cost is a multiple of: the next cheaper one is so much cheaper.
fn unit(weights: &[u64]) -> u64 {
    weights.iter().copied().fold(0, greatest_common_divisor).max(1)
}

fn greatest_common_divisor(one: u64, two: u64) -> u64 {
    if two == 0 { one } else { greatest_common_divisor(two, one % two) }
}
