//! Small clusters considered as a whole: where every guest is while each node is away, and at the end.
//!
//! A path of a guest (a `Journey` in the code) is the node where it is at each of these moments. With three nodes and
//! some twenty guests the bound by what the last node must hold is weak, and placing guest by guest misses good
//! balanced ends. Here every order and every path is considered. Lagrange multipliers on memory and on imbalance bound
//! each order from below ([`prices`]); then guests are placed one after the other, and those partial choices are kept
//! that may still be the cheapest ([`layers`]): first a few of them, then more where a gap is left. Only the moments
//! when a node is away and the end are considered, not the moves between them: so the result is a bound for every plan,
//! and a suggestion for one.

mod layers;
mod prices;
pub(in crate::planner) mod rows;

use crate::planner::problem::instance::Instance;
use prices::Table;
use rows::{Early, Row};

/// At most this many paths per guest: with three nodes there are 81, most of which are not allowed.
const MOST_JOURNEYS: usize = 300;

/// At most this many guests.
const MOST_ITEMS: usize = 40;

/// The most that all guests may cost if they move at every moment: sums of costs are exact enough up to here.
const MOST_COST: u64 = 1 << 53;

/// Choices that are considered for a plan, at most: a tenth of a second, where a gap remains that long.
pub(in crate::planner) const MOST_CHOICES: u64 = 300_000;

/// The same for a bound in moves or bytes alone, which does not guide the search for a plan.
pub(in crate::planner) const FEW_CHOICES: u64 = 60_000;

/// How many partial choices are kept, one width after the other until no gap is left.
const WIDTHS: [usize; 4] = [60, 1000, 10_000, 100_000];

/// What is known about the cheapest choice of paths.
pub(in crate::planner) struct Found {
    /// No plan that meets the preference costs less.
    pub(in crate::planner) least: u64,
    /// The cheapest choice, if one was found.
    pub(in crate::planner) best: Option<Choice>,
}

/// An order of the nodes, and the node of each guest at each moment.
pub(in crate::planner) struct Choice {
    pub(in crate::planner) order: Vec<usize>,
    pub(in crate::planner) at: Vec<(usize, Vec<usize>)>,
}

/// Considers these complete orders, and at most this many choices. None where no balanced end is asked for, or where
/// the cluster is too big.
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
        // Where such an end is impossible, the multipliers grow without limit.
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

/// Where a plan that costs `cost` is known: no plan in one of these complete orders costs less than the result, which
/// is `cost` if everything cheaper is ruled out. Only paths that may be part of something cheaper are considered: at
/// `most` this many of them in all orders, and this many choices. None where there are more paths, or where a balanced
/// end is preferred, which [`cheapest`] considers.
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

/// A bound for every choice in this table, improved until it is above `ceiling` or the choices are used up.
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

/// What all guests cost if they move at every moment. None if sums of costs would not be exact enough.
fn dearest(weights: &[u64], moments: usize) -> Option<u64> {
    let dearest = weights.iter().try_fold(0_u64, |sum, weight| sum.checked_add(weight.checked_mul(moments as u64)?))?;
    (dearest <= MOST_COST).then_some(dearest)
}

/// Every cost is a multiple of this: the next cheaper one is cheaper by this much.
fn unit(weights: &[u64]) -> u64 {
    weights.iter().copied().fold(0, greatest_common_divisor).max(1)
}

fn greatest_common_divisor(one: u64, two: u64) -> u64 {
    if two == 0 { one } else { greatest_common_divisor(two, one % two) }
}
