//! A guest that we stopped in order to move it is started where it is: pays back [`super::StopToMove`].

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StartGuest, StepKind, StepStatus};
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
    fn order(&self, snapshot: &Snapshot) -> Result<StartGuest, String> {
        let node = super::guest(snapshot, self.guest)?.node.clone();
        Ok(StartGuest { guest: self.guest, node })
    }
}

impl StepKind for StartMoved {
    fn verb(&self) -> &'static str {
        "start-moved"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("start {} where it is now", self.guest)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let moves = super::guest_job(snapshot, self.guest, &["qmigrate", "vzmigrate", "hamigrate"]);
        match (moves, self.order(snapshot)) {
            // It would be refused while it is on its way, and where it is then is to be seen.
            (Some(job), _) => StepStatus::Running(format!("task {job}")),
            (None, Ok(order)) => order.status(snapshot),
            (None, Err(why)) => StepStatus::Blocked(vec![why]),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        if let Ok(order) = self.order(snapshot) {
            order.after(snapshot);
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        self.order(snapshot).ok()?.command(snapshot)
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        StartGuest { guest: self.guest, node: "".into() }.limits(deadlines)
    }
}
