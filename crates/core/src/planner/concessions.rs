//! Where there is no plan: the smallest single concession of each kind that would make one possible.
//!
//! Each is checked by solving the puzzle again with it. Few tries each, so a concession that would do can be missed; one
//! that is named does.

use crate::policy::Policy;

use super::findings::gib;
use super::instance::{Instance, StuckItem};
use super::problem::Problem;
use super::search::{for_tries, solve};

/// Tries for each check.
const TRIES: usize = 12;

/// Items times checks that all of this may take: a person waits for it.
const WORK: usize = 400_000;

/// Guests that are tried as the one to be shut down, small ones first.
const MOST_SHUT_DOWN: usize = 24;

/// What memory is freed in.
const STEP: u64 = 1 << 29;

struct Trial<'a> {
    problem: &'a Problem<'a>,
    checks_left: usize,
}

impl Trial<'_> {
    /// Would there be a plan with this change?
    fn would_do(&mut self, change: impl FnOnce(&mut Instance)) -> bool {
        if self.checks_left == 0 {
            return false;
        }
        self.checks_left -= 1;
        let mut instance = self.problem.instance.clone();
        change(&mut instance);
        solve(&instance, for_tries(TRIES), |_| {}).is_ok()
    }

    fn name(&self, item: usize) -> String {
        let guests: Vec<String> = self.problem.movers[item].iter().map(|mover| mover.guest.to_string()).collect();
        guests.join(" with ")
    }

    /// One guest is down while its node is upgraded: the smallest that is enough.
    fn shut_down(&mut self, stuck: &StuckItem) -> Option<String> {
        let items = &self.problem.instance.items;
        let mut candidates: Vec<usize> = (0..items.len()).filter(|item| items[*item].memory_bytes > 0).collect();
        candidates.sort_by_key(|item| (items[*item].memory_bytes, *item));
        // Small ones do not help if not even the stuck one does, or one of its size.
        candidates
            .retain(|item| *item == stuck.item || items[*item].memory_bytes * 8 >= items[stuck.item].memory_bytes);
        candidates.truncate(MOST_SHUT_DOWN);
        let down = |item: usize| {
            move |instance: &mut Instance| {
                let (home, bytes) = (instance.items[item].home, instance.items[item].memory_bytes);
                // It comes back where it is, so its memory stays taken there.
                let place = &mut instance.places[home];
                place.capacity_bytes = place.capacity_bytes.saturating_sub(bytes);
                let nodes = instance.places.len();
                let spec = &mut instance.items[item];
                (spec.memory_bytes, spec.least_qemu, spec.forward_only) = (0, 0, false);
                spec.allowed = super::instance::NodeSet::first(nodes);
                spec.apart.clear();
                instance.items.iter_mut().for_each(|other| other.apart.retain(|apart| *apart != item));
            }
        };
        let item = candidates.into_iter().find(|item| self.would_do(down(*item)))?;
        let (guest, bytes) = (self.name(item), gib(self.problem.instance.items[item].memory_bytes));
        Some(format!("shut {guest} ({bytes}) down for the upgrade of its node"))
    }

    /// So much memory more on one node: the least, on whichever node.
    fn free_memory(&mut self, stuck: &StuckItem) -> Option<String> {
        let most = self.problem.instance.items[stuck.item].memory_bytes.div_ceil(STEP);
        let mut best: Option<(u64, usize)> = None;
        for node in (0..self.problem.names.len()).filter(|node| *node != stuck.node) {
            let more = |steps: u64| move |instance: &mut Instance| instance.places[node].capacity_bytes += steps * STEP;
            let (mut too_few, mut enough) = (0, best.map_or(most, |(steps, _)| steps.saturating_sub(1)));
            if enough == 0 || !self.would_do(more(enough)) {
                continue;
            }
            while enough - too_few > 1 {
                let middle = too_few + (enough - too_few) / 2;
                if self.would_do(more(middle)) { enough = middle } else { too_few = middle }
            }
            best = Some((enough, node));
        }
        best.map(|(steps, node)| format!("free {} on {}", gib(steps * STEP), self.problem.names[node]))
    }

    /// One pair that need not be apart.
    fn relax(&mut self, stuck: &StuckItem) -> Option<String> {
        let apart = self.problem.instance.items[stuck.item].apart.clone();
        let other = apart.into_iter().find(|other| {
            self.would_do(|instance| {
                instance.items[stuck.item].apart.retain(|apart| apart != other);
                instance.items[*other].apart.retain(|apart| *apart != stuck.item);
            })
        })?;
        Some(format!("lift the rule that keeps {} and {} apart", self.name(stuck.item), self.name(other)))
    }

    /// One node more for the stuck guest.
    fn allow(&mut self, stuck: &StuckItem) -> Option<String> {
        let refusals = &self.problem.refusals[stuck.item];
        let (node, why) = refusals.iter().find(|(node, _)| {
            self.would_do(|instance| {
                let allowed = instance.items[stuck.item].allowed;
                instance.items[stuck.item].allowed = allowed.with(**node);
            })
        })?;
        Some(format!("let {} run on {} (now: {why})", self.name(stuck.item), self.problem.names[*node]))
    }

    /// Less headroom, in whole percent.
    fn headroom(&mut self) -> Option<String> {
        let now = self.problem.policy.headroom_percent.min(100);
        let with = |problem: &Problem<'_>, percent: u8| {
            let policy = Policy { headroom_percent: percent, ..problem.policy.clone() };
            let more = |node: &crate::snapshot::Node| {
                let memory = node.memory.known()?;
                let usable = crate::placement::usable_bytes;
                Some(usable(memory, &policy) - usable(memory, problem.policy).min(usable(memory, &policy)))
            };
            let more: Vec<u64> = problem.snapshot.nodes.values().map(|node| more(node).unwrap_or(0)).collect();
            move |instance: &mut Instance| {
                instance.places.iter_mut().zip(more).for_each(|(place, more)| place.capacity_bytes += more);
            }
        };
        let problem = self.problem;
        let percent = (0..now).rev().find(|percent| self.would_do(with(problem, *percent)))?;
        Some(format!("lower headroom-percent from {now} to {percent}"))
    }
}

/// One concession of each kind, if there is one.
pub(super) fn concessions(problem: &Problem<'_>, stuck: &StuckItem) -> Vec<String> {
    let work = problem.instance.items.len().max(1) * TRIES;
    let mut trial = Trial { problem, checks_left: WORK / work };
    let all =
        [trial.shut_down(stuck), trial.free_memory(stuck), trial.relax(stuck), trial.allow(stuck), trial.headroom()];
    all.into_iter().flatten().collect()
}
