//! Ceph may move data again: pays back [`super::SetNoout`].

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// `ceph osd unset-group noout HOST`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsetNoout {
    /// The node, by its CRUSH host name.
    pub node: NodeName,
}

impl StepKind for UnsetNoout {
    fn verb(&self) -> &'static str {
        "unset-noout"
    }

    fn title(&self) -> String {
        format!("clear noout for the OSDs of {}", self.node)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match super::noout_set_for(snapshot, &self.node) {
            Err(why) => StepStatus::Blocked(vec![why]),
            Ok(Some(true)) => StepStatus::Ready,
            Ok(Some(false) | None) => StepStatus::Done,
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        if let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) {
            let host = self.node.as_str();
            if let Some(flags) = ceph.node_flags.get_mut(host) {
                flags.remove("noout");
                if flags.is_empty() {
                    ceph.node_flags.remove(host);
                }
            }
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let on = super::ceph_helper_for(snapshot, &self.node);
        Some(Command::shell(&on, &["ceph", "osd", "unset-group", "noout", self.node.as_str()]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        super::NOOUT_LIMITS
    }
}
