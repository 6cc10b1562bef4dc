//! What a run that drains a node is about, and how far that is.

use super::event::{RunKind, StepOutcome};
use super::state::{RunState, StepRecord};
use crate::checks::{self, Asked, Finding};
use crate::ids::StepId;
use crate::planner::Drain;
use crate::snapshot::Snapshot;
use crate::steps::OnNode;

impl RunState {
    /// The step that has handed a node over, while the node is not given back.
    pub fn handed_over(&self) -> Option<(&StepId, &StepRecord)> {
        let opened = |id: &StepId| self.open_changes.iter().any(|open| open.opened_by == *id);
        self.under_way().find(|(id, record)| record.step.on_node() == OnNode::HandsOver && opened(id))
    }

    /// The node that is drained, if that is what the run is for, and how far that is.
    pub fn drain(&self) -> Option<Drain> {
        let RunKind::Drain { node } = &self.kind else { return None };
        let over = self.steps.values().filter(|record| record.step.on_node() == OnNode::HandsOver);
        let given_back = over.filter_map(|record| record.outcome.as_ref()).any(StepOutcome::is_done);
        Some(Drain { node: node.clone(), given_back })
    }

    /// What the checks of this time find that bears on this run.
    pub fn findings(&self, snapshot: &Snapshot, when: Asked) -> Vec<Finding> {
        match &self.kind {
            RunKind::Drain { node } => checks::before_a_drain(snapshot, &self.policy, node, when),
            RunKind::Upgrade | RunKind::Recovery => checks::run_all(snapshot, &self.policy, when),
        }
    }
}
