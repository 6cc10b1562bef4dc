//! Is there anything cheaper? A branch and bound over the paths of every guest (a `Journey` in the code), for small
//! clusters: plans of the small families are checked against it.
//!
//! For each order of the nodes it chooses for every guest where it is while each node is away, and checks memory and
//! meetings at these moments only, not during the moves between them. So it may find what no plan can do, but where it
//! finds nothing cheaper, there is nothing cheaper. It does not use the planner's bounds.

use quorate_core::planner::problem::instance::{Instance, NodeSet};

/// What is known about solutions that cost less than `cost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is none.
    None,
    /// The relaxed problem has one with this cost.
    Relaxed(u64),
    /// Not known: the choices were used up.
    Open,
}

/// The path of a guest in one order: its node at each stage, and what that costs.
#[derive(Clone, Debug)]
struct Journey {
    at: Vec<u8>,
    cost: u64,
}

/// A guest with its paths, cheap ones first.
type Choices = (usize, Vec<Journey>);

struct Search<'a> {
    instance: &'a Instance,
    /// Guests, hard ones first, with their paths, cheap ones first.
    items: Vec<Choices>,
    /// The least that this guest and all after it cost.
    rest: Vec<u64>,
    /// Free memory by stage and node.
    free: Vec<Vec<u64>>,
    /// Memory of this guest and all after it.
    memory: Vec<u64>,
    /// The paths of guests that have been placed, by guest.
    placed: Vec<Option<Vec<u8>>>,
    limit: u64,
    steps: u64,
}

/// Searches for a solution that costs less than `cost`, with at most `steps` choices in all.
pub(super) fn cheaper_than(instance: &Instance, cost: u64, steps: u64) -> Answer {
    let mut left = steps;
    let mut open = false;
    for order in orders(instance) {
        let Some(mut search) = Search::new(instance, &order, cost, left) else { continue };
        match search.go(0, 0) {
            Some(cost) => return Answer::Relaxed(cost),
            None if search.steps == 0 => open = true,
            None => {}
        }
        left = if open { (left / 2).max(steps / 64) } else { search.steps };
    }
    if open { Answer::Open } else { Answer::None }
}

/// Every order of the nodes that are upgraded. `first` and `last` are not set in the families that this is for.
fn orders(instance: &Instance) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for node in instance.with_turn().iter() {
        all = all
            .into_iter()
            .flat_map(|order| (0..=order.len()).map(move |place| [&order[..place], &[node], &order[place..]].concat()))
            .collect();
    }
    all
}

impl<'a> Search<'a> {
    /// None if even the cheapest paths together cost too much, or a guest has no path.
    fn new(instance: &'a Instance, order: &[usize], limit: u64, steps: u64) -> Option<Self> {
        let mut items: Vec<Choices> = Vec::new();
        for number in 0..instance.items.len() {
            let mut journeys = journeys(instance, number, order);
            journeys.sort_by_key(|journey| journey.cost);
            items.push((number, journeys));
        }
        let least: u64 = items.iter().map(|(_, journeys)| journeys.first().map(|one| one.cost)).sum::<Option<u64>>()?;
        let slack = limit.checked_sub(least).filter(|slack| *slack > 0)?;
        for (_, journeys) in &mut items {
            let cheapest = journeys[0].cost;
            journeys.retain(|journey| journey.cost - cheapest < slack);
        }
        items.sort_by_key(|(item, journeys)| {
            (journeys.len() > 4, std::cmp::Reverse(instance.items[*item].memory_bytes), *item)
        });
        let suffix = |of: &dyn Fn(&Choices) -> u64| {
            let mut sums = vec![0; items.len() + 1];
            for (place, item) in items.iter().enumerate().rev() {
                sums[place] = sums[place + 1] + of(item);
            }
            sums
        };
        let rest = suffix(&|(_, journeys)| journeys[0].cost);
        let memory = suffix(&|(item, _)| instance.items[*item].memory_bytes);
        let capacity = |away: &usize| -> Vec<u64> {
            let places = instance.places.iter().enumerate();
            places.map(|(node, place)| if node == *away { 0 } else { place.capacity_bytes }).collect()
        };
        let free = order.iter().map(capacity).collect();
        let placed = vec![None; instance.items.len()];
        Some(Self { instance, items, rest, free, memory, placed, limit, steps })
    }

    /// The cost of a solution, with this guest and all after it still to place, and `cost` for those before.
    fn go(&mut self, place: usize, cost: u64) -> Option<u64> {
        if place == self.items.len() {
            return Some(cost);
        }
        if self.free.iter().any(|nodes| nodes.iter().sum::<u64>() < self.memory[place]) {
            return None;
        }
        let item = self.items[place].0;
        let bytes = self.instance.items[item].memory_bytes;
        for number in 0..self.items[place].1.len() {
            let journey = &self.items[place].1[number];
            let total = cost + journey.cost;
            if self.steps == 0 || total + self.rest[place + 1] >= self.limit {
                return None;
            }
            self.steps -= 1;
            let at = journey.at.clone();
            let fits = at.iter().zip(&self.free).all(|(node, free)| free[usize::from(*node)] >= bytes);
            let meets = |other: &usize| {
                self.placed[*other].as_ref().is_some_and(|there| there.iter().zip(&at).any(|(one, two)| one == two))
            };
            if !fits || self.instance.items[item].apart.iter().any(meets) {
                continue;
            }
            self.take(&at, bytes, false);
            self.placed[item] = Some(at.clone());
            let found = self.go(place + 1, total);
            self.placed[item] = None;
            self.take(&at, bytes, true);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn take(&mut self, at: &[u8], bytes: u64, give_back: bool) {
        for (node, free) in at.iter().zip(&mut self.free) {
            let free = &mut free[usize::from(*node)];
            *free = if give_back { *free + bytes } else { *free - bytes };
        }
    }
}

/// Every path of a guest that keeps to its allowed nodes and never goes to an older release.
fn journeys(instance: &Instance, number: usize, order: &[usize]) -> Vec<Journey> {
    let item = &instance.items[number];
    let mut all = vec![Journey { at: Vec::new(), cost: 0 }];
    let mut new = instance.ready();
    for away in order {
        let mut longer = Vec::new();
        for journey in &all {
            let from = journey.at.last().map_or(item.home, |node| usize::from(*node));
            for to in item.allowed.with(item.home).without(*away).iter() {
                let backward = item.forward_only && new.has(from) && !new.has(to);
                if to != from && (backward || !item.allowed.has(to)) {
                    continue;
                }
                let mut at = journey.at.clone();
                at.push(to as u8);
                longer.push(Journey { at, cost: journey.cost + if to == from { 0 } else { item.cost } });
            }
        }
        all = longer;
        new = NodeSet::with(new, *away);
    }
    all
}

#[cfg(test)]
mod tests {
    use quorate_core::planner::problem::instance::{Item, Place, Release};

    use super::*;

    /// Two nodes of 10, a guest of 4 on each: the first one's guest moves there and back, the other one's once.
    #[test]
    fn the_optimum_of_two_nodes_is_three_moves_and_nothing_is_cheaper() {
        let place =
            Place { capacity_bytes: 10, has_turn: true, after: Release { qemu: 1, pve: 1 }, ..Place::default() };
        let item = |home| Item { memory_bytes: 4, cost: 5, home, allowed: NodeSet::first(2), ..Item::default() };
        let mut instance = Instance { places: vec![place; 2], items: vec![item(0), item(1)], ..Instance::default() };
        assert_eq!(cheaper_than(&instance, 15, 1000), Answer::None);
        assert_eq!(cheaper_than(&instance, 16, 1000), Answer::Relaxed(15));
        assert_eq!(cheaper_than(&instance, 16, 1), Answer::Open);
        instance.places[0].capacity_bytes = 7;
        assert_eq!(cheaper_than(&instance, 1000, 1000), Answer::None, "they never fit on one node");
    }
}
