//! Before each node: is there something with which no run would be started?
//!
//! What rules and steps check is left to them. This is about the rest: what PVE's upgrade checker says of the node that
//! is done and of the next one, package sources, space, services. All of it was fine when the run started, and it is
//! checked again while the next node is still full.

use super::action::Action;
use super::seen::Look;
use crate::checks::{Asked, asked};
use crate::checks::{Finding, Severity};
use crate::ids::NodeName;
use crate::run::pause::Pause;
use crate::run::state::RunState;
use crate::steps::Step;

/// Pauses the run before the next node is drained, if a finding is in the way that is not waived.
pub(super) fn found(state: &RunState, look: &Look) -> Option<Action> {
    let found = look.findings.as_ref()?;
    let node = still_full(state).filter(|_| !state.only_undoes() && state.paused.is_none())?;
    let findings: Vec<Finding> = found.iter().filter(|finding| forbids(finding)).cloned().collect();
    (!findings.is_empty()).then_some(Action::Pause(Pause::FoundBeforeNode { node, findings }))
}

/// Would this prevent the start of a run, and is it checked during a run?
pub(super) fn forbids(finding: &Finding) -> bool {
    finding.severity == Severity::Blocking && asked(&finding.check) == Asked::BeforeEachNode
}

/// The next node, as long as nothing was done to it: its package lists may have been read again.
pub(super) fn still_full(state: &RunState) -> Option<NodeName> {
    let node_steps = &state.plan.as_ref()?.node_steps;
    let node_step = node_steps.iter().find(|node_step| node_step.steps.iter().any(|step| !state.is_done(&step.id)))?;
    let begun = node_step.steps.iter().filter(|planned| state.steps.contains_key(&planned.id));
    let untouched = begun.map(|planned| &planned.step).chain(state.under_way().map(|(_, record)| &record.step));
    untouched.into_iter().all(Step::leaves_nodes_as_they_are).then(|| node_step.node.clone())?
}
