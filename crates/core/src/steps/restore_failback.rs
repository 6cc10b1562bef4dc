//! HA may take a guest back again: pays back [`super::HoldFailback`].

use serde::{Deserialize, Serialize};

use super::hold_failback::{FAILBACK_LIMITS, failback, failback_command, set_failback};
use super::{Class, Limits, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::GuestId;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Sets `failback 1` for one HA resource. If its rules prefer another node, HA moves it there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreFailback {
    /// The guest.
    pub guest: GuestId,
}

impl StepKind for RestoreFailback {
    fn verb(&self) -> &'static str {
        "restore-failback"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("switch HA failback of {} on again", self.guest)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match failback(snapshot, self.guest) {
            // A guest that HA does not manage any more has no failback: there is nothing left to pay back.
            Ok(Some(true) | None) => StepStatus::Done,
            Ok(Some(false)) => StepStatus::Ready,
            Err(why) => StepStatus::Blocked(vec![why]),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_failback(snapshot, self.guest, true);
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(failback_command(self.guest, "1"))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        FAILBACK_LIMITS
    }
}
