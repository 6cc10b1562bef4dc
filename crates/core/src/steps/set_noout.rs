//! Ceph is told not to move data because the OSDs of one node are down for a while.
//!
//! The flag is set for the node's CRUSH host only (`ceph osd set-group`), so that an OSD that fails elsewhere
//! meanwhile is still healed, and an administrator's own cluster-wide flag is not ours to touch.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, Step, StepKind, StepStatus, UnsetNoout};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// `ceph osd set-group noout HOST`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNoout {
    /// The node, by its CRUSH host name.
    pub node: NodeName,
}

impl StepKind for SetNoout {
    fn verb(&self) -> &'static str {
        "set-noout"
    }

    fn title(&self) -> String {
        format!("set noout for the OSDs of {}", self.node)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match super::noout_set_for(snapshot, &self.node) {
            Err(why) => StepStatus::Blocked(vec![why]),
            Ok(None) => StepStatus::Impossible("there is no Ceph here any more".to_owned()),
            Ok(Some(true)) => StepStatus::Done,
            Ok(Some(false)) => StepStatus::Ready,
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        if let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) {
            ceph.node_flags.entry(self.node.to_string()).or_default().insert("noout".to_owned());
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let on = super::ceph_helper_for(snapshot, &self.node);
        Some(Command::shell(&on, &["ceph", "osd", "set-group", "noout", self.node.as_str()]))
    }

    fn owes(&self) -> Option<Step> {
        Some(UnsetNoout { node: self.node.clone() }.into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        super::NOOUT_LIMITS
    }
}
