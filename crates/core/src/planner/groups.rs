//! What keeping guests apart forces to travel once more, for one order of a few nodes.
//!
//! Each guest of a group by itself may have a journey with the fewest moves, and all of them together may not: then one
//! of them moves once more. Looked at are the moments when a node is away; what happens between them is left out, so
//! this stays a bound.

use super::instance::{Instance, NodeSet, Release};

/// Bigger groups are not looked at.
const MOST_IN_A_GROUP: usize = 5;

/// Choices that one group may take; with more, nothing is said.
const STEPS: u32 = 100_000;

/// Where an item is while the first, the second, ... node is away.
type Journey = Vec<usize>;

/// The groups of a puzzle: items that are bound to each other by what they must not meet.
#[derive(Debug)]
pub(super) struct Groups(Vec<Vec<usize>>);

impl Groups {
    pub(super) fn new(instance: &Instance) -> Self {
        let mut seen = vec![false; instance.items.len()];
        let mut groups = Vec::new();
        for start in 0..instance.items.len() {
            if seen[start] || instance.items[start].apart.is_empty() {
                continue;
            }
            let (mut group, mut next) = (Vec::new(), vec![start]);
            seen[start] = true;
            while let Some(item) = next.pop() {
                group.push(item);
                for other in &instance.items[item].apart {
                    if !std::mem::replace(&mut seen[*other], true) {
                        next.push(*other);
                    }
                }
            }
            group.sort_unstable();
            if group.len() <= MOST_IN_A_GROUP {
                groups.push(group);
            }
        }
        Self(groups)
    }

    /// The least that all groups together cost beyond what their items cost one by one.
    pub(super) fn extra(&self, instance: &Instance, order: &[usize], weights: &[u64]) -> u64 {
        let one = |group: &Vec<usize>| -> u64 {
            let journeys: Vec<Vec<Journey>> = group.iter().map(|item| journeys(instance, *item, order)).collect();
            let mut steps = STEPS;
            let wishes = group.iter().any(|item| instance.items[*item].ends.is_some());
            match wishes || fit(instance, group, &journeys, &mut Vec::new(), &mut steps) {
                true => 0,
                false => group.iter().map(|item| weights[*item]).min().unwrap_or(0),
            }
        };
        self.0.iter().map(one).sum()
    }
}

/// Do all have a journey on which no two meet that must not? True as well if it takes too long to tell.
fn fit<'a>(
    instance: &Instance,
    group: &[usize],
    journeys: &'a [Vec<Journey>],
    chosen: &mut Vec<&'a Journey>,
    steps: &mut u32,
) -> bool {
    let place = chosen.len();
    if place == group.len() {
        return true;
    }
    let apart = &instance.items[group[place]].apart;
    for journey in &journeys[place] {
        *steps = steps.saturating_sub(1);
        if *steps == 0 {
            return true;
        }
        let meets = chosen
            .iter()
            .zip(group)
            .any(|(other, item)| apart.contains(item) && other.iter().zip(journey).any(|(here, there)| here == there));
        if !meets {
            chosen.push(journey);
            if fit(instance, group, journeys, chosen, steps) {
                return true;
            }
            chosen.pop();
        }
    }
    false
}

/// Every journey of an item with the fewest moves that this order lets it have.
fn journeys(instance: &Instance, item: usize, order: &[usize]) -> Vec<Journey> {
    let spec = &instance.items[item];
    let mut before = instance.ready();
    for node in order.iter().take_while(|node| **node != spec.home) {
        before = before.with(*node);
    }
    let fewest = match (instance.places[spec.home].has_turn, spec.allowed.and(before).is_empty()) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    };
    let mut all: Vec<(Journey, u32)> = vec![(Vec::new(), 0)];
    let mut new = instance.ready();
    for away in order {
        let mut longer = Vec::new();
        for (journey, moves) in &all {
            let from = journey.last().copied().unwrap_or(spec.home);
            if from != *away {
                longer.push(([journey.as_slice(), &[from]].concat(), *moves));
            }
            for to in targets(spec.allowed, from, *away).filter(|_| *moves < fewest) {
                if !spec.forward_only || release(instance, new, to).takes_from(release(instance, new, from)) {
                    longer.push(([journey.as_slice(), &[to]].concat(), moves + 1));
                }
            }
        }
        all = longer;
        new = new.with(*away);
    }
    all.into_iter().map(|(journey, _)| journey).collect()
}

/// What is installed on a node once these are upgraded.
fn release(instance: &Instance, new: NodeSet, node: usize) -> Release {
    let place = &instance.places[node];
    if new.has(node) && place.has_turn { place.after } else { place.before }
}

fn targets(allowed: NodeSet, from: usize, away: usize) -> impl Iterator<Item = usize> {
    allowed.without(from).without(away).iter()
}
