//! A guest that we shut down is started again: pays back [`super::ShutdownGuest`].

use serde::{Deserialize, Serialize};

use super::shutdown_guest::{power, set_ha, set_status};
use super::{Class, Limits, StepKind, StepStatus, ha_wants};
use crate::command::Command;
use crate::ids::{GuestId, NodeName};
use crate::policy::Deadlines;
use crate::snapshot::{GuestStatus, HaRequest, HaServiceState, Snapshot};

/// Starts one guest where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartGuest {
    /// The guest.
    pub guest: GuestId,
    /// The node it is on.
    pub node: NodeName,
}

impl StepKind for StartGuest {
    fn verb(&self) -> &'static str {
        "start-guest"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("start {} on {}", self.guest, self.node)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = super::guest_job(snapshot, self.guest, &["qmstart", "vzstart", "hastart"]) {
            return StepStatus::Running(format!("task {job}"));
        }
        match super::guest_state(snapshot, self.guest, &self.node) {
            Err(status) => status,
            Ok(GuestStatus::Running | GuestStatus::Paused) => match ha_wants(snapshot, self.guest) {
                Some((HaRequest::Stopped | HaRequest::Disabled, _)) => StepStatus::Ready,
                _ => StepStatus::Done,
            },
            Ok(GuestStatus::Stopped) => match ha_wants(snapshot, self.guest) {
                Some((HaRequest::Started, _)) => StepStatus::Running(format!("HA starts {}", self.guest)),
                _ => super::not_locked(snapshot, self.guest),
            },
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_status(snapshot, self.guest, &self.node, GuestStatus::Running);
        set_ha(snapshot, self.guest, HaRequest::Started, HaServiceState::Started);
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(power(self.guest, &self.node, "start", &[]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 600, settle_s: 15, attempts: 3 }
    }
}
