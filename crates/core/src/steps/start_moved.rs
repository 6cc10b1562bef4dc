//! A guest that we stopped in order to move it is started where it is: undoes [`super::StopToMove`].

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StartGuest, StepKind, StepStatus, Undo, Why};
use super::support::{guest, guest_job};
use crate::command::Command;
use crate::ids::GuestId;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Starts one guest where it is, be that the source or the target of its move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartMoved {
    /// The guest.
    pub guest: GuestId,
}

impl StartMoved {
    fn order(&self, snapshot: &Snapshot) -> Result<StartGuest, Why> {
        let node = guest(snapshot, self.guest)?.node.clone();
        Ok(StartGuest { guest: self.guest, node })
    }

    fn started(&self, snapshot: &mut Snapshot) {
        if let Ok(order) = self.order(snapshot) {
            order.started(snapshot);
        }
    }
}

impl StepKind for StartMoved {
    fn verb(&self) -> &'static str {
        "start-moved"
    }

    fn title(&self) -> String {
        format!("start {} where it is now", self.guest)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Guest(self.guest),
            class: Class::Restoring,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Starts,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: StartGuest::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::ThisIsOne
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let moves = guest_job(snapshot, self.guest, &["qmigrate", "vzmigrate", "hamigrate"]);
        match (moves, self.order(snapshot)) {
            // It would be refused while the guest is on its way, and where it ends is seen later.
            (Some(job), _) => StepStatus::Running(Why::Task(job.clone())),
            (None, Ok(order)) => order.status(snapshot),
            (None, Err(why)) => StepStatus::blocked(why),
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        self.order(snapshot).ok()?.command(snapshot)
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        StartGuest { guest: self.guest, node: "".into() }.limits(deadlines)
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.started(snapshot)),
            promise: Change::Nothing,
        }
    }
}
