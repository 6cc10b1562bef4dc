//! The cluster is as it should be at the end: every node a member, up to date, HA at rest, Ceph clean.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// The last look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalCheck {}

fn left_to_do(snapshot: &Snapshot) -> Result<Vec<String>, String> {
    let mut left = super::settle_ha::unsettled(snapshot)?;
    for node in snapshot.nodes.values() {
        let name = &node.name;
        if !*super::read(&node.online)? {
            left.push(format!("{name} is not a member"));
        }
        let packages = super::read(&node.packages)?;
        if !packages.pending.is_empty() {
            left.push(format!("{name} has {} pending updates", packages.pending.len()));
        }
        let kernel = super::read(&node.kernel)?;
        if kernel.reboot_needed() {
            left.push(format!("{name} runs {}, but {} would boot", kernel.running, kernel.will_boot()));
        }
    }
    if let Some(ceph) = super::read(&snapshot.ceph)? {
        left.extend(super::ceph_unsettled(ceph));
        left.extend(snapshot.nodes.keys().flat_map(|node| ceph.waiting_for_a_restart(node)));
    }
    Ok(left)
}

impl StepKind for FinalCheck {
    fn verb(&self) -> &'static str {
        "final-check"
    }

    fn title(&self) -> String {
        "every node a member and up to date, HA at rest, Ceph clean".to_owned()
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        super::done_when_empty(left_to_do(snapshot))
    }

    fn after(&self, _snapshot: &mut Snapshot) {}

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 0, attempts: 0 }
    }
}
