//! Groups a sequence of moves into stages: guests of one stage may be migrated at the same time.
//!
//! Within a stage no move may count on what another one of that stage frees: until the stage has ended, a guest counts
//! on its source and on its target, for memory and for rules that keep guests apart.

use crate::planner::problem::instance::{Instance, Move};

/// The migration of one guest of a move; `mover` is its number among guests that must stay together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    pub(super) step: Move,
    pub(super) mover: usize,
}

/// Where every guest is between the stages of a whole plan.
#[derive(Clone, Debug)]
pub(super) struct Stages<'a> {
    instance: &'a Instance,
    at: Vec<usize>,
    load: Vec<u64>,
    cpus: Vec<u64>,
    disk_free: Vec<Vec<u64>>,
    /// Moves that have begun in this stage.
    moving: Vec<Move>,
    legs: Vec<Leg>,
    done: Vec<Vec<Leg>>,
}

impl<'a> Stages<'a> {
    pub(super) fn new(instance: &'a Instance) -> Self {
        let (mut load, mut cpus) = (vec![0; instance.places.len()], vec![0; instance.places.len()]);
        for item in &instance.items {
            load[item.home] += item.memory_bytes;
            cpus[item.home] += item.cpus;
        }
        let at = instance.items.iter().map(|item| item.home).collect();
        let disk_free = instance.places.iter().map(|place| place.disk_free_bytes.clone()).collect();
        Self { instance, at, load, cpus, disk_free, moving: Vec::new(), legs: Vec::new(), done: Vec::new() }
    }

    /// The stages of one node step. `guests` returns how many guests move together in a move.
    pub(super) fn of_turn(
        &mut self,
        moves: &[Move],
        parallel: usize,
        guests: impl Fn(usize) -> usize,
    ) -> Vec<Vec<Leg>> {
        let parallel = parallel.max(1);
        for step in moves {
            let count = guests(step.item);
            let too_many = !self.legs.is_empty() && self.legs.len() + count > parallel;
            if too_many || !self.can_begin(*step) {
                self.close();
            }
            self.moving.push(*step);
            for mover in 0..count {
                if self.legs.len() == parallel {
                    // Guests that stay together, but more than may run at once: all of them still count on both ends.
                    self.done.push(std::mem::take(&mut self.legs));
                }
                self.legs.push(Leg { step: *step, mover });
            }
        }
        self.close();
        std::mem::take(&mut self.done)
    }

    /// Does it fit beside everything that moves in this stage?
    fn can_begin(&self, step: Move) -> bool {
        let item = &self.instance.items[step.item];
        let coming = self.moving.iter().filter(|other| other.to == step.to);
        let arriving: u64 = coming.clone().map(|other| self.instance.items[other.item].memory_bytes).sum();
        let taken = self.load[step.to].saturating_add(arriving).saturating_add(item.memory_bytes);
        let fits = item.memory_bytes == 0 || taken <= self.instance.places[step.to].capacity_bytes;
        let cpus = self.cpus[step.to]
            + item.cpus
            + coming.clone().map(|other| self.instance.items[other.item].cpus).sum::<u64>();
        let fits = fits && self.instance.places[step.to].cpus.is_none_or(|limit| cpus <= limit);
        let met = item
            .apart
            .iter()
            .any(|other| self.at[*other] == step.to || coming.clone().any(|moving| moving.item == *other));
        let disks = item.disks.iter().all(|(storage, bytes)| {
            let others = coming.clone().flat_map(|moving| &self.instance.items[moving.item].disks);
            let arriving = others.filter(|(other, _)| other == storage).map(|(_, bytes)| bytes).sum::<u64>();
            let free = self.disk_free[step.to].get(*storage).copied().unwrap_or(0);
            free >= arriving.saturating_add(*bytes)
        });
        fits && disks && !met && self.at[step.item] == step.from
    }

    fn close(&mut self) {
        for step in self.moving.drain(..) {
            let bytes = self.instance.items[step.item].memory_bytes;
            self.load[step.from] -= bytes;
            self.load[step.to] += bytes;
            let cpus = self.instance.items[step.item].cpus;
            self.cpus[step.from] -= cpus;
            self.cpus[step.to] += cpus;
            self.at[step.item] = step.to;
            for (storage, bytes) in &self.instance.items[step.item].disks {
                if let Some(free) = self.disk_free[step.from].get_mut(*storage) {
                    *free = free.saturating_add(*bytes);
                }
                if let Some(free) = self.disk_free[step.to].get_mut(*storage) {
                    *free = free.saturating_sub(*bytes);
                }
            }
        }
        if !self.legs.is_empty() {
            self.done.push(std::mem::take(&mut self.legs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::problem::instance::{Item, NodeSet, Place};

    /// One guest goes to the node that another leaves. In how many stages?
    fn stages(change: impl FnOnce(&mut Instance)) -> usize {
        let place = Place { capacity_bytes: 100, disk_free_bytes: vec![100], has_turn: true, ..Place::default() };
        let item = |home| Item { memory_bytes: 10, home, allowed: NodeSet::first(3), ..Item::default() };
        let mut instance = Instance { places: vec![place; 3], items: vec![item(0), item(1)], ..Instance::default() };
        change(&mut instance);
        let moves = [Move { item: 1, from: 1, to: 2 }, Move { item: 0, from: 0, to: 1 }];
        Stages::new(&instance).of_turn(&moves, 4, |_| 1).len()
    }

    #[test]
    fn a_guest_that_needs_what_another_frees_waits_until_that_one_has_left() {
        assert_eq!(stages(|_| {}), 1);
        assert_eq!(stages(|instance| instance.places[1].capacity_bytes = 15), 2, "memory");
        let processors = |instance: &mut Instance| {
            instance.items.iter_mut().for_each(|item| item.cpus = 4);
            instance.places[1].cpus = Some(7);
        };
        assert_eq!(stages(processors), 2, "processors");
        let disks = |instance: &mut Instance| {
            instance.items.iter_mut().for_each(|item| item.disks = vec![(0, 10)]);
            instance.places[1].disk_free_bytes = vec![5];
        };
        assert_eq!(stages(disks), 2, "disks");
        let apart = |instance: &mut Instance| {
            instance.items[0].apart = vec![1];
            instance.items[1].apart = vec![0];
        };
        assert_eq!(stages(apart), 2, "apart");
    }
}
