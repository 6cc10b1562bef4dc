//! Ceph is told not to move data because the OSDs of one node are down for a while.
//!
//! The flag is set for the node's CRUSH host only (`ceph osd set-group`), so that an OSD that fails elsewhere
//! meanwhile is still recovered from, and an administrator's own cluster-wide flag is not touched.

use serde::{Deserialize, Serialize};

use super::{Act, Reading, SettingKind};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;
use crate::steps::profile::{About, Class, Limits, OnNode};
use crate::steps::status::StepStatus;
use crate::steps::support::ceph_helper_for;
use crate::steps::why::{Why, read};

pub(super) const VERBS: [&str; 2] = ["set-noout", "unset-noout"];

const FLAG: &str = "noout";

/// `noout` for the OSDs of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noout {
    /// The node, by its CRUSH host name.
    pub node: NodeName,
}

impl SettingKind for Noout {
    fn title(&self, act: Act) -> String {
        match act {
            Act::Set => format!("set noout for the OSDs of {}", self.node),
            Act::Undo => format!("clear noout for the OSDs of {}", self.node),
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
        5
    }

    // A flag is set at once; a monitor election may take some seconds.
    fn limits(&self, _act: Act, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 300, settle_s: 10, attempts: 3 }
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Reading, Why> {
        Ok(match read(&snapshot.ceph)? {
            None => Reading::Gone(Why::NoCeph),
            Some(ceph) if ceph.noout_set_for(&self.node) => Reading::Set,
            Some(_) => Reading::NotSet,
        })
    }

    fn may(&self, _act: Act, _snapshot: &Snapshot) -> StepStatus {
        StepStatus::Ready
    }

    fn command(&self, act: Act, snapshot: &Snapshot) -> Option<Command> {
        let verb = match act {
            Act::Set => "set-group",
            Act::Undo => "unset-group",
        };
        let on = ceph_helper_for(snapshot, &self.node);
        Some(Command::shell(&on, &["ceph", "osd", verb, FLAG, self.node.as_str()]))
    }

    fn write(&self, act: Act, snapshot: &mut Snapshot) {
        let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
        let flags = ceph.node_flags.entry(self.node.to_string()).or_default();
        match act {
            Act::Set => drop(flags.insert(FLAG.to_owned())),
            Act::Undo => drop(flags.remove(FLAG)),
        }
        ceph.node_flags.retain(|host, flags| host != self.node.as_str() || !flags.is_empty());
    }
}
