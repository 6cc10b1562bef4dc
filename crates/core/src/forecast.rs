//! Walks a whole plan over a copy of the snapshot and asks every safety rule at every stage.
//!
//! A second, independent check: it shares the steps' forecasts and the rules with the planner, and nothing of how the
//! planner chooses. It promises that a plan it accepts breaks no rule on the way, if every step does what it says.
//! It does not promise that the plan is cheap, nor that the cluster stays as it is: the guard looks again at each step.

mod findings;
mod form;
mod mode;
mod node_out;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::checks::{Finding, Subject};
use crate::ids::{GuestId, NodeName, StepId};
use crate::invariants::{Context, Refusal, RuleOutcomes, outcomes, outcomes_of_moves, refusals, with_moves};
use crate::observed::Observed;
use crate::placement::footprint_bytes;
use crate::plan::{NodeStep, Plan, PlannedStep};
use crate::policy::{ConsentKind, Policy};
use crate::snapshot::{AffinityRule, GuestStatus, Lock, Snapshot, TargetRefusal};
use crate::steps::{Change, Class, IfImpossible, OnNode, Step, StepStatus, Why, set_status};

pub(crate) use node_out::node_out;

use findings::{finding, subject_of};

/// More findings than this would add nothing.
const FINDINGS_MAX: usize = 20;

/// What the plan leads to, step by step; for display.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// In the plan's order.
    pub steps: Vec<StepForecast>,
}

/// The state once a step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepForecast {
    /// The step.
    pub id: StepId,
    /// Memory that the running guests of each node may take, in bytes.
    pub guest_memory_bytes: BTreeMap<NodeName, u64>,
}

/// Checks a plan against the snapshot that it was made from.
///
/// # Errors
/// What is wrong with it, at most twenty findings, with the step in each.
pub fn verify(plan: &Plan, snapshot: &Snapshot, policy: &Policy) -> Result<Forecast, Vec<Finding>> {
    let state = at_rest(snapshot);
    let memory = guest_memory(&state);
    let (findings, forecast) = (form::faults(plan, &state), Forecast::default());
    let mut walk = Walk { state, policy, findings, forecast, memory, said: None };
    let down =
        |kind| matches!(kind, ConsentKind::ShutdownGuests | ConsentKind::HibernateGuests | ConsentKind::MoveOffline);
    let shut_down = plan.consents.iter().filter(|consent| down(consent.kind));
    let may_be_down: BTreeSet<GuestId> = shut_down.map(|consent| consent.guest).collect();
    for node_step in &plan.node_steps {
        walk.said = None;
        let whole = groups_that_are_whole(&walk.state);
        let mut stages = node_step.steps.chunk_by(|one, next| one.stage == next.stage).peekable();
        let mut away: Option<&Step> = None;
        while let Some(stage) = stages.next() {
            if !is_move(stage)
                && let Some(reboot) = away.take()
            {
                walk.back(reboot);
            }
            walk.stage(node_step, &may_be_down, stage);
            if let ([planned], Some(next)) = (stage, stages.peek())
                && planned.step.on_node() == OnNode::Reboots
                && is_move(next)
            {
                away = Some(&planned.step);
                walk.leave(&planned.step);
            }
            if walk.findings.len() >= FINDINGS_MAX {
                break;
            }
        }
        walk.still_whole(node_step, &whole);
    }
    walk.findings.truncate(FINDINGS_MAX);
    if walk.findings.is_empty() { Ok(walk.forecast) } else { Err(walk.findings) }
}

/// A plan spans hours. What runs at the moment (tasks, backup locks, someone else's apt) is left out of its forecast,
/// and so is what PVE says about guests that meet now: rules are asked at each stage instead. The guard sees all of it
/// when the time comes, and preflight names it.
fn at_rest(snapshot: &Snapshot) -> Snapshot {
    let mut state = snapshot.clone();
    if let Some(jobs) = state.jobs.known_mut() {
        jobs.clear();
    }
    for guest in state.guests.values_mut() {
        if guest.lock.known().and_then(Option::as_ref).is_some_and(is_passing) {
            guest.lock = Observed::Known(None);
        }
        let Some(facts) = guest.migration.known_mut() else { continue };
        for refusals in facts.refused.values_mut() {
            refusals.retain(|refusal| !matches!(refusal, TargetRefusal::HaRule { .. }));
        }
        facts.refused.retain(|_, refusals| !refusals.is_empty());
    }
    for packages in state.nodes.values_mut().filter_map(|node| node.packages.known_mut()) {
        packages.locked = false;
    }
    state
}

/// Locks of work that ends by itself.
fn is_passing(lock: &Lock) -> bool {
    matches!(
        lock.0.as_str(),
        "backup" | "migrate" | "snapshot" | "snapshot-delete" | "clone" | "create" | "disk" | "rollback"
    )
}

struct Walk<'a> {
    state: Snapshot,
    policy: &'a Policy,
    findings: Vec<Finding>,
    forecast: Forecast,
    /// Memory that the running guests of each node may take.
    memory: BTreeMap<NodeName, u64>,
    /// What the rules said of the state as it is, if nothing has been changed since.
    said: Option<RuleOutcomes>,
}

impl Walk<'_> {
    /// Steps of one stage may overlap in any way, so they are checked as if all ran at the same time.
    fn stage(&mut self, node_step: &NodeStep, may_be_down: &BTreeSet<GuestId>, stage: &[PlannedStep]) {
        for planned in stage {
            self.status(planned);
            if let Some(step) = planned.step.moves() {
                for why in mode::faults(&self.state, step) {
                    self.find(planned, why, "Plan again.");
                }
            }
        }
        let context = Context {
            may_be_down: may_be_down.clone(),
            current_node: node_step.node.clone(),
            ..Context::new(self.policy)
        };
        // A step that is already done does nothing, and so takes no risk.
        let to_do = stage.iter().filter(|planned| planned.step.kind().status(&self.state) != StepStatus::Done);
        let steps: Vec<&Step> = to_do.map(|planned| &planned.step).collect();
        let before = (!steps.is_empty()).then(|| {
            let now = self.now(&context);
            let during = self.during(&steps, &context, &now);
            (now, during)
        });
        self.said = None;
        for planned in stage {
            self.after(planned);
        }
        if let Some((now, during)) = before {
            let after = match is_move(stage) {
                true => outcomes_of_moves(&self.state, &context, &steps, &now),
                false => outcomes(&self.state, &context),
            };
            self.said = Some(after.clone());
            self.refuse(node_step, stage, refusals(class_of(&steps), [now, during, after]));
        }
        for planned in stage {
            let promise = planned.step.kind().effect().promise;
            if !promise.is_nothing() {
                promise.apply(&mut self.state);
                self.said = None;
            }
        }
    }

    /// Guests that move in the stages after the reboot command do so while the node is away.
    fn leave(&mut self, reboot: &Step) {
        reboot.during(&mut self.state);
        // What starts once the node has booted does not run while it is away.
        let Some(node) = reboot.node() else { return };
        let started = self.state.guests_on(node).filter(|guest| guest.may_be_running() && guest.onboot.is(&true));
        let started: Vec<GuestId> = started.map(|guest| guest.id).collect();
        started.into_iter().for_each(|guest| set_status(&mut self.state, guest, node, GuestStatus::Stopped));
        self.said = None;
    }

    fn back(&mut self, reboot: &Step) {
        reboot.after(&mut self.state);
        self.said = None;
    }

    /// What the rules say before a stage: mostly what they said after the one before.
    fn now(&mut self, context: &Context<'_>) -> RuleOutcomes {
        self.said.take().unwrap_or_else(|| outcomes(&self.state, context))
    }

    /// While a stage runs. Most steps then change only which guests are moving, so the state is copied only where it
    /// must be, and the guests, of which there are thousands, only where they change.
    fn during(&mut self, steps: &[&Step], context: &Context<'_>, now: &RuleOutcomes) -> RuleOutcomes {
        let together = with_moves(context, steps);
        let changes: Vec<Change<'_>> = steps.iter().map(|step| step.kind().effect().during).collect();
        if changes.iter().all(Change::is_nothing) {
            return outcomes_of_moves(&self.state, &together, steps, now);
        }
        if changes.iter().any(Change::reaches_guests) {
            let mut meanwhile = self.state.clone();
            changes.iter().for_each(|change| change.apply(&mut meanwhile));
            return outcomes(&meanwhile, &together);
        }
        let guests = std::mem::take(&mut self.state.guests);
        let mut before = self.state.clone();
        self.state.guests = guests;
        changes.iter().for_each(|change| change.apply(&mut self.state));
        let said = outcomes(&self.state, &together);
        before.guests = std::mem::take(&mut self.state.guests);
        self.state = before;
        said
    }

    fn after(&mut self, planned: &PlannedStep) {
        let effect = planned.step.kind().effect();
        match planned.step.moves() {
            Some(step) => {
                let guest = self.state.guests.get(&step.guest);
                let bytes = guest.filter(|guest| guest.may_be_running()).map_or(0, footprint_bytes);
                let was = guest.map(|guest| guest.node.clone());
                effect.after.apply(&mut self.state);
                let is = self.state.guests.get(&step.guest).map(|guest| &guest.node);
                if let Some(from) = was.and_then(|was| self.memory.get_mut(&was)) {
                    *from = from.saturating_sub(bytes);
                }
                if let Some(to) = is.and_then(|is| self.memory.get_mut(is)) {
                    *to = to.saturating_add(bytes);
                }
            }
            None => {
                effect.after.apply(&mut self.state);
                if effect.after.reaches_guests() {
                    self.memory = guest_memory(&self.state);
                }
            }
        }
        let guest_memory_bytes = self.memory.clone();
        self.forecast.steps.push(StepForecast { id: planned.id.clone(), guest_memory_bytes });
    }

    /// A step that takes a risk must be ready, done or under way when it is its turn. Waiting for others is what the
    /// restoring ones are for.
    fn status(&mut self, planned: &PlannedStep) {
        let profile = planned.step.kind().profile();
        match planned.step.kind().status(&self.state) {
            // What cannot be undone at the end is left to the operator in the report; that is part of the plan.
            StepStatus::Impossible(_) if profile.if_impossible == IfImpossible::HandOver => {}
            StepStatus::Impossible(why) => self.find(planned, why.to_string(), "Plan again."),
            StepStatus::Blocked(why) if profile.class == Class::RiskTaking => {
                self.find(planned, Why::line(&why), "Remove the cause, then plan again.");
            }
            StepStatus::Blocked(why) if profile.on_node == OnNode::WaitsEmpty => {
                self.find(planned, Why::line(&why), "A guest was left out of the plan: plan again.");
            }
            StepStatus::Blocked(_)
            | StepStatus::Ready
            | StepStatus::HalfDone
            | StepStatus::Running(_)
            | StepStatus::Done => {}
        }
    }

    fn refuse(&mut self, node_step: &NodeStep, stage: &[PlannedStep], refusals: Vec<Refusal>) {
        for refusal in refusals {
            let ids: Vec<&str> = stage.iter().take(4).map(|planned| planned.id.as_str()).collect();
            let more = if stage.len() > 4 { ", …" } else { "" };
            let problem = format!("{}{more}: {refusal}", ids.join(", "));
            let subject = node_step.node.clone().map_or(Subject::Cluster, Subject::Node);
            self.findings.push(finding(subject, problem, "Remove the cause named here, then plan again."));
        }
    }

    /// A group that HA keeps together may be split on its way, but not at the end of a node step.
    fn still_whole(&mut self, node_step: &NodeStep, whole: &BTreeSet<String>) {
        let now = groups_that_are_whole(&self.state);
        for rule in whole.difference(&now) {
            let node = node_step.node.as_ref();
            let place = node.map_or("the end of the plan".to_owned(), |node| format!("the node step of {node}"));
            let problem = format!("{place} leaves guests on different nodes that rule {rule} keeps together");
            self.findings.push(finding(Subject::Cluster, problem, "Plan again."));
        }
    }

    fn find(&mut self, planned: &PlannedStep, why: String, remedy: &str) {
        let subject = subject_of(&planned.step);
        self.findings.push(finding(subject, format!("{}: {why}", planned.id), remedy));
    }
}

/// Does a stage consist of moves alone?
fn is_move(stage: &[PlannedStep]) -> bool {
    stage.iter().all(|planned| planned.step.is_move())
}

/// One step that takes a risk makes the whole stage risk-taking.
fn class_of(steps: &[&Step]) -> Class {
    let risk = steps.iter().any(|step| step.kind().profile().class == Class::RiskTaking);
    if risk { Class::RiskTaking } else { Class::Restoring }
}

/// The keep-together rules whose running guests are all on one node.
fn groups_that_are_whole(state: &Snapshot) -> BTreeSet<String> {
    let mut whole = BTreeSet::new();
    for rule in state.ha.known().into_iter().flat_map(|ha| &ha.rules) {
        let AffinityRule::Resource(rule) = rule else { continue };
        let running = rule.guests.iter().filter_map(|id| state.guests.get(id)).filter(|guest| guest.may_be_running());
        let nodes: BTreeSet<&NodeName> = running.map(|guest| &guest.node).collect();
        if rule.together && nodes.len() < 2 {
            whole.insert(rule.id.clone());
        }
    }
    whole
}

fn guest_memory(state: &Snapshot) -> BTreeMap<NodeName, u64> {
    let mut memory: BTreeMap<&NodeName, u64> = state.nodes.keys().map(|name| (name, 0)).collect();
    for guest in state.guests.values().filter(|guest| guest.may_be_running()) {
        let bytes = memory.entry(&guest.node).or_default();
        *bytes = bytes.saturating_add(footprint_bytes(guest));
    }
    memory.into_iter().map(|(name, bytes)| (name.clone(), bytes)).collect()
}
