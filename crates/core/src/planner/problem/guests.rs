//! Whether a guest moves, stays or is shut down: where it may be, what it needs there, and what its move costs.

use std::collections::BTreeMap;

use crate::ids::{GuestId, GuestKind, NodeName, StorageId};
use crate::placement::{
    Obstacle, as_stopped, disk_bytes, disks_by_storage, footprint_bytes, moves_with_disks, obstacle_here,
    obstacle_there, state_place,
};
use crate::plan::{Bond, Hindrance, Missing, Reason};
use crate::policy::{GuestPolicy, StoppedGuests};
use crate::snapshot::{AffinityRule, Guest, GuestStatus, HaRequest, HaServiceState};
use crate::steps::MoveMode;
use crate::version::Version;

use super::instance::{Item, NodeSet};
use super::reader::{Candidate, Reader};
use super::{Mover, managed};
use crate::planner::cost::{PER_MOVE, PER_RESTART};

/// More than any guest has, and small enough that the sums of a whole cluster do not overflow.
const MOST_BYTES: u64 = 1 << 46;

impl Reader<'_> {
    pub(super) fn guest(&mut self, guest: &Guest) {
        let Some(home) = self.number.get(&guest.node).copied() else {
            self.reasons.push(Reason::Unknown(Missing::Home(guest.id, guest.node.clone())));
            return;
        };
        if self.to_start.contains(&guest.id) && guest.status.is(&GuestStatus::Stopped) {
            // It is started again on this node, and its memory stays reserved.
            self.stay.insert(guest.id, home);
            return;
        }
        let must_leave = self.places[home].has_turn;
        let half_way = self.half_way.contains(&guest.id) && guest.status.is(&GuestStatus::Stopped);
        if half_way && guest.id.kind == GuestKind::Vm {
            let on = self.offline(guest, home).ok().filter(|_| must_leave);
            match on {
                Some(candidate) => drop(self.candidates.insert(guest.id, candidate)),
                None => drop(self.stay.insert(guest.id, home)),
            }
            return;
        }
        let reason = match guest.status.read() {
            Err(why) => Some(Reason::Unknown(Missing::Status(guest.id, why.clone()))),
            // A container is started where it is, and then moves as it would have.
            Ok(GuestStatus::Stopped) if half_way => self.running(guest, home),
            Ok(GuestStatus::Stopped) => return self.stopped(guest, home),
            Ok(GuestStatus::Running | GuestStatus::Paused) => self.running(guest, home),
        };
        if let Some(reason) = reason {
            self.stay.insert(guest.id, home);
            if must_leave {
                self.reasons.push(reason);
            }
        }
    }

    /// What runs on a node that was drained and given back stays there, and so does what is started there.
    pub(super) fn guest_of_a_node_given_back(&mut self, guest: &Guest) {
        let stays = guest.may_be_running() || self.to_start.contains(&guest.id);
        if let Some(home) = self.number.get(&guest.node).copied().filter(|_| stays) {
            self.stay.insert(guest.id, home);
        }
    }

    /// A running or paused guest: it moves, or is to be shut down, or there is a reason why neither is possible.
    fn running(&mut self, guest: &Guest, home: usize) -> Option<Reason> {
        let immovable = |bond| Some(Reason::Immovable(guest.id, guest.node.clone(), bond));
        let service = managed(self.ha, guest.id);
        if let Some(service) = service
            .filter(|service| service.state != Some(HaServiceState::Started) || service.request != HaRequest::Started)
        {
            return immovable(Bond::Ha(service.state, service.request));
        }
        let bond = match self.candidate(guest, home, mode(guest, service.is_some())) {
            Ok(candidate) if !candidate.spec.allowed.without(home).is_empty() || self.names.len() == 1 => {
                self.candidates.insert(guest.id, candidate);
                return None;
            }
            Ok(candidate) => self.bound_everywhere(candidate),
            Err(Obstacle::Unknown(why)) => return Some(Reason::Unknown(Missing::Targets(guest.id, why))),
            Err(Obstacle::No(why)) => Bond::Here(why),
        };
        if guest.status.is(&GuestStatus::Running) && self.policy.allows(guest, GuestPolicy::Shutdown) {
            self.stay.insert(guest.id, home);
            self.shut_down.entry(home).or_default().push(guest.id);
            return None;
        }
        if guest.status.is(&GuestStatus::Running) && self.policy.allows(guest, GuestPolicy::Hibernate) {
            return match self.hibernates(guest, home) {
                Ok(()) => None,
                Err(Obstacle::Unknown(why)) => Some(Reason::Unknown(Missing::Targets(guest.id, why))),
                Err(Obstacle::No(why)) => immovable(Bond::NorHibernate(Box::new(bond), why)),
            };
        }
        if guest.status.is(&GuestStatus::Running) && self.policy.allows(guest, GuestPolicy::Offline) {
            return match self.offline(guest, home) {
                Ok(candidate) => {
                    self.candidates.insert(guest.id, candidate);
                    None
                }
                Err(stopped) => immovable(Bond::EvenStopped(Box::new(bond), Box::new(stopped))),
            };
        }
        immovable(bond)
    }

    /// It hibernates while its node is upgraded, beside the others of this node that do.
    fn hibernates(&mut self, guest: &Guest, home: usize) -> Result<(), Obstacle> {
        let others = self.shut_down.get(&home).into_iter().flatten().filter_map(|id| self.hibernate.get(id));
        let taken = |storage: &StorageId| {
            others
                .clone()
                .filter(|place| place.storage == *storage)
                .map(|place| place.bytes)
                .fold(0, u64::saturating_add)
        };
        let place = state_place(self.snapshot, guest, taken)?;
        self.hibernate.insert(guest.id, place);
        self.stay.insert(guest.id, home);
        self.shut_down.entry(home).or_default().push(guest.id);
        Ok(())
    }

    /// No node takes it: for each node the reason.
    fn bound_everywhere(&self, candidate: Candidate) -> Bond {
        let each = candidate.refusals.into_iter().map(|(node, why)| (self.names[node].clone(), why));
        Bond::Everywhere(each.collect())
    }

    /// A stopped guest moves if the operator wants it to and nothing is in the way; otherwise it stays.
    fn stopped(&mut self, guest: &Guest, home: usize) {
        let has_turn = self.places[home].has_turn;
        if managed(self.ha, guest.id).is_some() {
            return;
        }
        let began = self.began(guest.id, home);
        let comes_home = self.policy.stopped_guests == StoppedGuests::Usable;
        let wanted = self.policy.moves_stopped(guest) && (has_turn || (comes_home && began != home));
        let mut candidate = self.candidate(guest, home, MoveMode::Offline).ok().filter(|_| wanted);
        if let Some(candidate) = candidate.as_mut().filter(|_| comes_home) {
            candidate.spec.ends = Some(NodeSet::EMPTY.with(began));
        }
        if let Some(candidate) = candidate.filter(|candidate| !candidate.spec.allowed.without(home).is_empty()) {
            self.candidates.insert(guest.id, candidate);
        } else if has_turn && guest.onboot.is(&true) {
            // PVE starts it when its node has booted: its memory is kept free for it.
            self.places[home].keep(footprint_bytes(guest).min(MOST_BYTES), u64::from(guest.cpus));
        }
    }

    /// The guest as one that is shut down for its move, or why that is not possible.
    fn offline(&self, guest: &Guest, home: usize) -> Result<Candidate, Bond> {
        let candidate =
            self.candidate(guest, home, MoveMode::Offline).map_err(|why| Bond::Here(why.text().to_owned()))?;
        if candidate.spec.allowed.without(home).is_empty() {
            Err(self.bound_everywhere(candidate))
        } else {
            Ok(candidate)
        }
    }

    fn candidate(&self, guest: &Guest, home: usize, mode: MoveMode) -> Result<Candidate, Obstacle> {
        let runs = guest.may_be_running() || self.half_way.contains(&guest.id);
        let stopped = (mode == MoveMode::Offline).then(|| as_stopped(guest));
        let guest = stopped.as_ref().unwrap_or(guest);
        obstacle_here(guest, self.policy)?;
        let mut refusals = BTreeMap::new();
        // A guest that is outside its strict rule now may leave this node, but not come back to it.
        let may_return = self.strict_rule(guest.id, &guest.node).is_none();
        let mut allowed = if may_return { NodeSet::EMPTY.with(home) } else { NodeSet::EMPTY };
        for (number, node) in self.snapshot.nodes.values().enumerate().filter(|(number, _)| *number != home) {
            let obstacle = obstacle_there(self.snapshot, self.policy, guest, node).err();
            let why = obstacle.map(|obstacle| Hindrance::Obstacle(obstacle.text().to_owned()));
            match why.or_else(|| self.strict_rule(guest.id, &node.name)) {
                None => allowed = allowed.with(number),
                Some(why) => drop(refusals.insert(number, why)),
            }
        }
        let facts = guest.migration.known();
        let disks = facts.map_or(0, disk_bytes);
        let live_vm = runs && guest.id.kind == GuestKind::Vm && mode != MoveMode::Offline;
        let memory = if live_vm { guest.memory_bytes } else { 0 };
        let bytes = disks.saturating_add(memory).min(MOST_BYTES);
        let restart = if runs && !live_vm { PER_RESTART } else { 0 };
        let machine = facts.and_then(|facts| facts.running_machine.as_deref()).filter(|_| live_vm);
        let by_storage = facts.map(disks_by_storage).unwrap_or_default();
        // Storages that take each other's place count as one.
        let number =
            |storage: &StorageId| self.storages.binary_search(self.policy.one_name(storage)).unwrap_or(usize::MAX);
        let disks = by_storage.iter().map(|(storage, bytes)| (number(storage), (*bytes).min(MOST_BYTES))).collect();
        let spec = Item {
            disks,
            memory_bytes: if runs { footprint_bytes(guest).min(MOST_BYTES) } else { 0 },
            cpus: if runs { u64::from(guest.cpus) } else { 0 },
            cost: bytes + PER_MOVE + restart,
            home,
            allowed,
            ends: self.ends(guest.id, home, allowed),
            apart: Vec::new(),
            forward_only: live_vm,
            least_qemu: machine.and_then(machine_version).map_or(0, |version| self.ranks.least_qemu(&version)),
        };
        Ok(Candidate { mover: Mover { guest: guest.id, mode, bytes }, spec, refusals })
    }

    /// A rule that forbids a node outright.
    fn strict_rule(&self, guest: GuestId, node: &NodeName) -> Option<Hindrance> {
        let forbids = |rule: &&AffinityRule| {
            matches!(rule, AffinityRule::Node(rule)
                if rule.strict && rule.guests.contains(&guest) && !rule.nodes.contains_key(node))
        };
        match self.ha.rules.iter().find(forbids)? {
            AffinityRule::Node(rule) => Some(Hindrance::Rule(rule.id.clone())),
            AffinityRule::Resource(_) => None,
        }
    }
}

/// `9.2` from `pc-q35-9.2+pve1`.
fn machine_version(machine: &str) -> Option<Version> {
    let version = machine.rsplit('-').next()?.split('+').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| Version::new(version))
}

/// How a running guest is migrated.
fn mode(guest: &Guest, managed: bool) -> MoveMode {
    match (managed, guest.id.kind, guest.migration.known().is_some_and(moves_with_disks)) {
        (true, _, _) => MoveMode::Ha,
        (false, GuestKind::Ct, _) => MoveMode::Restart,
        (false, GuestKind::Vm, true) => MoveMode::LiveWithDisks,
        (false, GuestKind::Vm, false) => MoveMode::Live,
    }
}
