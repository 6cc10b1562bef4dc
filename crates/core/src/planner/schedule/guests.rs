//! The steps for guests: their moves and what goes with them: ejecting an image and putting it back, stopping and
//! starting a guest that cannot move while it runs, shutting down a guest that stays.

use std::collections::BTreeMap;

use crate::ids::{GuestId, GuestKind, NodeName, StorageId};
use crate::placement::mapped;
use crate::plan::{MoveWhy, StepWhy};
use crate::planner::cost::{HA_ROUNDS_S, RESTART_S, migration_s, offline_s};
use crate::planner::problem::ends::{pulled_at_the_end, pulled_to};
use crate::planner::problem::instance::Move;
use crate::planner::problem::{managed, media};
use crate::policy::{ConsentKind, End};
use crate::snapshot::SUSPENDED;
use crate::steps::{
    EjectMedia, Failback, HibernateGuest, InsertMedia, Migrate, MoveMode, ShutdownGuest, StartGuest, StartMoved, Step,
    StopToMove, set,
};

use super::staging::{Leg, Stages};
use super::writer::{Draft, Writer};

impl Writer<'_> {
    /// What has to be done before guests move.
    pub(super) fn prepare(&mut self, draft: &mut Draft, moves: &[Move]) {
        draft.next_stage();
        for step in moves {
            for mover in &self.problem.movers[step.item] {
                if self.is_pulled(mover.guest) && self.held.insert(mover.guest) {
                    self.add(draft, set(Failback { guest: mover.guest }), StepWhy::HaPullsBack, None);
                }
                self.eject(draft, mover.guest);
            }
        }
    }

    /// Would HA move it by itself after one of our moves?
    fn is_pulled(&self, guest: GuestId) -> bool {
        self.ha.is_some_and(|ha| pulled_to(ha, guest, &self.problem.names).is_some())
    }

    /// Storages of its disks that are others on the target.
    fn mapped(&self, guest: GuestId, from: &NodeName, to: &NodeName) -> BTreeMap<StorageId, StorageId> {
        let facts = self.problem.snapshot.guests.get(&guest).and_then(|guest| guest.migration.known());
        let both = facts.zip(self.problem.snapshot.storages.known());
        both.map(|(facts, storages)| mapped(storages, self.problem.policy, facts, from, to)).unwrap_or_default()
    }

    fn is_firewalled(&self, guest: GuestId) -> bool {
        let guest = self.problem.snapshot.guests.get(&guest);
        guest.and_then(|guest| guest.migration.known()).is_some_and(|facts| facts.firewalled)
    }

    fn eject(&mut self, draft: &mut Draft, id: GuestId) {
        let Some(guest) = self.problem.snapshot.guests.get(&id) else { return };
        let media = media(guest, self.problem.policy);
        if media.is_empty() || !self.ejected.insert(id) {
            return;
        }
        let images = guest.migration.known().map(|facts| &facts.images_on);
        for (drive, volid) in media {
            let mut lies_on = images.and_then(|images| images.get(&volid)).cloned().unwrap_or_default();
            lies_on.insert(guest.node.clone());
            let step = EjectMedia { guest: id, node: guest.node.clone(), drive, volid, lies_on };
            let back = step.back();
            self.add(draft, step, StepWhy::ImageOnNode, None);
            self.to_undo.push(back.into());
        }
        // Whether it is put back is known at the end of the plan.
        self.consents.insert((ConsentKind::EjectMedia, id), (0, String::new()));
    }

    pub(super) fn mode(&mut self, draft: &mut Draft, leaving: Option<usize>, moves: &[Move], stages: &mut Stages<'_>) {
        let parallel = self.problem.policy.parallel();
        for stage in stages.of_turn(moves, parallel, |item| self.problem.movers[item].len()) {
            draft.next_stage();
            let stops = |leg: &Leg| {
                self.problem.movers[leg.step.item].get(leg.mover).is_some_and(|mover| self.problem.stops_to_move(mover))
            };
            let (stopped, running): (Vec<Leg>, Vec<Leg>) = stage.into_iter().partition(stops);
            for leg in running {
                self.leg(draft, leaving, leg);
            }
            for leg in stopped {
                self.offline_leg(draft, leaving, leg);
            }
        }
    }

    fn leg(&mut self, draft: &mut Draft, leaving: Option<usize>, leg: Leg) {
        let Move { item, from, to } = leg.step;
        let Some(mover) = self.problem.movers[item].get(leg.mover) else { return };
        let why = self.leg_why(leaving, leg.step, mover.guest);
        let why = match mover.mode == MoveMode::Ha && self.is_firewalled(mover.guest) {
            true => StepWhy::MoveWithoutConnections(why),
            false => StepWhy::Move(why),
        };
        let estimate = migration_s(mover.bytes, mover.mode == MoveMode::Ha, self.problem.policy);
        self.costs.moves += 1;
        self.costs.bytes = self.costs.bytes.saturating_add(mover.bytes);
        let (from, to) = (self.name(from).clone(), self.name(to).clone());
        self.at.insert(mover.guest, to.clone());
        let (storages, mode) = (self.mapped(mover.guest, &from, &to), mover.mode);
        self.add(draft, Migrate { guest: mover.guest, from, to, mode, storages }, why, Some(estimate));
        if mover.guest.kind == GuestKind::Ct && mover.mode != MoveMode::Offline {
            // Local volumes are copied while it is down, and with HA the rounds of its manager and agents lie between
            // the stop here and the start there.
            let rounds_s = if mover.mode == MoveMode::Ha { HA_ROUNDS_S } else { 0 };
            let down = RESTART_S + rounds_s + mover.bytes.div_ceil(self.problem.policy.migration_bytes_per_s.max(1));
            let what = format!("{} is restarted on another node", mover.guest);
            self.down(draft, mover.guest, down, ConsentKind::RestartContainers, what);
        }
    }

    /// Stop, move and start with nothing in between: one guest at a time, so that none waits for another.
    fn offline_leg(&mut self, draft: &mut Draft, leaving: Option<usize>, leg: Leg) {
        let Some(mover) = self.problem.movers[leg.step.item].get(leg.mover) else { return };
        let (guest, bytes) = (mover.guest, mover.bytes);
        let managed = self.ha.is_some_and(|ha| managed(ha, guest).is_some());
        let node = self.name(leg.step.from).clone();
        let (stop, start) = (Step::from(StopToMove { guest, node }), Step::from(StartMoved { guest }));
        let (stop_s, down_s) = offline_s(bytes, managed, self.problem.policy);
        let start_s = down_s.saturating_sub(stop_s + migration_s(bytes, managed, self.problem.policy));
        draft.next_stage();
        self.add(draft, stop, StepWhy::MovesStopped, Some(stop_s));
        let to = self.name(leg.step.to);
        let what = format!("{guest} is shut down, moved to {to} and started there");
        self.down(draft, guest, down_s, ConsentKind::MoveOffline, what);
        draft.next_stage();
        self.leg(draft, leaving, leg);
        draft.next_stage();
        self.add(draft, start, StepWhy::Undo, Some(start_s));
    }

    pub(super) fn shut_down(&mut self, draft: &mut Draft, node: usize, name: &NodeName) {
        draft.next_stage();
        for guest in self.problem.shut_down.get(&node).into_iter().flatten() {
            let node = name.clone();
            match self.problem.hibernate.get(guest).map(|place| place.storage.clone()) {
                None => self.add(draft, ShutdownGuest { guest: *guest, node }, StepWhy::StaysDown, None),
                Some(storage) => {
                    let estimate = HibernateGuest::ESTIMATE_S + self.memory_s(*guest);
                    let step = HibernateGuest { guest: *guest, node, storage };
                    self.add(draft, step, StepWhy::Hibernates, Some(estimate));
                }
            }
            self.to_undo.push(StartGuest { guest: *guest, node: name.clone() }.into());
        }
    }

    /// Does this guest hibernate while its node is upgraded, or does it already?
    pub(super) fn hibernates(&self, guest: GuestId) -> bool {
        let seen = self.problem.snapshot.guests.get(&guest);
        let lock = seen.and_then(|guest| guest.lock.known()).and_then(Option::as_ref);
        self.problem.hibernate.contains_key(&guest) || lock.is_some_and(|lock| lock.0 == SUSPENDED)
    }

    /// Seconds to write a guest's memory to a storage, or to read it.
    pub(super) fn memory_s(&self, guest: GuestId) -> u64 {
        let bytes = self.problem.snapshot.guests.get(&guest).map_or(0, |guest| guest.memory_bytes);
        bytes.div_ceil(self.problem.policy.migration_bytes_per_s.max(1))
    }

    /// Guests that were stopped for their move and will not be moved stopped are started first, not at the end.
    pub(super) fn start_half_way(&mut self, draft: &mut Draft) {
        if !self.node_steps.is_empty() {
            return;
        }
        let movers = || self.problem.movers.iter().flatten();
        let goes_on = |guest| movers().any(|mover| mover.guest == guest && self.problem.stops_to_move(mover));
        let starts = |step: &&Step| step.starts_moved().is_some_and(|guest| !goes_on(guest));
        let left: Vec<Step> = self.to_undo.iter().filter(starts).cloned().collect();
        for step in left {
            self.alone(draft, step, StepWhy::Undo);
        }
    }
    /// Puts ejected images back, and names those for which that is not possible.
    pub(super) fn put_back(&mut self, draft: &mut Draft) {
        let back: Vec<InsertMedia> = self.to_undo.iter().filter_map(Step::puts_back).cloned().collect();
        for step in back {
            let here = self.problem.snapshot.guests.get(&step.guest).map(|guest| &guest.node);
            let Some(node) = self.at.get(&step.guest).or(here).cloned() else { continue };
            let InsertMedia { guest, drive, volid, .. } = &step;
            let (what, why) = match step.out_of_reach(&node) {
                None => (
                    format!("{volid} is ejected from {drive} of {guest} and put back at the end"),
                    StepWhy::ImagePutBack,
                ),
                Some(_) => (
                    format!("{volid} is ejected from {drive} of {guest} and NOT put back: {node} does not have it"),
                    StepWhy::ImageOutOfReach(node.clone()),
                ),
            };
            if let Some((_, told)) = self.consents.get_mut(&(ConsentKind::EjectMedia, *guest)) {
                *told = if told.is_empty() { what } else { format!("{told}; {what}") };
            }
            self.add(draft, step, why, None);
        }
    }

    /// Why a guest moves this way.
    fn leg_why(&self, leaving: Option<usize>, step: Move, guest: GuestId) -> MoveWhy {
        let Move { item, from, to } = step;
        let ends = self.problem.instance.items[item].ends;
        match (leaving == Some(from), self.upgraded.contains(&to)) {
            _ if leaving.is_none() && ends.is_some_and(|ends| ends.has(to)) => self.why_there(guest),
            _ if leaving.is_none() && self.problem.instance.spread.is_some() => MoveWhy::Balance,
            (true, _) if self.ongoing.drain.is_some() => MoveWhy::Leaves,
            (true, true) => MoveWhy::Once,
            (true, false) if self.nowhere_yet(item) => MoveWhy::NoneUpgraded,
            (true, false) => MoveWhy::NoRoomYet,
            (false, true) => MoveWhy::MakesRoomOnce,
            (false, false) => MoveWhy::MakesRoom,
        }
    }

    /// Why a guest should be where it ends.
    fn why_there(&self, guest: GuestId) -> MoveWhy {
        let ha_wants = self
            .ha
            .is_some_and(|ha| pulled_at_the_end(ha, guest, &self.problem.names, &self.ongoing.to_undo).is_some());
        match self.problem.policy.end {
            End::Anywhere | End::Balanced if ha_wants => MoveWhy::HaPrefers,
            _ => MoveWhy::Belongs,
        }
    }

    /// Is no node upgraded yet that this guest may be on?
    fn nowhere_yet(&self, item: usize) -> bool {
        let item = &self.problem.instance.items[item];
        !item.lands().without(item.home).iter().any(|node| self.upgraded.contains(&node))
    }
}
