//! Package lists are read anew, before anything moves: a repository that fails is found while the node is full.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Older lists than this are read anew, in seconds. Long enough that one refresh serves a node's whole turn.
pub const LISTS_MAX_AGE_S: u64 = 3600;

/// `apt-get update` on a node, through PVE's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshPackages {
    /// The node.
    pub node: NodeName,
}

impl StepKind for RefreshPackages {
    fn verb(&self) -> &'static str {
        "refresh-packages"
    }

    fn title(&self) -> String {
        format!("read the package lists of {} anew", self.node)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = super::job_on(snapshot, &self.node, "aptupdate") {
            return StepStatus::Running(format!("task {job}"));
        }
        let packages = match super::node(snapshot, &self.node).and_then(|node| super::read(&node.packages)) {
            Ok(packages) => packages,
            Err(why) => return StepStatus::Blocked(vec![why]),
        };
        match packages.lists_age_s {
            Some(age) if age <= LISTS_MAX_AGE_S => StepStatus::Done,
            _ if packages.locked => StepStatus::Blocked(vec![format!("dpkg on {} is locked by somebody", self.node)]),
            _ => StepStatus::Ready,
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        if let Some(packages) = super::node_mut(snapshot, &self.node).and_then(|node| node.packages.known_mut()) {
            packages.lists_age_s = Some(0);
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(Command::api(Method::Post, format!("/nodes/{}/apt/update", self.node), &[]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 900, settle_s: 30, attempts: 2 }
    }
}
