//! Guests placed one after the other, in every way that may still be the cheapest (beam search over partial choices).
//!
//! Two partial choices of the same guests are equivalent if the remaining guests cannot tell them apart: the same
//! memory wherever it can still run out, the same fullness at the end, and the same nodes for guests that others must
//! not meet. Of equivalent ones the cheapest is kept. So guests of one size do not multiply the choices, nor do nodes
//! with room for all. Where more than the width are left, those with the lowest bound are kept, and the bound of the
//! others says what may have been missed.

use std::collections::BTreeMap;

use super::prices::Table;
use super::rows::Row;

/// The result for one order.
pub(super) struct Walked {
    /// The cheapest choice below the ceiling: its cost, and the path of each row.
    pub(super) best: Option<(u64, Vec<u16>)>,
    /// No choice that was left out costs less than this; infinite if none was left out.
    pub(super) left_out: f64,
}

/// A partial choice: paths for the first guests.
struct PartialChoice {
    /// Memory by moment and node, one moment after the other.
    load: Vec<u64>,
    /// The path of each row so far.
    chosen: Vec<u16>,
    cost: u64,
    /// The cost with the multipliers.
    priced: f64,
}

/// Partial choices by what the remaining guests can see of them.
type PartialChoices = BTreeMap<Vec<u64>, PartialChoice>;

/// Searches for choices that cost at most `ceiling`. Each path tried for each partial choice is subtracted from
/// `choices`.
pub(super) fn walk(table: &Table<'_>, ceiling: f64, width: usize, choices: &mut u64) -> Walked {
    let layers = Layers::new(table);
    let load = vec![0; layers.room.len()];
    let mut ways = vec![PartialChoice { load, chosen: Vec::new(), cost: 0, priced: table.constant }];
    let mut left_out = f64::INFINITY;
    for (place, row) in table.rows.iter().enumerate() {
        let rest = layers.rest[place + 1];
        let mut next = PartialChoices::new();
        for way in &ways {
            for number in &layers.ranked[place] {
                let bound = way.priced + row.priced[*number] + rest;
                if bound > ceiling {
                    break;
                }
                if *choices == 0 {
                    return Walked { best: None, left_out: left_out.min(least_of(&ways) + layers.rest[place]) };
                }
                *choices -= 1;
                let Some(load) = layers.load_with(way, row, *number) else { continue };
                let cost = way.cost + row.weight * row.journeys[*number].moves;
                let key = layers.key(way, *number, &load);
                if next.get(&key).is_none_or(|other| cost < other.cost) {
                    let mut chosen = Vec::with_capacity(table.rows.len());
                    chosen.extend_from_slice(&way.chosen);
                    chosen.push(*number as u16);
                    next.insert(key, PartialChoice { load, chosen, cost, priced: way.priced + row.priced[*number] });
                }
            }
            if next.len() > 4 * width {
                left_out = left_out.min(keep_best(&mut next, width) + rest);
            }
        }
        left_out = left_out.min(keep_best(&mut next, width) + rest);
        ways = next.into_values().collect();
    }
    let even = ways.into_iter().filter(|way| way.cost as f64 <= ceiling && layers.is_even(way));
    let best = even.min_by(|one, two| (one.cost, &one.chosen).cmp(&(two.cost, &two.chosen)));
    Walked { best: best.map(|way| (way.cost, way.chosen)), left_out }
}

fn least_of(ways: &[PartialChoice]) -> f64 {
    ways.iter().map(|way| way.priced).fold(f64::INFINITY, f64::min)
}

/// Keeps `width` of them with the lowest bound; returns the best bound of the others.
fn keep_best(ways: &mut PartialChoices, width: usize) -> f64 {
    if ways.len() <= width {
        return f64::INFINITY;
    }
    let mut all: Vec<(Vec<u64>, PartialChoice)> = std::mem::take(ways).into_iter().collect();
    all.sort_by(|(_, one), (_, two)| one.priced.total_cmp(&two.priced));
    let others = all.split_off(width);
    ways.extend(all);
    others.first().map_or(f64::INFINITY, |(_, way)| way.priced)
}

/// What all layers of one order share.
struct Layers<'a> {
    table: &'a Table<'a>,
    /// The least that this row and all after it cost, with the multipliers.
    rest: Vec<f64>,
    /// By row: its paths, cheap ones first.
    ranked: Vec<Vec<usize>>,
    /// Memory that guests may take, by moment and node, one moment after the other; `later` is laid out the same way.
    room: Vec<u64>,
    /// By row: memory that this row and all after it may add.
    later: Vec<Vec<u64>>,
    /// By row: rows before it that it must not meet.
    apart: Vec<Vec<usize>>,
    /// By row: this one and those before it that a later row must not meet.
    watched: Vec<Vec<usize>>,
}

impl<'a> Layers<'a> {
    fn new(table: &'a Table<'a>) -> Self {
        let rows = &table.rows;
        let mut rest = vec![0.0; rows.len() + 1];
        let nodes = table.whole.len();
        let room = table.room.concat();
        let mut later = vec![vec![0_u64; room.len()]; rows.len() + 1];
        for (place, row) in rows.iter().enumerate().rev() {
            rest[place] = rest[place + 1] + row.least();
            later[place] = later[place + 1].clone();
            for (slot, bytes) in later[place].iter_mut().enumerate() {
                if row.journeys.iter().any(|journey| journey.at[slot / nodes] == slot % nodes) {
                    *bytes += table.instance.items[row.item].memory_bytes;
                }
            }
        }
        let ranked = rows.iter().map(|row| {
            let mut ranked: Vec<usize> = (0..row.journeys.len()).collect();
            ranked.sort_by(|one, two| row.priced[*one].total_cmp(&row.priced[*two]));
            ranked
        });
        let meets = |one: usize, two: usize| table.instance.items[rows[one].item].apart.contains(&rows[two].item);
        let apart = |place: usize| (0..place).filter(|other| meets(place, *other)).collect();
        let watched =
            |place: usize| (0..=place).filter(|one| (place + 1..rows.len()).any(|two| meets(two, *one))).collect();
        Self {
            table,
            rest,
            ranked: ranked.collect(),
            room,
            later,
            apart: (0..rows.len()).map(apart).collect(),
            watched: (0..rows.len()).map(watched).collect(),
        }
    }

    /// Memory with one more guest on this path; none where it has no room, meets a guest that it must not meet, or the
    /// end can no longer be balanced.
    fn load_with(&self, way: &PartialChoice, row: &Row, number: usize) -> Option<Vec<u64>> {
        let (place, nodes) = (way.chosen.len(), self.table.whole.len());
        let at = &row.journeys[number].at;
        let bytes = self.table.instance.items[row.item].memory_bytes;
        let slots = || at.iter().enumerate().map(|(moment, node)| moment * nodes + node);
        let there = |other: usize| &self.table.rows[other].journeys[usize::from(way.chosen[other])].at;
        let meets = |other: &usize| there(*other).iter().zip(at).any(|(one, two)| one == two);
        if slots().any(|slot| way.load[slot] + bytes > self.room[slot]) || self.apart[place].iter().any(meets) {
            return None;
        }
        let mut load = way.load.clone();
        slots().for_each(|slot| load[slot] += bytes);
        let end = self.room.len() - nodes;
        let may_have = load[end..].iter().zip(&self.later[place + 1][end..]).map(|(load, later)| load + later);
        let too_empty = may_have.zip(&self.table.floor).any(|(most, floor)| most < *floor);
        (!too_empty).then_some(load)
    }

    /// What the remaining guests can see of a partial choice with one more guest on this path.
    fn key(&self, way: &PartialChoice, number: usize, load: &[u64]) -> Vec<u64> {
        let place = way.chosen.len();
        let end = self.room.len() - self.table.whole.len();
        let even = self.table.instance.spread.is_some();
        let seen = |slot: usize| (even && slot >= end) || load[slot] + self.later[place + 1][slot] > self.room[slot];
        let journey = |row: &usize| way.chosen.get(*row).map_or(number as u64, |journey| u64::from(*journey));
        let mut key = Vec::with_capacity(load.len() + self.watched[place].len());
        key.extend((0..load.len()).map(|slot| if seen(slot) { load[slot] } else { 0 }));
        key.extend(self.watched[place].iter().map(journey));
        key
    }

    fn is_even(&self, way: &PartialChoice) -> bool {
        let load = &way.load[way.load.len() - self.table.whole.len()..];
        let full = |node: usize| {
            let place = &self.table.instance.places[node];
            let taken = u128::from(load[node]) + u128::from(place.fixed_bytes);
            taken * 1000 / (u128::from(place.capacity_bytes) + u128::from(place.fixed_bytes)).max(1)
        };
        let (most, least) =
            (0..load.len()).map(full).fold((0, u128::MAX), |(most, least), full| (most.max(full), least.min(full)));
        most - least <= u128::from(self.table.instance.spread.unwrap_or(u64::MAX))
    }
}
