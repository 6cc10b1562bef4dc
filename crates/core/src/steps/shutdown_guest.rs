//! A guest that cannot move is shut down for the upgrade of its node, with the operator's consent.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StartGuest, Step, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::{GuestId, NodeName};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::{GuestStatus, Snapshot};

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
        if let Some(job) = super::guest_job(snapshot, self.guest, &["qmshutdown", "vzshutdown"]) {
            return StepStatus::Running(format!("task {job}"));
        }
        match super::guest_state(snapshot, self.guest, &self.node) {
            Err(status) => status,
            Ok(GuestStatus::Stopped) => StepStatus::Done,
            Ok(GuestStatus::Running) => super::not_locked(snapshot, self.guest),
            Ok(GuestStatus::Paused) => {
                StepStatus::Blocked(vec![format!("{} is paused and cannot shut down: resume it", self.guest)])
            }
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_status(snapshot, self.guest, &self.node, GuestStatus::Stopped);
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(power(self.guest, &self.node, "shutdown"))
    }

    fn owes(&self) -> Option<Step> {
        Some(StartGuest { guest: self.guest, node: self.node.clone() }.into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 600, settle_s: 15, attempts: 2 }
    }
}

pub(super) fn power(guest: GuestId, node: &NodeName, verb: &str) -> Command {
    Command::api(Method::Post, format!("/nodes/{node}/{}/{}/status/{verb}", guest.kind.api(), guest.vmid), &[])
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
