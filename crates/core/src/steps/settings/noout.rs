//! Ceph is told not to move data because the OSDs of one node are down for a while.
//!
//! The flag is set for the node's OSDs only (`ceph osd set-group`), so that an OSD that fails elsewhere meanwhile is
//! still recovered from, and an administrator's own cluster-wide flag is not touched. They are named one by one: CRUSH
//! knows a node's OSDs by whatever hosts somebody gave them, or by several (`pve1-ssd`, `pve1-hdd`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Act, Reading, SettingKind};
use crate::command::Command;
use crate::ids::{NodeName, OsdId};
use crate::policy::Deadlines;
use crate::snapshot::{Ceph, Snapshot};
use crate::steps::profile::{About, Class, Limits, OnNode};
use crate::steps::status::StepStatus;
use crate::steps::support::ceph_helper_for;
use crate::steps::why::{Why, read};

pub(super) const VERBS: [&str; 2] = ["set-noout", "unset-noout"];

const FLAG: &str = "noout";

/// `noout` for the OSDs of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noout {
    /// The node.
    pub node: NodeName,
    /// Those of its OSDs that did not have the flag: setting and clearing are about these. Where none is named, as in
    /// older journals, about the CRUSH host that is called like the node.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub osds: BTreeSet<OsdId>,
}

impl Noout {
    /// For the CRUSH host that is called like the node.
    pub fn by_host(node: NodeName) -> Self {
        Self { node, osds: BTreeSet::new() }
    }

    /// For those OSDs of the node that are in use and do not have the flag; none where all have it.
    pub fn missing(ceph: &Ceph, node: &NodeName) -> Option<Self> {
        let without = ceph.osds_in_use_on(node).map(|(id, _)| id).filter(|id| !ceph.has_noout(&id.to_string()));
        let osds: BTreeSet<OsdId> = without.collect();
        (!ceph.noout_set_for(node) && !osds.is_empty()).then(|| Self { node: node.clone(), osds })
    }

    /// The OSDs that it is set for by their numbers, the first few of them: whoever looks for it by host finds nothing.
    fn by_number(&self) -> String {
        const NAMED: usize = 6;
        let named: Vec<String> = self.osds.iter().take(NAMED).map(OsdId::to_string).collect();
        match self.osds.len().saturating_sub(NAMED) {
            _ if named.is_empty() => String::new(),
            0 => format!(" ({})", named.join(", ")),
            more => format!(" ({} and {more} more)", named.join(", ")),
        }
    }

    /// The names that it is set for, as Ceph takes them.
    fn names(&self) -> Vec<String> {
        if self.osds.is_empty() { vec![self.node.to_string()] } else { self.osds.iter().map(OsdId::to_string).collect() }
    }
}

impl SettingKind for Noout {
    fn title(&self, act: Act) -> String {
        let verb = match act {
            Act::Set => "set",
            Act::Undo => "clear",
        };
        format!("{verb} noout for the OSDs of {}{}", self.node, self.by_number())
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
            Some(ceph) => match self.names().iter().filter(|name| ceph.has_noout(name)).count() {
                0 => Reading::NotSet,
                all if all == self.names().len() => Reading::Set,
                _ => Reading::InPart,
            },
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
        let names = self.names();
        let argv: Vec<&str> = ["ceph", "osd", verb, FLAG].into_iter().chain(names.iter().map(String::as_str)).collect();
        Some(Command::shell(&on, &argv))
    }

    fn write(&self, act: Act, snapshot: &mut Snapshot) {
        let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
        for name in self.names() {
            let flags = ceph.node_flags.entry(name).or_default();
            match act {
                Act::Set => drop(flags.insert(FLAG.to_owned())),
                Act::Undo => drop(flags.remove(FLAG)),
            }
        }
        ceph.node_flags.retain(|_, flags| !flags.is_empty());
    }
}
