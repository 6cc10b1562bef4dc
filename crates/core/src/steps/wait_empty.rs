//! The node itself says that nothing runs on it: `qm list` and `pct list` there, not what a token may see.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo};
use super::support::{what_runs_on};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Waits until no guest, no task and no HA service is left on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitEmpty {
    /// The node.
    pub node: NodeName,
}

impl StepKind for WaitEmpty {
    fn verb(&self) -> &'static str {
        "wait-empty"
    }

    fn title(&self) -> String {
        format!("check on {} that no guest runs", self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::Restoring,
            on_node: OnNode::WaitsEmpty,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: 5,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 0, attempts: 0 }
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        StepStatus::done_when_empty(what_runs_on(snapshot, &self.node))
    }


    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        None
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::Nothing,
            promise: Change::Nothing,
        }
    }
}
