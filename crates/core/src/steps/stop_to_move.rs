//! A guest that cannot move while it runs is shut down, to be moved stopped and started on the target.
//!
//! The same order as [`ShutdownGuest`] gives, with another debt: the guest is started wherever it is by then. So an
//! abort half-way starts it where it was, or where it has come to.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, ShutdownGuest, StartMoved, Step, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::{GuestId, NodeName};
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Asks the guest to shut down; it is never killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopToMove {
    /// The guest.
    pub guest: GuestId,
    /// The node that it is to leave.
    pub node: NodeName,
}

impl StopToMove {
    fn order(&self) -> ShutdownGuest {
        ShutdownGuest { guest: self.guest, node: self.node.clone() }
    }
}

impl StepKind for StopToMove {
    fn verb(&self) -> &'static str {
        "stop-to-move"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("shut {} down on {}, to move it", self.guest, self.node)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        self.order().status(snapshot)
    }

    fn after(&self, snapshot: &mut Snapshot) {
        self.order().after(snapshot);
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        self.order().command(snapshot)
    }

    fn owes(&self) -> Option<Step> {
        Some(StartMoved { guest: self.guest }.into())
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        self.order().limits(deadlines)
    }
}
