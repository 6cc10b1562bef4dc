//! HA sends nothing to the node and does not count on it.
//!
//! Entered when the node is empty already, so that no service gets a `maintenance_node` and none travels back.

use serde::{Deserialize, Serialize};

use super::{Class, LeaveMaintenance, Limits, Step, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{HaNodeState, Snapshot};

/// `ha-manager crm-command node-maintenance enable`: there is no API call for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterMaintenance {
    /// The node.
    pub node: NodeName,
}

impl StepKind for EnterMaintenance {
    fn verb(&self) -> &'static str {
        "enter-maintenance"
    }

    fn title(&self) -> String {
        format!("put {} into HA maintenance mode", self.node)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match maintenance_state(snapshot, &self.node) {
            Err(why) => StepStatus::Blocked(vec![why]),
            Ok(Some(HaNodeState::Maintenance)) => StepStatus::Done,
            Ok(Some(HaNodeState::Online) | None) => StepStatus::Ready,
            // The manager drops the command silently for a node that it does not have as online.
            Ok(Some(state)) => StepStatus::Blocked(vec![format!("HA has {} as {state:?}", self.node)]),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_maintenance_state(snapshot, &self.node, HaNodeState::Maintenance);
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        Some(maintenance_command(snapshot, &self.node, "enable"))
    }

    fn owes(&self) -> Option<Step> {
        Some(LeaveMaintenance { node: self.node.clone() }.into())
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 60, attempts: 3 }
    }
}

pub(super) fn maintenance_state(snapshot: &Snapshot, node: &NodeName) -> Result<Option<HaNodeState>, String> {
    Ok(super::read(&snapshot.ha)?.nodes.get(node).copied())
}

pub(super) fn set_maintenance_state(snapshot: &mut Snapshot, node: &NodeName, state: HaNodeState) {
    if let Some(ha) = snapshot.ha.known_mut() {
        ha.nodes.insert(node.clone(), state);
    }
}

/// The command is queued for the manager, so it may be given on any node with quorum.
pub(super) fn maintenance_command(snapshot: &Snapshot, node: &NodeName, verb: &str) -> Command {
    let on = super::helper_for(snapshot, node);
    Command::shell(&on, &["ha-manager", "crm-command", "node-maintenance", verb, node.as_str()])
}
