//! A guest that cannot move while it runs is shut down, to be moved stopped and started on the target.
//!
//! The same command that [`ShutdownGuest`] sends, with another undo: the guest is started wherever it is by then. So an
//! abort half-way starts it where it was, or where it has moved to.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, ShutdownGuest, StartMoved, StepKind, StepStatus, Undo};
use crate::command::Command;
use crate::ids::{GuestId, NodeName};
use crate::policy::{ConsentKind, Deadlines};
use crate::snapshot::Snapshot;

/// Asks the guest to shut down; it is never killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopToMove {
    /// The guest.
    pub guest: GuestId,
    /// The node that it will leave.
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

    fn title(&self) -> String {
        format!("shut {} down on {}, to move it", self.guest, self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::GuestOn(self.guest, &self.node),
            class: Class::RiskTaking,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Stops,
            consent: Some(ConsentKind::MoveOffline),
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: ShutdownGuest::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Later(StartMoved { guest: self.guest }.into())
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        self.order().status(snapshot)
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        self.order().command(snapshot)
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        self.order().limits(deadlines)
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.order().stopped(snapshot)),
            promise: Change::Nothing,
        }
    }
}
