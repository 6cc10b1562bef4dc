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
pub(super) mod rows;
mod stride;

use super::board::Board;
use super::instance::{Instance, Move, Solution, Turn};
use prices::Table;
use rows::Row;

/// Most journeys that an item may have: three nodes have 81, most of which are not allowed.
const MOST_JOURNEYS: usize = 300;

/// Most items.
const MOST_ITEMS: usize = 40;

/// The most that all of them may cost if they move at every moment: sums of prices are exact enough up to here.
const MOST_COST: u64 = 1 << 53;

/// Choices that are looked at in all for a plan: a tenth of a second, where a gap is left for so long.
pub(super) const MOST_CHOICES: u64 = 300_000;

/// The same for a bound in moves or bytes alone, which no plan is looked for by.
pub(super) const FEW_CHOICES: u64 = 60_000;

/// Ways to have placed the first items that are kept, one width after the other until nothing is left open.
const WIDTHS: [usize; 4] = [60, 1000, 10_000, 100_000];

/// One item: where it is at each moment, and how often it moves for that.
pub(super) struct Journey {
    pub(super) at: Vec<usize>,
    pub(super) moves: u64,
}

/// Whether an item may move before its node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    Yes,
    /// Only to leave a node that goes down: far fewer journeys, among which there is a way more often than not.
    No,
}

/// What is known of the cheapest choice of journeys.
pub(super) struct Found {
    /// No plan that meets the wish costs less.
    pub(super) least: u64,
    /// The cheapest choice, if one was found.
    pub(super) best: Option<Choice>,
}

/// An order of the nodes, and each item with where it is at each moment.
pub(super) struct Choice {
    pub(super) order: Vec<usize>,
    pub(super) at: Vec<(usize, Vec<usize>)>,
}

/// Looks at these whole orders, and at so many choices at most. None where nothing is asked of the end, or the cluster is too big for it.
pub(super) fn cheapest(
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
pub(super) fn least_beside(
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

/// Every journey of an item that keeps to its nodes and to the releases, with so many moves at most.
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

/// The moves of a choice, turn by turn, each as soon as it fits; what never fits is left out.
pub(super) fn as_moves(instance: &Instance, choice: &Choice) -> Solution {
    let mut board = Board::new(instance);
    let mut solution = Solution::default();
    let last = choice.order.len();
    for (moment, node) in choice.order.iter().enumerate() {
        board.leaving = Some(*node);
        let moves = all_that_fit(&mut board, choice, moment);
        board.upgraded = board.upgraded.with(*node);
        board.leaving = None;
        let back = if moment + 1 == last { all_that_fit(&mut board, choice, last) } else { Vec::new() };
        solution.turns.push(Turn { node: *node, moves, back });
    }
    solution.cost = board.cost;
    solution
}

fn all_that_fit(board: &mut Board<'_>, choice: &Choice, moment: usize) -> Vec<Move> {
    board.moves.clear();
    let mut gone = true;
    while gone {
        gone = false;
        for (item, at) in &choice.at {
            if board.at[*item] != at[moment] && board.fits(*item, at[moment]) {
                board.go(*item, at[moment]);
                gone = true;
            }
        }
    }
    std::mem::take(&mut board.moves)
}
