//! The nodes: what each is doing, what is on it, which PVE it has, and how long it took or will take.

use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::plan::NodeStep;
use quorate_core::progress::NodeGlance;
use quorate_core::steps::{OnNode, Step};
use quorate_core::time_left::TimeLeft;
use quorate_core::view::{NodePhase, NodeView, StepView, View};

use super::facts::Facts;
use super::tone::Tone;
use crate::render::units::{clock, minutes};

/// A node.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeRow {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) tone: Tone,
    pub(crate) guests: Option<usize>,
    pub(crate) memory_percent: Option<u8>,
    pub(crate) versions: String,
    pub(crate) took: String,
    /// What is left of it, in seconds.
    pub(crate) left_s: Option<u64>,
    /// It is the one in turn, or the next one.
    pub(crate) is_current: bool,
}

/// Every node of the run, in its order, and then the others.
pub(super) fn nodes(facts: &Facts<'_>, left: Option<&TimeLeft>, now: UnixMs) -> Vec<NodeRow> {
    let in_run = facts.view.nodes();
    let next = in_run.iter().find(|node| node.phase != NodePhase::Done).map(|node| node.node.clone());
    let mut rows: Vec<NodeRow> = Vec::new();
    for node in &in_run {
        let seen = facts.glance().and_then(|glance| glance.nodes.get(&node.node));
        let is_next = next.as_ref() == Some(&node.node) && facts.view.ended.is_none();
        let (state, tone) = state_of(facts, node, is_next, now);
        let left_s = left.and_then(|left| left.nodes_s.get(&node.node));
        let (took, left_s) = (took(node, left_s, now), left_s.copied());
        rows.push(NodeRow { state, tone, took, left_s, is_current: is_next, ..row(&node.node, seen) });
    }
    let others = facts.glance().into_iter().flat_map(|glance| &glance.nodes);
    for (name, seen) in others.filter(|(name, _)| in_run.iter().all(|node| node.node != **name)) {
        rows.push(NodeRow { state: "not in this run".to_owned(), tone: Tone::Quiet, ..row(name, Some(seen)) });
    }
    rows
}

fn row(name: &NodeName, seen: Option<&NodeGlance>) -> NodeRow {
    let from = seen.and_then(|seen| seen.from.as_ref()).map(ToString::to_string);
    let to = seen.and_then(|seen| seen.to.as_ref()).map(ToString::to_string);
    NodeRow {
        name: name.to_string(),
        guests: seen.and_then(|seen| seen.guests),
        memory_percent: seen.and_then(|seen| seen.memory_percent).filter(|_| seen.is_some_and(is_online)),
        versions: match (from, to) {
            (Some(from), Some(to)) if from != to => format!("{from}→{to}"),
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => "-".to_owned(),
        },
        ..NodeRow::default()
    }
}

fn is_online(seen: &NodeGlance) -> bool {
    seen.online == Some(true)
}

fn took(node: &NodeView, left_s: Option<&u64>, now: UnixMs) -> String {
    match (node.started, node.ended) {
        (Some(from), Some(to)) => minutes(to.since_s(from)),
        (Some(from), None) => minutes(now.since_s(from)),
        (None, _) => left_s.map_or_else(String::new, |left_s| format!("~{}", minutes(*left_s))),
    }
}

fn state_of(facts: &Facts<'_>, node: &NodeView, is_next: bool, now: UnixMs) -> (String, Tone) {
    match node.phase {
        NodePhase::Done => return ("done".to_owned(), Tone::Good),
        NodePhase::Working if facts.view.ended.is_some() => return ("NOT FINISHED".to_owned(), Tone::Bad),
        NodePhase::Waiting if facts.view.ended.is_some() => return ("not begun".to_owned(), Tone::Plain),
        NodePhase::Waiting if is_next => return ("next".to_owned(), Tone::Plain),
        NodePhase::Waiting => return ("waiting".to_owned(), Tone::Quiet),
        NodePhase::Working => {}
    }
    let view = facts.view;
    let mine = || view.under_way().filter(|step| step.node.as_ref() == Some(&node.node));
    // What happens to the node itself says more than what happens to its guests.
    let rank = |step: &&StepView| match step.step.on_node() {
        OnNode::Reboots => 0,
        OnNode::WaitsBack => 1,
        OnNode::Upgrades => 2,
        _ if step.step.is_move() => 4,
        _ => 3,
    };
    let Some(step) = mine().min_by_key(rank) else {
        return (format!("{} of {} steps done", node.done, node.total), Tone::Busy);
    };
    let elapsed = elapsed_of_planned(now.since_s(step.started), TimeLeft::planned_s(view, step));
    match step.step.on_node() {
        OnNode::Reboots => (format!("REBOOTING {elapsed}"), Tone::Warn),
        OnNode::WaitsBack => (format!("coming back {elapsed}"), Tone::Busy),
        OnNode::Upgrades => (format!("packages {elapsed}"), Tone::Busy),
        _ if step.step.is_move() => (moves_of(view, &node.node), Tone::Busy),
        _ => (format!("{} {elapsed}", words(&step.step)), Tone::Busy),
    }
}

/// `1:12 of ~2:30`.
fn elapsed_of_planned(elapsed_s: u64, planned_s: Option<u64>) -> String {
    match planned_s.filter(|planned_s| *planned_s > 0) {
        Some(planned_s) => format!("{} of ~{}", clock(elapsed_s), clock(planned_s)),
        None => clock(elapsed_s),
    }
}

/// A step of a node in few words.
fn words(step: &Step) -> String {
    let guest = step.guest().map(|guest| format!(" {guest}")).unwrap_or_default();
    format!("{}{guest}", step.kind().verb().replace('-', " "))
}

/// `guests move: 3 of 7 done`.
fn moves_of(view: &View, node: &NodeName) -> String {
    let plan = view.state.plan.iter().flat_map(|plan| &plan.node_steps);
    let node_step: Option<&NodeStep> = plan.into_iter().find(|of| of.node.as_ref() == Some(node));
    let moves = || node_step.into_iter().flat_map(|of| &of.steps).filter(|planned| planned.step.is_move());
    let done = moves().filter(|planned| view.state.is_done(&planned.id)).count();
    format!("guests move: {done} of {} done", moves().count())
}
