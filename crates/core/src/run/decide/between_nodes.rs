//! Between two nodes: one is back, and nothing was done to the next one. Guests run, and no node is out: the one moment
//! at which a run can rest for as long as anybody likes.

use super::action::{Action, POLL_CALMLY_S};
use super::before_node::still_full;
use super::seen::Seen;
use crate::ids::{NodeName, UnixMs};
use crate::plan::NodeStep;
use crate::policy::PauseBetween;
use crate::run::between::WhyBetween;
use crate::run::pause::Pause;
use crate::run::state::RunState;

/// A pause, or a wait while the cluster is only watched.
pub(super) fn rests(state: &RunState, seen: &Seen, now: UnixMs) -> Option<Action> {
    let next = still_full(state).filter(|_| !state.only_undoes() && state.paused.is_none())?;
    if state.begins_anyway.as_ref() == Some(&next) {
        return None;
    }
    match asked(state).or_else(|| as_set(state)).or_else(|| too_late(state, &next, now)) {
        Some(why) => Some(Action::Pause(Pause::BetweenNodes { left: left(state), next, why })),
        None => soaks(state, seen, &next, now),
    }
}

fn asked(state: &RunState) -> Option<WhyBetween> {
    state.pause_after_node.clone().map(|by| WhyBetween::Asked { by })
}

fn as_set(state: &RunState) -> Option<WhyBetween> {
    match (state.policy.between_nodes.pause, state.done_nodes.len()) {
        (PauseBetween::AfterFirst, 1) => Some(WhyBetween::AfterFirst),
        (PauseBetween::AfterEach, 1..) => Some(WhyBetween::AfterEach),
        _ => None,
    }
}

fn too_late(state: &RunState, next: &NodeName, now: UnixMs) -> Option<WhyBetween> {
    let until = state.policy.between_nodes.until?;
    let needs_s = step_of(state, next).map_or(0, NodeStep::duration_s);
    (now.plus_s(needs_s) > until).then(|| WhyBetween::TooLate { needs_s, has_s: until.since_s(now) })
}

fn soaks(state: &RunState, seen: &Seen, next: &NodeName, now: UnixMs) -> Option<Action> {
    let last = state.done_nodes.values().max()?;
    let left_s = state.policy.between_nodes.soak_s.saturating_sub(now.since_s(*last));
    let on = vec![format!("{next} is begun in {left_s} s: until then the cluster is only watched (soak)")];
    (left_s > 0).then(|| Action::Wait { on, poll_s: left_s.min(POLL_CALMLY_S), then: seen.depth_after_a_wait(now) })
}

fn step_of<'a>(state: &'a RunState, node: &NodeName) -> Option<&'a NodeStep> {
    state.plan.as_ref()?.node_steps.iter().find(|step| step.node.as_ref() == Some(node))
}

/// The nodes of the plan that are not done.
fn left(state: &RunState) -> Vec<NodeName> {
    let node_steps = state.plan.iter().flat_map(|plan| &plan.node_steps);
    let open = node_steps.filter(|node_step| node_step.steps.iter().any(|step| !state.is_done(&step.id)));
    open.filter_map(|node_step| node_step.node.clone()).collect()
}
