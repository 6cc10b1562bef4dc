//! HA may use the node again: pays back [`super::EnterMaintenance`].

use serde::{Deserialize, Serialize};

use super::enter_maintenance::{maintenance_command, maintenance_state, set_maintenance_state};
use super::{Class, Limits, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{HaNodeState, Snapshot};

/// `ha-manager crm-command node-maintenance disable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveMaintenance {
    /// The node.
    pub node: NodeName,
}

impl StepKind for LeaveMaintenance {
    fn verb(&self) -> &'static str {
        "leave-maintenance"
    }

    fn title(&self) -> String {
        format!("take {} out of HA maintenance mode", self.node)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match maintenance_state(snapshot, &self.node) {
            Err(why) => StepStatus::Blocked(vec![why]),
            Ok(Some(HaNodeState::Maintenance)) => StepStatus::Ready,
            Ok(Some(HaNodeState::Online | HaNodeState::Gone) | None) => StepStatus::Done,
            // Not seen: the request for maintenance may still be there behind it.
            Ok(Some(state)) => StepStatus::Blocked(vec![format!("HA has {} as {state:?}", self.node)]),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_maintenance_state(snapshot, &self.node, HaNodeState::Online);
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        Some(maintenance_command(snapshot, &self.node, "disable"))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 60, attempts: 3 }
    }
}
