//! A guest that cannot move is shut down for the upgrade of its node, with the operator's consent.
//!
//! One that HA manages is asked in the same way: PVE turns the call into a request to HA (`hastop`), which then keeps it
//! stopped. A plain shutdown from inside would be answered by a restart. HA ends a guest by force when the timeout of the
//! request has passed (pve-ha-manager), so it is given one that the run does not wait for.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StartGuest, Step, StepKind, StepStatus, ha_wants};
use crate::command::{Command, Method};
use crate::ids::{GuestId, NodeName};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::{GuestStatus, HaRequest, HaServiceState, Snapshot};

/// Asks the guest to shut down; it is never killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownGuest {
    /// The guest.
    pub guest: GuestId,
    /// The node it is on.
    pub node: NodeName,
}

impl StepKind for ShutdownGuest {
    fn verb(&self) -> &'static str {
        "shutdown-guest"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("shut {} down on {}", self.guest, self.node)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = super::guest_job(snapshot, self.guest, &["qmshutdown", "vzshutdown", "hastop"]) {
            return StepStatus::Running(format!("task {job}"));
        }
        match super::guest_state(snapshot, self.guest, &self.node) {
            Err(status) => status,
            Ok(GuestStatus::Stopped) => match ha_wants(snapshot, self.guest) {
                None | Some((HaRequest::Ignored, _)) => StepStatus::Done,
                Some((HaRequest::Started, _)) => StepStatus::Ready,
                Some((_, Some(HaServiceState::Stopped))) => StepStatus::Done,
                Some(_) => StepStatus::Running(format!("HA has not noted yet that {} is stopped", self.guest)),
            },
            Ok(GuestStatus::Running) => match ha_wants(snapshot, self.guest) {
                Some((HaRequest::Stopped | HaRequest::Disabled, _)) => {
                    StepStatus::Running(format!("HA shuts {} down", self.guest))
                }
                _ => super::not_locked(snapshot, self.guest),
            },
            Ok(GuestStatus::Paused) => {
                StepStatus::Blocked(vec![format!("{} is paused and cannot shut down: resume it", self.guest)])
            }
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_status(snapshot, self.guest, &self.node, GuestStatus::Stopped);
        set_ha(snapshot, self.guest, HaRequest::Stopped, HaServiceState::Stopped);
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let managed = ha_wants(snapshot, self.guest).is_some_and(|(request, _)| request != HaRequest::Ignored);
        let timeout: &[(&str, &str)] = if managed { &[("timeout", HA_TIMEOUT_S)] } else { &[] };
        Some(power(self.guest, &self.node, "shutdown", timeout))
    }

    fn owes(&self) -> Option<Step> {
        Some(StartGuest { guest: self.guest, node: self.node.clone() }.into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 600, settle_s: 15, attempts: 2 }
    }
}

/// Longer than any deadline of a run: who waits for it pauses long before HA would use force.
const HA_TIMEOUT_S: &str = "86400";

pub(super) fn power(guest: GuestId, node: &NodeName, verb: &str, params: &[(&str, &str)]) -> Command {
    Command::api(Method::Post, format!("/nodes/{node}/{}/{}/status/{verb}", guest.kind.api(), guest.vmid), params)
}

/// What HA makes of a guest whose state it was asked to change; nothing where it does not manage it.
pub(super) fn set_ha(snapshot: &mut Snapshot, guest: GuestId, request: HaRequest, state: HaServiceState) {
    let service = snapshot.ha.known_mut().and_then(|ha| ha.services.get_mut(&guest));
    if let Some(service) = service.filter(|service| service.request != HaRequest::Ignored) {
        service.request = request;
        service.state = Some(state);
    }
}

pub(super) fn set_status(snapshot: &mut Snapshot, guest: GuestId, node: &NodeName, status: GuestStatus) {
    if let Some(guest) = snapshot.guests.get_mut(&guest) {
        guest.status = Observed::Known(status);
    }
    let local = super::node_mut(snapshot, node).and_then(|node| node.local_guests.known_mut());
    if let Some(listed) = local.and_then(|local| local.iter_mut().find(|listed| listed.vmid == guest.vmid)) {
        listed.running = status != GuestStatus::Stopped;
    }
}
