//! Where there is no plan: for each kind of relaxation, the smallest single one that makes a plan possible.
//!
//! Each is checked by solving the problem again with it. There are few tries for each, so one that would help can be
//! missed; one that is named does help.

use crate::placement::plannable_bytes;
use crate::plan;
use crate::planner::order::search::{for_tries, solve};
use crate::planner::problem::Problem;
use crate::planner::problem::instance::{Instance, NodeSet, StuckItem};
use crate::policy::Policy;

/// Tries for each check, at least.
const TRIES: usize = 12;

/// Tries for each check of a small cluster, and what decides which one is small: guests placed.
const MOST_TRIES: usize = 400;
const PLACEMENTS: usize = 2400;

/// Guests times checks that all of this may take: a person is waiting for it.
const WORK: usize = 400_000;

/// Guests that are tried as the one to shut down, small ones first.
const MOST_SHUT_DOWN: usize = 24;

/// Guests that are shut down together, at most.
const MOST_TOGETHER: usize = 8;

/// Memory is freed in steps of this size.
pub(in crate::planner) const STEP: u64 = 1 << 29;

/// A requirement that is relaxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::planner) enum Relaxation {
    /// These are down while their node is upgraded.
    ShutDown(Vec<usize>),
    /// This many more bytes on a node.
    Free(usize, u64),
    /// These two need not be apart.
    Relax(usize, usize),
    /// This guest may be on one more node.
    Allow(usize, usize),
    /// Less headroom: the percentage, and how many bytes that gives each node.
    Headroom(u8, Vec<u64>),
}

impl Relaxation {
    /// The placement problem with it.
    pub(in crate::planner) fn apply(&self, instance: &mut Instance) {
        match self {
            Self::ShutDown(items) => items.iter().for_each(|item| shut_down(instance, *item)),
            Self::Free(node, bytes) => {
                let place = &mut instance.places[*node];
                place.capacity_bytes = place.capacity_bytes.saturating_add(*bytes);
            }
            Self::Relax(one, other) => {
                instance.items[*one].apart.retain(|apart| apart != other);
                instance.items[*other].apart.retain(|apart| apart != one);
            }
            Self::Allow(item, node) => {
                let item = &mut instance.items[*item];
                item.allowed = item.allowed.with(*node);
            }
            Self::Headroom(_, more) => instance.places.iter_mut().zip(more).for_each(|(place, more)| {
                place.capacity_bytes = place.capacity_bytes.saturating_add(*more);
            }),
        }
    }

    /// The same with names.
    pub(super) fn named(self, problem: &Problem<'_>) -> plan::Relaxation {
        let guests = |item: usize| problem.guests_of(item);
        match self {
            Self::ShutDown(items) => {
                let sized = |item: usize| (guests(item), problem.instance.items[item].memory_bytes);
                plan::Relaxation::ShutDown(items.into_iter().map(sized).collect())
            }
            Self::Free(node, bytes) => plan::Relaxation::Free(problem.names[node].clone(), bytes),
            Self::Relax(one, other) => plan::Relaxation::Together(guests(one), guests(other)),
            Self::Allow(item, node) => {
                let now = problem.refusals[item].get(&node).cloned();
                plan::Relaxation::Allow(guests(item), problem.names[node].clone(), now)
            }
            Self::Headroom(percent, _) => plan::Relaxation::Headroom(problem.policy.headroom_percent.min(100), percent),
        }
    }
}

/// The guest is started again on the same node, so its memory stays reserved there.
fn shut_down(instance: &mut Instance, item: usize) {
    let (home, bytes) = (instance.items[item].home, instance.items[item].memory_bytes);
    let place = &mut instance.places[home];
    place.capacity_bytes = place.capacity_bytes.saturating_sub(bytes);
    let nodes = instance.places.len();
    let spec = &mut instance.items[item];
    (spec.memory_bytes, spec.cpus, spec.least_qemu, spec.forward_only) = (0, 0, 0, false);
    (spec.allowed, spec.ends) = (NodeSet::first(nodes), None);
    spec.apart.clear();
    instance.items.iter_mut().for_each(|other| other.apart.retain(|apart| *apart != item));
}

struct Trial<'a> {
    problem: &'a Problem<'a>,
    checks_left: usize,
}

impl Trial<'_> {
    /// Would there be a plan with this relaxation?
    fn would_do(&mut self, relaxation: &Relaxation) -> bool {
        if self.checks_left == 0 {
            return false;
        }
        self.checks_left -= 1;
        let mut instance = self.problem.instance.clone();
        relaxation.apply(&mut instance);
        // Where there is little to place, more tries cost next to nothing, and less is missed.
        let tries = (PLACEMENTS / instance.items.len().max(1)).clamp(TRIES, MOST_TRIES);
        solve(&instance, for_tries(tries), |_| {}).is_ok()
    }

    /// One guest is down while its node is upgraded: the smallest that is enough. Otherwise several of the guests on
    /// the stuck guest's node.
    fn shut_down(&mut self, stuck: &StuckItem) -> Option<Relaxation> {
        let items = &self.problem.instance.items;
        let mut candidates: Vec<usize> = (0..items.len()).filter(|item| items[*item].memory_bytes > 0).collect();
        candidates.sort_by_key(|item| (items[*item].memory_bytes, *item));
        // A guest much smaller than the stuck one is not tried: it would not free enough.
        candidates
            .retain(|item| *item == stuck.item || items[*item].memory_bytes * 8 >= items[stuck.item].memory_bytes);
        candidates.truncate(MOST_SHUT_DOWN);
        let single = candidates.into_iter().map(|item| Relaxation::ShutDown(vec![item]));
        for relaxation in single {
            if self.would_do(&relaxation) {
                return Some(relaxation);
            }
        }
        self.shut_down_several(stuck)
    }

    /// The biggest guests of the node, as many as it takes; then those that turn out not to be needed are left out.
    fn shut_down_several(&mut self, stuck: &StuckItem) -> Option<Relaxation> {
        let items = &self.problem.instance.items;
        let mut big: Vec<usize> = (0..items.len()).filter(|item| items[*item].home == stuck.node).collect();
        big.sort_by_key(|item| (std::cmp::Reverse(items[*item].memory_bytes), *item));
        let enough = (2..=big.len().min(MOST_TOGETHER)).find(|count| {
            let some = Relaxation::ShutDown(big[..*count].to_vec());
            self.would_do(&some)
        })?;
        let mut needed = big[..enough].to_vec();
        for item in big[..enough].iter().copied() {
            let without: Vec<usize> = needed.iter().copied().filter(|other| *other != item).collect();
            if self.would_do(&Relaxation::ShutDown(without.clone())) {
                needed = without;
            }
        }
        Some(Relaxation::ShutDown(needed))
    }

    /// The least additional memory on one node that is enough, on whichever node.
    fn free_memory(&mut self, stuck: &StuckItem) -> Option<Relaxation> {
        let most = self.problem.instance.items[stuck.item].memory_bytes.div_ceil(STEP);
        let mut best: Option<(u64, usize)> = None;
        for node in (0..self.problem.names.len()).filter(|node| *node != stuck.node) {
            let more = |steps: u64| Relaxation::Free(node, steps * STEP);
            let (mut too_few, mut enough) = (0, best.map_or(most, |(steps, _)| steps.saturating_sub(1)));
            if enough == 0 || !self.would_do(&more(enough)) {
                continue;
            }
            while enough - too_few > 1 {
                let middle = too_few + (enough - too_few) / 2;
                if self.would_do(&more(middle)) { enough = middle } else { too_few = middle }
            }
            best = Some((enough, node));
        }
        best.map(|(steps, node)| Relaxation::Free(node, steps * STEP))
    }

    /// One pair of guests that need not be apart.
    fn relax(&mut self, stuck: &StuckItem) -> Option<Relaxation> {
        let apart = self.problem.instance.items[stuck.item].apart.clone();
        apart.into_iter().map(|other| Relaxation::Relax(stuck.item, other)).find(|pair| self.would_do(pair))
    }

    /// One more node for the stuck guest.
    fn allow(&mut self, stuck: &StuckItem) -> Option<Relaxation> {
        let refusals = &self.problem.refusals[stuck.item];
        refusals.keys().map(|node| Relaxation::Allow(stuck.item, *node)).find(|node| self.would_do(node))
    }

    /// Less headroom, in whole percent.
    fn headroom(&mut self) -> Option<Relaxation> {
        let now = self.problem.policy.headroom_percent.min(100);
        let problem = self.problem;
        let with = |percent: u8| {
            let policy = Policy { headroom_percent: percent, ..problem.policy.clone() };
            let more = |node: &crate::snapshot::Node| {
                let memory = node.memory.known()?;
                Some(
                    plannable_bytes(memory, &policy)
                        - plannable_bytes(memory, problem.policy).min(plannable_bytes(memory, &policy)),
                )
            };
            let more = problem.snapshot.nodes.values().map(|node| more(node).unwrap_or(0)).collect();
            Relaxation::Headroom(percent, more)
        };
        (0..now).rev().map(with).find(|less| self.would_do(less))
    }
}

/// One relaxation of each kind, where one was found.
pub(in crate::planner) fn relaxations(problem: &Problem<'_>, stuck: &StuckItem) -> Vec<Relaxation> {
    let work = problem.instance.items.len().max(1) * TRIES;
    let mut trial = Trial { problem, checks_left: WORK / work };
    let all =
        [trial.shut_down(stuck), trial.free_memory(stuck), trial.relax(stuck), trial.allow(stuck), trial.headroom()];
    all.into_iter().flatten().collect()
}
