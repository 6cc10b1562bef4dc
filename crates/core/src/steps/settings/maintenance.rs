//! HA sends nothing to the node and does not count on it.
//!
//! Entered when the node is already empty, so that no service gets a `maintenance_node` and none moves back.

use serde::{Deserialize, Serialize};

use super::{Act, Reading, SettingKind};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{HaNodeState, Snapshot};
use crate::steps::profile::{About, Class, Limits, OnNode};
use crate::steps::status::StepStatus;
use crate::steps::support::helper;
use crate::steps::why::{Why, read};

pub(super) const VERBS: [&str; 2] = ["enter-maintenance", "leave-maintenance"];

/// HA's maintenance mode of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// The node.
    pub node: NodeName,
}

impl SettingKind for Maintenance {
    fn title(&self, act: Act) -> String {
        match act {
            Act::Set => format!("put {} into HA maintenance mode", self.node),
            Act::Undo => format!("take {} out of HA maintenance mode", self.node),
        }
    }

    fn about(&self) -> About<'_> {
        About::Node(&self.node)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn on_node(&self) -> OnNode {
        OnNode::SetsAside
    }

    fn estimate_s(&self) -> u64 {
        30
    }

    fn limits(&self, _act: Act, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 60, attempts: 3 }
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Reading, Why> {
        let as_it_is = |state| Why::HaNode(self.node.clone(), state);
        match read(&snapshot.ha)?.nodes.get(&self.node).copied() {
            Some(HaNodeState::Maintenance) => Ok(Reading::Set),
            Some(HaNodeState::Online) | None => Ok(Reading::NotSet),
            Some(state @ HaNodeState::Gone) => Ok(Reading::Away(as_it_is(state))),
            // The manager silently drops the command for a node that it does not consider online; and behind what it
            // does not see the request for maintenance may still be there.
            Some(state @ (HaNodeState::Unknown | HaNodeState::Fence)) => Err(as_it_is(state)),
        }
    }

    fn may(&self, _act: Act, _snapshot: &Snapshot) -> StepStatus {
        StepStatus::Ready
    }

    // There is no API call for it. The command is queued for the manager, so it may be given on any node with quorum.
    fn command(&self, act: Act, snapshot: &Snapshot) -> Option<Command> {
        let verb = match act {
            Act::Set => "enable",
            Act::Undo => "disable",
        };
        let on = helper(snapshot, Some(&self.node))?;
        Some(Command::shell(&on, &["ha-manager", "crm-command", "node-maintenance", verb, self.node.as_str()]))
    }

    fn write(&self, act: Act, snapshot: &mut Snapshot) {
        let state = match act {
            Act::Set => HaNodeState::Maintenance,
            Act::Undo => HaNodeState::Online,
        };
        if let Some(ha) = snapshot.ha.known_mut() {
            ha.nodes.insert(self.node.clone(), state);
            match act {
                Act::Set => ha.maintenance_requested.insert(self.node.clone()),
                Act::Undo => ha.maintenance_requested.remove(&self.node),
            };
        }
    }
}
