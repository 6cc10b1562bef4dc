//! A guest is migrated to another node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, Move, OnGuest, OnNode, Profile, StartGuest, StartMoved, StepKind, StepStatus, MoveMode, Undo, Why};
use super::support::{all_guests_seen, helper, node, node_mut};
use super::why::read;
use crate::command::{Command, Method};
use crate::ids::{GuestId, GuestKind, NodeName, StorageId};
use crate::observed::Observed;
use crate::policy::{ConsentKind, Deadlines};
use crate::snapshot::{Guest, GuestStatus, HaNodeState, HaRequest, HaServiceState, LocalGuest, MigrationFacts, Snapshot, TargetRefusal};

/// Moves one guest from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrate {
    /// The guest.
    pub guest: GuestId,
    /// Where it is.
    pub from: NodeName,
    /// Where it goes.
    pub to: NodeName,
    /// The kind of migration.
    pub mode: MoveMode,
    /// Storages of its disks that are others on the target, as pairs of before and after.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storages: BTreeMap<StorageId, StorageId>,
}

impl Migrate {
    /// Seconds that it takes besides transferring data: start on the target, hand-over, clean-up. Small guests took 21 to
    /// 27 s on a PVE 9.1 cluster, from the order to the look that saw them there.
    pub const ESTIMATE_S: u64 = 20;

    fn step(&self) -> Move<'_> {
        Move { guest: self.guest, from: &self.from, to: &self.to, mode: self.mode, storages: &self.storages }
    }

    // A release that does not know the parameter refuses the call; PVE's own interface asks both ends as well. HA has
    // no way to pass it on.
    fn takes_connections(&self, snapshot: &Snapshot) -> bool {
        let live = matches!(self.mode, MoveMode::Live | MoveMode::LiveWithDisks);
        let able = |name| snapshot.nodes.get(name).is_some_and(|node| node.moves_connections.is(&true));
        live && able(&self.from) && able(&self.to)
    }

    // A container was shut down and moved, and its start failed.
    fn is_half_done(&self, snapshot: &Snapshot) -> bool {
        self.mode == MoveMode::Restart && self.stands_still(snapshot)
    }

    /// Under way, by the guest's lock, by a task, or by HA's state; the evidence.
    fn under_way(&self, snapshot: &Snapshot, guest: &Guest) -> Option<Why> {
        let mut jobs = snapshot.jobs.known().into_iter().flatten();
        if let Some(job) = jobs.find(|job| job.kind.is_migration() && job.vmid == Some(self.guest.vmid)) {
            return Some(Why::Task(job.upid.clone()));
        }
        if guest.lock.known().and_then(Option::as_ref).is_some_and(|lock| lock.0 == "migrate") {
            return Some(Why::LockedForMigration);
        }
        let service = snapshot.ha_service(self.guest)?;
        matches!(service.state?, HaServiceState::Migrate | HaServiceState::Relocate)
            .then_some(Why::HaMoves)
    }

    fn needs(&self, snapshot: &Snapshot, guest: &Guest) -> Result<(), StepStatus> {
        let blocked = StepStatus::blocked;
        if let Some(lock) = read(&guest.lock).map_err(blocked)? {
            return Err(blocked(Why::Locked(self.guest, lock.0.clone())));
        }
        if !*node(snapshot, &self.to).and_then(|node| read(&node.online)).map_err(blocked)? {
            return Err(blocked(Why::NotOnline(self.to.clone())));
        }
        let facts = read(&guest.migration).map_err(blocked)?;
        let refused = facts.refused.get(&self.to).into_iter().flatten();
        let reasons: Vec<TargetRefusal> = refused.filter_map(|reason| reason.unless_mapped(&self.storages)).collect();
        if !reasons.is_empty() {
            let (node, guest) = (self.to.clone(), self.guest);
            return Err(blocked(Why::TargetRefused { node, guest, reasons }));
        }
        match self.mode {
            MoveMode::Ha => self.ha_needs(snapshot, HaServiceState::Started),
            MoveMode::Offline if is_managed(snapshot, self.guest) => self.ha_needs(snapshot, HaServiceState::Stopped),
            _ => Ok(()),
        }
    }

    /// What is left to do of a restart that stopped half-way.
    fn its_start(&self) -> StartGuest {
        StartGuest { guest: self.guest, node: self.to.clone() }
    }

    /// Is the guest there, and stopped? Its new node itself has to say so: the cluster's list is seconds old.
    fn stands_still(&self, snapshot: &Snapshot) -> bool {
        let arrived = snapshot.guests.get(&self.guest).is_some_and(|guest| guest.node == self.to);
        let local = snapshot.nodes.get(&self.to).and_then(|node| node.local_guests.known());
        let listed = local.into_iter().flatten().find(|listed| listed.vmid == self.guest.vmid);
        arrived && listed.is_some_and(|listed| !listed.running)
    }

    /// A live move ends with a guest that runs: it crashed since, or someone stopped it. HA restarts what crashed;
    /// what it has as stopped, someone stopped. A container that moved by restart is stopped on its way.
    fn was_stopped_there(&self, snapshot: &Snapshot, guest: &Guest) -> bool {
        let for_good = match self.mode {
            MoveMode::Live | MoveMode::LiveWithDisks => true,
            MoveMode::Ha => snapshot.ha_service(self.guest).is_some_and(|it| it.state == Some(HaServiceState::Stopped)),
            MoveMode::Restart | MoveMode::Offline => false,
        };
        for_good && self.stands_still(snapshot) && guest.lock.is(&None)
    }

    fn ha_needs(&self, snapshot: &Snapshot, at_rest: HaServiceState) -> Result<(), StepStatus> {
        let ha = read(&snapshot.ha).map_err(StepStatus::blocked)?;
        let Some(service) = ha.services.get(&self.guest) else {
            return Err(StepStatus::Impossible(Why::NotManaged(self.guest)));
        };
        if service.state != Some(at_rest) {
            return Err(StepStatus::blocked(Why::HaState(self.guest, service.state)));
        }
        // The manager drops a command for a node that is not online, and only its own log says so.
        match ha.nodes.get(&self.to) {
            Some(HaNodeState::Online) => Ok(()),
            state => Err(StepStatus::blocked(Why::HaTarget(self.to.clone(), state.copied()))),
        }
    }

    /// Forecast: its disks are on the storages of their new node.
    fn disks_arrive(&self, facts: &mut MigrationFacts) {
        if self.storages.is_empty() {
            return;
        }
        let there = |id: StorageId| self.storages.get(&id).cloned().unwrap_or(id);
        facts.storages = std::mem::take(&mut facts.storages).into_iter().map(there).collect();
        facts.contents = std::mem::take(&mut facts.contents).into_iter().map(|(id, kinds)| (there(id), kinds)).collect();
        for disk in &mut facts.local_disks {
            if let Some((storage, name)) = disk.volid.split_once(':') {
                disk.volid = format!("{}:{name}", there(StorageId::new(storage)));
            }
        }
        // Which nodes lack its storages is another matter now.
        facts.refused.values_mut().for_each(|why| why.retain(|why| !matches!(why, TargetRefusal::Storages(_))));
    }

    /// The storages of its disks as PVE takes them; none where they keep their names.
    fn target_storage(&self) -> Option<(&'static str, String)> {
        let pairs: Vec<String> = self.storages.iter().map(|(before, after)| format!("{before}:{after}")).collect();
        let key = if self.guest.kind == GuestKind::Vm { "targetstorage" } else { "target-storage" };
        (!pairs.is_empty()).then(|| (key, pairs.join(",")))
    }

    /// Forecast: it is there, in the same state as before.
    fn arrived(&self, snapshot: &mut Snapshot) {
        if self.is_half_done(snapshot) {
            return self.its_start().started(snapshot);
        }
        let Some(guest) = snapshot.guests.get_mut(&self.guest) else { return };
        guest.node = self.to.clone();
        let (name, running) = (guest.name.clone(), guest.may_be_running());
        if let Some(facts) = guest.migration.known_mut() {
            // PVE's refusals are about the old place; the planner asks again on the next full look.
            facts.refused.remove(&self.to);
            self.disks_arrive(facts);
        }
        if let Some(local) = node_mut(snapshot, &self.from).and_then(|node| node.local_guests.known_mut()) {
            local.retain(|listed| listed.vmid != self.guest.vmid);
        }
        if let Some(local) = node_mut(snapshot, &self.to).and_then(|node| node.local_guests.known_mut()) {
            local.push(LocalGuest { kind: self.guest.kind, vmid: self.guest.vmid, running, name });
            local.sort_by_key(|listed| listed.vmid);
        }
        if let Observed::Known(ha) = &mut snapshot.ha
            && let Some(service) = ha.services.get_mut(&self.guest)
        {
            service.node = Some(self.to.clone());
        }
    }
}

/// PVE passes the move of a stopped guest on to HA if HA manages it.
fn is_managed(snapshot: &Snapshot, guest: GuestId) -> bool {
    snapshot.ha_service(guest).is_some_and(|service| service.request != HaRequest::Ignored)
}

impl StepKind for Migrate {
    fn verb(&self) -> &'static str {
        "migrate"
    }

    fn title(&self) -> String {
        let how = match self.mode {
            MoveMode::Live => "live",
            MoveMode::LiveWithDisks => "live, with its local disks",
            MoveMode::Restart => "by restart",
            MoveMode::Offline => "stopped",
            MoveMode::Ha if self.guest.kind == GuestKind::Ct => "by restart, through HA",
            MoveMode::Ha => "live, through HA",
        };
        let pairs = self.storages.iter().map(|(before, after)| format!(", {before} → {after}"));
        format!("migrate {} {} → {}, {how}{}", self.guest, self.from, self.to, pairs.collect::<String>())
    }

    fn profile(&self) -> Profile<'_> {
        let step = self.step();
        Profile {
            about: About::Guest(self.guest),
            class: Class::RiskTaking,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Moves(step),
            consent: step.restarts().then_some(ConsentKind::RestartContainers),
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    // Should the move fail and the start after it too, the container is down, wherever it is.
    fn undo(&self) -> Undo {
        match self.mode {
            MoveMode::Restart => Undo::UnlessDone(StartMoved { guest: self.guest }.into()),
            MoveMode::Live | MoveMode::LiveWithDisks | MoveMode::Offline | MoveMode::Ha => Undo::Nothing,
        }
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let Some(guest) = snapshot.guests.get(&self.guest) else {
            return match all_guests_seen(snapshot) {
                Ok(()) => StepStatus::Impossible(Why::GuestGone(self.guest)),
                Err(why) => StepStatus::blocked(why),
            };
        };
        if let Some(evidence) = self.under_way(snapshot, guest) {
            return StepStatus::Running(evidence);
        }
        let status = match read(&guest.status) {
            Ok(status) => *status,
            Err(why) => return StepStatus::blocked(why),
        };
        let runs = status != GuestStatus::Stopped;
        if guest.node == self.to {
            return match (self.mode, runs) {
                (MoveMode::Offline, _) | (_, true) => StepStatus::Done,
                (MoveMode::Restart, false) if self.is_half_done(snapshot) => match guest.lock.known() {
                    Some(None) => StepStatus::HalfDone,
                    _ => StepStatus::blocked(Why::ArrivedLocked(self.guest)),
                },
                (_, false) if self.was_stopped_there(snapshot, guest) => {
                    StepStatus::Impossible(Why::ArrivedAndStopped(self.guest, self.to.clone()))
                }
                (_, false) => StepStatus::blocked(Why::ArrivedNotRunning(self.guest)),
            };
        }
        if guest.node != self.from {
            return StepStatus::Impossible(Why::GuestElsewhere {
                guest: self.guest,
                is: guest.node.clone(),
                should: self.from.clone(),
            });
        }
        match (self.mode, runs) {
            (MoveMode::Offline, true) => return StepStatus::Impossible(Why::RunsNow(self.guest)),
            (MoveMode::Offline, false) => {}
            (_, false) => return StepStatus::Impossible(Why::StoppedNow(self.guest)),
            (_, true) => {}
        }
        self.needs(snapshot, guest).err().unwrap_or(StepStatus::Ready)
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        if self.is_half_done(snapshot) {
            return self.its_start().command(snapshot);
        }
        let (kind, vmid, to) = (self.guest.kind.api(), self.guest.vmid, self.to.as_str());
        let path = format!("/nodes/{}/{kind}/{vmid}/migrate", self.from);
        let mut params = vec![("target", to)];
        match self.mode {
            MoveMode::Live => params.push(("online", "1")),
            MoveMode::LiveWithDisks => params.extend([("online", "1"), ("with-local-disks", "1")]),
            MoveMode::Restart => params.push(("restart", "1")),
            MoveMode::Offline => {}
            // Not by the API: it would be for any node to carry out, at any time.
            MoveMode::Ha => {
                let (on, sid) = (helper(snapshot, Some(&self.from))?, self.guest.to_string());
                return Some(Command::shell(&on, &["ha-manager", "crm-command", "migrate", &sid, to]));
            }
        }
        if self.takes_connections(snapshot) {
            params.push(("with-conntrack-state", "1"));
        }
        let storages = self.target_storage();
        params.extend(storages.as_ref().map(|(key, pairs)| (*key, pairs.as_str())));
        Some(Command::api(Method::Post, path, &params))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // HA needs up to two rounds of its manager and one of the node's agent before anything can be seen.
        let settle_s = if matches!(self.mode, MoveMode::Ha | MoveMode::Offline) { 60 } else { 15 };
        Limits { deadline_s: deadlines.migration_s, settle_s, attempts: 3 }
    }

    // While it runs: that a guest on its way takes room on both ends is what the rules know as `moving`.
    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.arrived(snapshot)),
            promise: Change::Nothing,
        }
    }
}
