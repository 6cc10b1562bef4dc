//! Package lists are refreshed before anything moves: a repository that fails is found while the node is full.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{job_on, node, node_mut};
use super::why::read;
use crate::command::{Command, Method};
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Lists older than this, in seconds, are refreshed. Long enough that one refresh serves a whole node step.
pub const LISTS_MAX_AGE_S: u64 = 3600;

/// `apt-get update` on a node, through PVE's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshPackages {
    /// The node.
    pub node: NodeName,
}

impl RefreshPackages {
    fn read_again(&self, snapshot: &mut Snapshot) {
        if let Some(packages) = node_mut(snapshot, &self.node).and_then(|node| node.packages.known_mut()) {
            packages.lists_age_s = Some(0);
        }
    }
}

impl StepKind for RefreshPackages {
    fn verb(&self) -> &'static str {
        "refresh-packages"
    }

    fn title(&self) -> String {
        format!("apt update on {}", self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::Restoring,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: 20,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = job_on(snapshot, &self.node, "aptupdate") {
            return StepStatus::Running(Why::Task(job.clone()));
        }
        let packages = match node(snapshot, &self.node).and_then(|node| read(&node.packages)) {
            Ok(packages) => packages,
            Err(why) => return StepStatus::blocked(why),
        };
        match packages.lists_age_s {
            Some(age) if age <= LISTS_MAX_AGE_S => StepStatus::Done,
            _ if packages.locked => StepStatus::blocked(Why::DpkgLocked(self.node.clone())),
            _ => StepStatus::Ready,
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(Command::api(Method::Post, format!("/nodes/{}/apt/update", self.node), &[]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 900, settle_s: 30, attempts: 2 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::cluster(|snapshot| self.read_again(snapshot)),
            promise: Change::Nothing,
        }
    }
}
