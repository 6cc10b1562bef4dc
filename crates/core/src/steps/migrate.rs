//! A guest is moved to another node.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StartGuest, StartMoved, Step, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::{Guest, GuestStatus, HaNodeState, HaRequest, HaServiceState, LocalGuest, Snapshot};

/// How a guest travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Travel {
    /// A running VM, without a stop.
    Live,
    /// A running VM, without a stop, and its local disks with it.
    LiveWithDisks,
    /// A running container: shut down, moved, started.
    Restart,
    /// Whatever is stopped.
    Offline,
    /// Through the HA manager, which picks the way: VMs live, containers by restart.
    Ha,
}

/// Moves one guest from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrate {
    /// The guest.
    pub guest: GuestId,
    /// Where it is.
    pub from: NodeName,
    /// Where it goes.
    pub to: NodeName,
    /// How.
    pub travel: Travel,
}

impl Migrate {
    /// Does the guest stop on its way and start again by the same order?
    pub fn restarts(&self) -> bool {
        match self.travel {
            Travel::Restart => true,
            Travel::Ha => self.guest.kind == GuestKind::Ct,
            Travel::Live | Travel::LiveWithDisks | Travel::Offline => false,
        }
    }

    /// Under way, by the guest's lock, by a task, or by HA's state; the evidence.
    fn under_way(&self, snapshot: &Snapshot, guest: &Guest) -> Option<String> {
        let mut jobs = snapshot.jobs.known().into_iter().flatten();
        if let Some(job) = jobs.find(|job| job.kind.is_migration() && job.vmid == Some(self.guest.vmid)) {
            return Some(format!("task {}", job.upid));
        }
        if guest.lock.known().and_then(Option::as_ref).is_some_and(|lock| lock.0 == "migrate") {
            return Some("its configuration is locked for a migration".to_owned());
        }
        let service = snapshot.ha_service(self.guest)?;
        matches!(service.state?, HaServiceState::Migrate | HaServiceState::Relocate)
            .then(|| "the HA manager is moving it".to_owned())
    }

    fn needs(&self, snapshot: &Snapshot, guest: &Guest) -> Result<(), StepStatus> {
        let blocked = |why: String| StepStatus::Blocked(vec![why]);
        if let Some(lock) = super::read(&guest.lock).map_err(blocked)? {
            return Err(blocked(format!("{} is locked ({})", self.guest, lock.0)));
        }
        if !*super::node(snapshot, &self.to).and_then(|node| super::read(&node.online)).map_err(blocked)? {
            return Err(blocked(format!("{} is not online", self.to)));
        }
        let facts = super::read(&guest.migration).map_err(blocked)?;
        if let Some(reasons) = facts.refused.get(&self.to).filter(|reasons| !reasons.is_empty()) {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            return Err(blocked(format!("PVE refuses {} as target of {}: {}", self.to, self.guest, reasons.join("; "))));
        }
        match self.travel {
            Travel::Ha => self.ha_needs(snapshot, HaServiceState::Started),
            Travel::Offline if is_managed(snapshot, self.guest) => self.ha_needs(snapshot, HaServiceState::Stopped),
            _ => Ok(()),
        }
    }

    /// What is left of a restart that stopped half way.
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

    /// A live move ends with a guest that runs: it crashed since, or somebody stopped it. HA starts again what crashed;
    /// what it has as stopped, somebody stopped. A container that moved by restart is stopped on its way.
    fn was_stopped_there(&self, snapshot: &Snapshot, guest: &Guest) -> bool {
        let for_good = match self.travel {
            Travel::Live | Travel::LiveWithDisks => true,
            Travel::Ha => snapshot.ha_service(self.guest).is_some_and(|it| it.state == Some(HaServiceState::Stopped)),
            Travel::Restart | Travel::Offline => false,
        };
        for_good && self.stands_still(snapshot) && guest.lock.is(&None)
    }

    fn ha_needs(&self, snapshot: &Snapshot, at_rest: HaServiceState) -> Result<(), StepStatus> {
        let ha = super::read(&snapshot.ha).map_err(|why| StepStatus::Blocked(vec![why]))?;
        let Some(service) = ha.services.get(&self.guest) else {
            return Err(StepStatus::Impossible(format!("{} is not managed by HA any more", self.guest)));
        };
        if service.state != Some(at_rest) {
            return Err(StepStatus::Blocked(vec![format!("HA has {} in state {:?}", self.guest, service.state)]));
        }
        // The manager drops a command for a node that is not online, and says so only in its own log.
        match ha.nodes.get(&self.to) {
            Some(HaNodeState::Online) => Ok(()),
            state => Err(StepStatus::Blocked(vec![format!("HA has the target {} as {state:?}", self.to)])),
        }
    }
}

/// PVE passes the move of a stopped guest on to HA if that looks after it.
fn is_managed(snapshot: &Snapshot, guest: GuestId) -> bool {
    snapshot.ha_service(guest).is_some_and(|service| service.request != HaRequest::Ignored)
}

impl StepKind for Migrate {
    fn verb(&self) -> &'static str {
        "migrate"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        let how = match self.travel {
            Travel::Live => "live",
            Travel::LiveWithDisks => "live, with its local disks",
            Travel::Restart => "by restart",
            Travel::Offline => "stopped",
            Travel::Ha if self.guest.kind == GuestKind::Ct => "by restart, through HA",
            Travel::Ha => "live, through HA",
        };
        format!("migrate {} {} → {}, {how}", self.guest, self.from, self.to)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let Some(guest) = snapshot.guests.get(&self.guest) else {
            return match super::all_guests_seen(snapshot) {
                Ok(()) => StepStatus::Impossible(format!("{} is gone", self.guest)),
                Err(why) => StepStatus::Blocked(vec![why]),
            };
        };
        if let Some(evidence) = self.under_way(snapshot, guest) {
            return StepStatus::Running(evidence);
        }
        let status = match super::read(&guest.status) {
            Ok(status) => *status,
            Err(why) => return StepStatus::Blocked(vec![why]),
        };
        let runs = status != GuestStatus::Stopped;
        if guest.node == self.to {
            return match (self.travel, runs) {
                (Travel::Offline, _) | (_, true) => StepStatus::Done,
                (Travel::Restart, false) if self.is_half_done(snapshot) => match guest.lock.known() {
                    Some(None) => StepStatus::Ready,
                    _ => StepStatus::Blocked(vec![format!("{} has arrived, is stopped and locked", self.guest)]),
                },
                (_, false) if self.was_stopped_there(snapshot, guest) => {
                    StepStatus::Impossible(format!("{} has arrived on {}, and was stopped there", self.guest, self.to))
                }
                (_, false) => StepStatus::Blocked(vec![format!("{} has arrived but is not running", self.guest)]),
            };
        }
        if guest.node != self.from {
            return StepStatus::Impossible(format!("{} is on {}, not on {}", self.guest, guest.node, self.from));
        }
        match (self.travel, runs) {
            (Travel::Offline, true) => return StepStatus::Impossible(format!("{} is running now", self.guest)),
            (Travel::Offline, false) => {}
            (_, false) => return StepStatus::Impossible(format!("{} is stopped now", self.guest)),
            (_, true) => {}
        }
        self.needs(snapshot, guest).err().unwrap_or(StepStatus::Ready)
    }

    // There is no `during`: that a guest on its way takes room on both ends is what the rules know as `moving`.
    fn after(&self, snapshot: &mut Snapshot) {
        if self.is_half_done(snapshot) {
            return self.its_start().after(snapshot);
        }
        let Some(guest) = snapshot.guests.get_mut(&self.guest) else { return };
        guest.node = self.to.clone();
        let (name, running) = (guest.name.clone(), guest.may_be_running());
        if let Some(facts) = guest.migration.known_mut() {
            // PVE's refusals are about the old place; the planner asks again on the next full look.
            facts.refused.remove(&self.to);
        }
        if let Some(local) = super::node_mut(snapshot, &self.from).and_then(|node| node.local_guests.known_mut()) {
            local.retain(|listed| listed.vmid != self.guest.vmid);
        }
        if let Some(local) = super::node_mut(snapshot, &self.to).and_then(|node| node.local_guests.known_mut()) {
            local.push(LocalGuest { kind: self.guest.kind, vmid: self.guest.vmid, running, name });
            local.sort_by_key(|listed| listed.vmid);
        }
        if let Observed::Known(ha) = &mut snapshot.ha
            && let Some(service) = ha.services.get_mut(&self.guest)
        {
            service.node = Some(self.to.clone());
        }
    }

    // A container was shut down and moved, and its start failed.
    fn is_half_done(&self, snapshot: &Snapshot) -> bool {
        self.travel == Travel::Restart && self.stands_still(snapshot)
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        if self.is_half_done(snapshot) {
            return self.its_start().command(snapshot);
        }
        let (kind, vmid, to) = (self.guest.kind.api(), self.guest.vmid, self.to.as_str());
        let path = format!("/nodes/{}/{kind}/{vmid}/migrate", self.from);
        let params: &[(&str, &str)] = match self.travel {
            Travel::Live => &[("target", to), ("online", "1")],
            Travel::LiveWithDisks => &[("target", to), ("online", "1"), ("with-local-disks", "1")],
            Travel::Restart => &[("target", to), ("restart", "1")],
            Travel::Offline => &[("target", to)],
            Travel::Ha => {
                let path = format!("/cluster/ha/resources/{}/migrate", self.guest);
                return Some(Command::api(Method::Post, path, &[("node", to)]));
            }
        };
        Some(Command::api(Method::Post, path, params))
    }

    // Should the move fail and the start after it too, the container is down, wherever it is.
    fn owes_on_the_way(&self) -> Option<Step> {
        (self.travel == Travel::Restart).then(|| StartMoved { guest: self.guest }.into())
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // HA needs up to two rounds of its manager and one of the node's agent before anything is to be seen.
        let settle_s = if matches!(self.travel, Travel::Ha | Travel::Offline) { 60 } else { 15 };
        Limits { deadline_s: deadlines.migration_s, settle_s, attempts: 3 }
    }
}
