//! Turns a snapshot into the placement problem: which nodes are upgraded, what moves and how, what stays.
//!
//! Anything that matters and cannot be read is a reason why there is no plan. A guest that does not have to move and
//! whose targets cannot be determined counts as immovable: it keeps its memory, and nothing is planned for it.

use std::collections::BTreeMap;

use crate::ids::{GuestId, NodeName, StorageId};
use crate::placement::{footprint_bytes, map_faults, plannable_bytes, stands_for, usable_cpus};
use crate::plan::Reason;
use crate::policy::{End, Policy};
use crate::snapshot::{Guest, Node, Snapshot};
use crate::steps::Step;

use super::instance::{Instance, Place};
use super::reader::Reader;
use super::releases::Ranks;
use super::{Ongoing, Problem, has_turn, needs, node_of};

/// More than the memory of any node or the free space of any storage, and small enough that the sums of a whole cluster
/// do not overflow.
const MOST_ON_A_NODE: u64 = 1 << 56;

/// Reads the snapshot.
///
/// # Errors
/// Everything that is missing or in the way, all at once.
pub(in crate::planner) fn read<'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    ongoing: &'a Ongoing,
) -> Result<Problem<'a>, Vec<Reason>> {
    let mut reasons = needs::of_cluster(snapshot, ongoing);
    reasons.extend(snapshot.nodes.values().flat_map(|node| needs::of_node(snapshot, node, ongoing)));
    let Some(ha) = snapshot.ha.known().filter(|_| reasons.is_empty()) else { return Err(reasons) };
    let names: Vec<NodeName> = snapshot.nodes.keys().cloned().collect();
    let number = snapshot.nodes.keys().enumerate().map(|(number, name)| (name, number)).collect();
    let ranks = Ranks::of(snapshot);
    let storages: Vec<StorageId> = snapshot.storages.known().into_iter().flat_map(|all| all.keys().cloned()).collect();
    let place = |node| {
        let place = place(snapshot, node, policy, &ranks, &storages);
        // Whatever is pending, a drain leaves it so.
        let after = if ongoing.drain.is_some() { place.before } else { place.after };
        Place { has_turn: has_turn(snapshot, node, ongoing), after, ..place }
    };
    let places = snapshot.nodes.values().map(place).collect();
    let mut reader = Reader {
        snapshot,
        policy,
        ha,
        to_undo: &ongoing.to_undo,
        homes: &ongoing.homes,
        begun: ongoing.current_node.iter().cloned().chain(ongoing.to_undo.iter().filter_map(node_of)).collect(),
        to_start: ongoing.to_undo.iter().filter_map(Step::starts_in_place).collect(),
        half_way: ongoing.to_undo.iter().filter_map(Step::starts_moved).collect(),
        number,
        names,
        places,
        storages,
        ranks,
        reasons,
        candidates: BTreeMap::new(),
        stay: BTreeMap::new(),
        shut_down: BTreeMap::new(),
        hibernate: BTreeMap::new(),
    };
    let back = ongoing.drain.as_ref().filter(|drain| drain.given_back).map(|drain| &drain.node);
    let may_move = |guest: &&Guest| !guest.template || policy.moves_stopped(guest);
    for guest in snapshot.guests.values().filter(may_move) {
        match back {
            Some(node) if guest.node == *node => reader.guest_of_a_node_given_back(guest),
            _ => reader.guest(guest),
        }
    }
    reader.finish()
}

fn place(snapshot: &Snapshot, node: &Node, policy: &Policy, ranks: &Ranks, storages: &[StorageId]) -> Place {
    let free = |storage: &StorageId| {
        let here = stands_for(snapshot.storages.known()?, policy, storage, &node.name);
        node.storages.known()?.get(here).map(|state| state.free_bytes.min(MOST_ON_A_NODE))
    };
    Place {
        capacity_bytes: node.memory.known().map_or(0, |memory| plannable_bytes(memory, policy).min(MOST_ON_A_NODE)),
        cpus: policy.cpu_limit_percent.zip(node.cpu.known()).map(|(percent, cpu)| usable_cpus(cpu, percent)),
        fixed_bytes: 0,
        disk_free_bytes: storages.iter().map(|storage| free(storage).unwrap_or(0)).collect(),
        has_turn: false,
        before: ranks.before(node),
        after: ranks.after(node),
    }
}

impl<'a> Reader<'a> {
    fn finish(mut self) -> Result<Problem<'a>, Vec<Reason>> {
        self.reasons.extend(needs::of_order(self.policy, self.snapshot));
        self.reasons.extend(needs::of_processors(self.policy, self.snapshot));
        self.reasons.extend(map_faults(self.snapshot, self.policy).into_iter().map(Reason::StorageMap));
        for (guest, node) in &self.stay {
            let bytes = self.snapshot.guests.get(guest).map_or(0, footprint_bytes);
            let cpus = self.snapshot.guests.get(guest).map_or(0, |guest| u64::from(guest.cpus));
            self.places[*node].keep(bytes, cpus);
        }
        let groups = self.groups();
        let mut problem = Problem {
            snapshot: self.snapshot,
            policy: self.policy,
            names: std::mem::take(&mut self.names),
            instance: Instance::default(),
            movers: Vec::new(),
            refusals: Vec::new(),
            shut_down: std::mem::take(&mut self.shut_down),
            hibernate: std::mem::take(&mut self.hibernate),
            half_way: std::mem::take(&mut self.half_way),
        };
        let mut item_of: BTreeMap<GuestId, usize> = BTreeMap::new();
        for group in groups {
            self.merge(&group, &mut problem, &mut item_of);
        }
        self.keep_apart(&mut problem, &item_of);
        problem.instance.places = std::mem::take(&mut self.places);
        let numbers = |names: &[NodeName]| names.iter().filter_map(|name| self.number.get(name).copied()).collect();
        let first = self.begun.iter().chain(&self.policy.spare).chain(&self.policy.first).cloned();
        problem.instance.first = numbers(&first.collect::<Vec<_>>());
        problem.instance.last = numbers(&self.policy.last_nodes(self.snapshot));
        let balanced = self.policy.end == End::Balanced;
        problem.instance.spread = balanced.then(|| u64::from(self.policy.balance_points) * 10);
        problem.instance.overlap = self.policy.overlap;
        if self.reasons.is_empty() { Ok(problem) } else { Err(self.reasons) }
    }
}
