//! A new plan in the middle of a run, or the reasons why there is none. Pure, and too slow for the decision loop.
//!
//! A plan is only ever handed on once code other than the planner's has walked it with the safety rules ([`Verified`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::pause::ByAbort;
use super::state::RunState;
use crate::forecast::{self, Forecast};
use crate::ids::{NodeName, RunId, StorageId, UnitName};
use crate::plan::{NoPlan, Plan};
use crate::planner::steady::{self, Revision};
use crate::planner::{self, Ongoing};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::{Step, StepStatus};

/// Why a plan that still fits is dropped.
const WHY_BETTER: &str = "the world has changed, and another plan saves more than a twentieth of what is left";

/// Why a plan is dropped that was made before the driver came.
const WHY_UNFIT: &str = "the rest of the plan does not fit what is there now";

/// A plan that [`forecast::verify`] agrees with, for the snapshot that it was made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified(Plan);

impl Verified {
    fn new(plan: Plan, snapshot: &Snapshot, policy: &Policy) -> Option<Self> {
        forecast::verify(&plan, snapshot, policy).is_ok().then_some(Self(plan))
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// The result of an attempt to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Why the old plan was dropped.
    pub why: String,
    /// The snapshot that the new one was made for.
    pub snapshot: Arc<Snapshot>,
    /// The new plan, or why there is none, with what would be possible if the run were aborted.
    pub made: Result<Verified, (NoPlan, Option<ByAbort>)>,
}

/// A plan that its checker agrees with, or the reasons.
///
/// # Errors
/// One finding per reason.
pub fn plan_and_verify(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Result<(Plan, Forecast), NoPlan> {
    let plan = planner::plan(snapshot, policy, ongoing)?;
    match forecast::verify(&plan, snapshot, policy) {
        Ok(forecast) => Ok((plan, forecast)),
        Err(findings) => Err(NoPlan::refused(findings)),
    }
}

/// The name of the upgrade units of a run.
pub fn upgrade_unit(run: &RunId) -> UnitName {
    UnitName::new(format!("quorate-upgrade-{run}"))
}

/// Does the rest of the plan still fit what is there, and is there none that is much better? Nothing if it stays.
pub fn review(state: &RunState, snapshot: &Arc<Snapshot>) -> Option<Planned> {
    let policy = &state.policy;
    let rest = rest_of(state, state.plan.as_ref()?);
    let fits = forecast::verify(&rest, snapshot, policy).is_ok();
    match steady::revise(&rest, snapshot, policy, &ongoing(state)) {
        Ok(Revision::Keep) => None,
        // One that does not verify is no reason to leave one that does.
        Ok(Revision::Another(plan) | Revision::Mended(plan)) if fits => {
            let made = Ok(Verified::new(*plan, snapshot, policy)?);
            Some(Planned { why: WHY_BETTER.to_owned(), snapshot: snapshot.clone(), made })
        }
        _ => Some(replan(state, snapshot, WHY_UNFIT.to_owned())),
    }
}

/// The old plan repaired, where that is possible, otherwise a plan from scratch.
pub fn replan(state: &RunState, snapshot: &Arc<Snapshot>, why: String) -> Planned {
    let made = new_plan(state, snapshot).map_err(|no_plan| (no_plan, way_by_abort(state, snapshot)));
    Planned { why, snapshot: snapshot.clone(), made }
}

fn new_plan(state: &RunState, snapshot: &Snapshot) -> Result<Verified, NoPlan> {
    let (policy, ongoing) = (&state.policy, ongoing(state));
    let old = state.plan.as_ref().map(|plan| rest_of(state, plan));
    let revision = old.and_then(|rest| steady::revise(&rest, snapshot, policy, &ongoing).ok());
    if let Some(Revision::Mended(plan) | Revision::Another(plan)) = revision
        && let Some(verified) = Verified::new(*plan, snapshot, policy)
    {
        return Ok(verified);
    }
    plan_and_verify(snapshot, policy, &ongoing).map(|(plan, _)| Verified(plan))
}

/// A guest that came to the current node after its new packages and before its reboot may go to no node that is not
/// upgraded: the node cannot be finished before the others are upgraded. Is there a plan that begins with
/// those? New packages and the old kernel are a normal state of PVE.
fn way_by_abort(state: &RunState, snapshot: &Snapshot) -> Option<ByAbort> {
    let node = state.current_node.as_ref()?;
    let mut given_back = snapshot.clone();
    for open in state.open_changes.iter().rev() {
        open.undo.after(&mut given_back);
    }
    let fresh = Ongoing { drain: state.drain(), ..Ongoing::fresh(unit(state)) };
    let (plan, _) = plan_and_verify(&given_back, &state.policy, &fresh).ok()?;
    let order: Vec<NodeName> = plan.node_steps.iter().filter_map(|node_step| node_step.node.clone()).collect();
    (order.first() != Some(node)).then(|| ByAbort { node: node.clone(), order })
}

fn unit(state: &RunState) -> UnitName {
    upgrade_unit(state.run.as_ref().unwrap_or(&RunId::new("")))
}

fn ongoing(state: &RunState) -> Ongoing {
    Ongoing {
        parent: state.plan.as_ref().map(|plan| plan.id.clone()),
        current_node: state.current_node.clone(),
        to_undo: state.open_changes.iter().map(|open| open.undo.clone()).collect(),
        homes: state.homes.clone(),
        without: without(state),
        drain: state.drain(),
        unit: unit(state),
    }
}

/// Storages that the current node's return does not wait for.
fn without(state: &RunState) -> BTreeSet<StorageId> {
    let steps = state.plan.iter().flat_map(|plan| plan.steps()).map(|(_, planned)| &planned.step);
    let of_it = steps.filter(|step| state.current_node.is_some() && step.node() == state.current_node.as_ref());
    of_it.filter_map(Step::returns_without).flatten().cloned().collect()
}

/// The plan without what is done.
pub(super) fn rest_of(state: &RunState, plan: &Plan) -> Plan {
    let mut rest = plan.clone();
    for node_step in &mut rest.node_steps {
        node_step.steps.retain(|step| !state.is_done(&step.id));
    }
    rest.node_steps.retain(|node_step| !node_step.steps.is_empty());
    rest
}

/// Does the new plan ask for nothing beyond the old one? During a node step it names steps again that are already done;
/// those do not count.
pub(super) fn same_steps(state: &RunState, new: &Plan, snapshot: &Snapshot) -> bool {
    let Some(old) = &state.plan else { return false };
    let left = |plan: &Plan| -> Vec<Step> {
        let steps = plan.steps().map(|(_, planned)| planned.step.clone());
        steps.filter(|step| step.kind().status(snapshot) != StepStatus::Done).collect()
    };
    left(&rest_of(state, old)) == left(new)
}
