//! The node itself says that nothing runs on it: `qm list` and `pct list` there, not what a token may see.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Waits until no guest, no task and no HA service is left on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProveEmpty {
    /// The node.
    pub node: NodeName,
}

impl StepKind for ProveEmpty {
    fn verb(&self) -> &'static str {
        "prove-empty"
    }

    fn title(&self) -> String {
        format!("{} itself says that nothing runs on it", self.node)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        super::done_when_empty(super::what_runs_on(snapshot, &self.node))
    }

    fn after(&self, _snapshot: &mut Snapshot) {}

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 0, attempts: 0 }
    }
}
