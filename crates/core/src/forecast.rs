//! Walks a whole plan over a copy of the snapshot and asks every safety rule at every stage.
//!
//! The second pair of eyes: it shares the steps' forecasts and the rules with the planner, and nothing of how the
//! planner chooses. It promises that a plan it lets pass breaks no rule on the way, if every step does what it says.
//! It does not promise that the plan is cheap, nor that the cluster holds still: the guard looks again at each step.

mod form;
#[cfg(test)]
mod tests;
mod travel;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::checks::{Finding, Severity, Subject};
use crate::ids::{GuestId, NodeName, StepId};
use crate::invariants::{Context, judge};
use crate::observed::Observed;
use crate::placement::footprint_bytes;
use crate::plan::{Plan, PlannedStep, Wave};
use crate::policy::{ConsentKind, Policy};
use crate::snapshot::{AffinityRule, HaRequest, HaServiceState, Lock, PgState, Snapshot, TargetRefusal};
use crate::steps::{BENIGN_CEPH_CHECKS, Class, Step, StepStatus};

/// More findings than this say nothing new.
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
    let mut walk = Walk { state: at_rest(snapshot), policy, findings: Vec::new(), forecast: Forecast::default() };
    walk.findings.extend(form::faults(plan, &walk.state));
    for wave in &plan.waves {
        let whole = groups_that_are_whole(&walk.state);
        for stage in wave.steps.chunk_by(|one, next| one.stage == next.stage) {
            walk.stage(plan, wave, stage);
            if walk.findings.len() >= FINDINGS_MAX {
                break;
            }
        }
        walk.still_whole(wave, &whole);
    }
    walk.findings.truncate(FINDINGS_MAX);
    if walk.findings.is_empty() { Ok(walk.forecast) } else { Err(walk.findings) }
}

/// A plan spans hours. What runs at the moment (tasks, backup locks, somebody's apt) is left out of its forecast, and
/// so is what PVE says about guests that meet now: rules are asked at each stage instead. The guard sees all of it
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
    lighten(&mut state);
    state
}

/// The walk copies the state twice for each stage; what neither a rule nor a step's forecast reads is left behind.
fn lighten(state: &mut Snapshot) {
    for guest in state.guests.values_mut() {
        guest.name = String::new();
        guest.tags.clear();
        if let Some(facts) = guest.migration.known_mut() {
            (facts.cpu_model, facts.running_machine) = (None, None);
        }
    }
    for node in state.nodes.values_mut() {
        if let Some(repositories) = node.repositories.known_mut() {
            repositories.clear();
        }
        if let Some(cpu) = node.cpu.known_mut() {
            cpu.flags.clear();
        }
        for listed in node.local_guests.known_mut().into_iter().flatten() {
            listed.name = String::new();
        }
    }
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
}

impl Walk<'_> {
    /// Steps of one stage may overlap in any way, so they are judged as if all ran at the same time.
    fn stage(&mut self, plan: &Plan, wave: &Wave, stage: &[PlannedStep]) {
        for planned in stage {
            self.status(planned);
            if let Step::Migrate(migrate) = &planned.step {
                for why in travel::faults(&self.state, migrate) {
                    self.find(planned, why, "Plan again.");
                }
            }
        }
        self.rules(plan, wave, stage);
        for planned in stage {
            planned.step.kind().after(&mut self.state);
            promise(&planned.step, &mut self.state);
            let step = StepForecast { id: planned.id.clone(), guest_memory_bytes: guest_memory(&self.state) };
            self.forecast.steps.push(step);
        }
    }

    /// A step that takes a risk must be ready, done or under way when its turn comes. Waiting for others is what the
    /// restoring ones are for.
    fn status(&mut self, planned: &PlannedStep) {
        let kind = planned.step.kind();
        match kind.status(&self.state) {
            StepStatus::Impossible(why) => self.find(planned, why, "Plan again."),
            StepStatus::Blocked(why) if kind.class() == Class::RiskTaking => {
                self.find(planned, why.join("; "), "Remove the cause, then plan again.");
            }
            StepStatus::Blocked(why) if matches!(planned.step, Step::ProveEmpty(_)) => {
                self.find(planned, why.join("; "), "A guest was left out of the plan: plan again.");
            }
            StepStatus::Blocked(_) | StepStatus::Ready | StepStatus::Running(_) | StepStatus::Done => {}
        }
    }

    fn rules(&mut self, plan: &Plan, wave: &Wave, stage: &[PlannedStep]) {
        let shut_down = plan.consents.iter().filter(|consent| consent.kind == ConsentKind::ShutdownGuests);
        let context = Context {
            may_be_down: shut_down.map(|consent| consent.guest).collect(),
            under_work: wave.node.clone(),
            ..Context::new(self.policy)
        };
        // A step that is done already does nothing, and so takes no risk.
        let to_do = stage.iter().filter(|planned| planned.step.kind().status(&self.state) != StepStatus::Done);
        let steps: Vec<&Step> = to_do.map(|planned| &planned.step).collect();
        let risk = steps.iter().any(|step| step.kind().class() == Class::RiskTaking);
        let class = if risk { Class::RiskTaking } else { Class::Restoring };
        if steps.is_empty() {
            return;
        }
        for refusal in judge(class, &steps, &[], &self.state, &context) {
            let ids: Vec<&str> = stage.iter().take(4).map(|planned| planned.id.as_str()).collect();
            let more = if stage.len() > 4 { ", …" } else { "" };
            let problem = format!("{}{more}: {refusal}", ids.join(", "));
            let subject = wave.node.clone().map_or(Subject::Cluster, Subject::Node);
            self.findings.push(finding(subject, problem, "Remove the cause named here, then plan again."));
        }
    }

    /// A group that HA keeps together may be split on its way, and not at the end of a turn.
    fn still_whole(&mut self, wave: &Wave, whole: &BTreeSet<String>) {
        let now = groups_that_are_whole(&self.state);
        for rule in whole.difference(&now) {
            let turn = wave.node.as_ref().map_or("the last wave".to_owned(), |node| format!("the turn of {node}"));
            let problem = format!("{turn} leaves guests on different nodes that rule {rule} keeps together");
            self.findings.push(finding(Subject::Cluster, problem, "Plan again."));
        }
    }

    fn find(&mut self, planned: &PlannedStep, why: String, remedy: &str) {
        let subject = subject_of(&planned.step);
        self.findings.push(finding(subject, format!("{}: {why}", planned.id), remedy));
    }
}

/// What a finding of the plan check looks like.
fn finding(subject: Subject, problem: String, remedy: &str) -> Finding {
    Finding {
        check: "plan-check".to_owned(),
        severity: Severity::Blocking,
        subject,
        problem,
        remedy: remedy.to_owned(),
    }
}

fn subject_of(step: &Step) -> Subject {
    match guest_of(step) {
        Some(guest) => Subject::Guest(guest),
        None => Subject::Cluster,
    }
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

/// The guest that a step is about.
fn guest_of(step: &Step) -> Option<GuestId> {
    match step {
        Step::HoldFailback(step) => Some(step.guest),
        Step::RestoreFailback(step) => Some(step.guest),
        Step::EjectMedia(step) => Some(step.guest),
        Step::Migrate(step) => Some(step.guest),
        Step::ShutdownGuest(step) => Some(step.guest),
        Step::StartGuest(step) => Some(step.guest),
        _ => None,
    }
}

/// What a step that only waits for a state has promised once it is done: a node that is proven back leaves Ceph clean,
/// and HA that has settled has nothing under way.
fn promise(step: &Step, state: &mut Snapshot) {
    match step {
        Step::ProveBack(_) => {
            let Some(ceph) = state.ceph.known_mut().and_then(Option::as_mut) else { return };
            ceph.pgs = vec![PgState { state: "active+clean".to_owned(), count: ceph.pg_count }];
            ceph.checks.retain(|code, check| check.muted || BENIGN_CEPH_CHECKS.contains(&code.as_str()));
        }
        Step::SettleHa(_) => {
            let Some(ha) = state.ha.known_mut() else { return };
            for service in ha.services.values_mut().filter(|service| service.state != Some(HaServiceState::Error)) {
                let started = service.request == HaRequest::Started;
                service.state = Some(if started { HaServiceState::Started } else { HaServiceState::Stopped });
                (service.target, service.maintenance_node) = (None, None);
            }
        }
        _ => {}
    }
}

fn guest_memory(state: &Snapshot) -> BTreeMap<NodeName, u64> {
    let mut memory: BTreeMap<&NodeName, u64> = state.nodes.keys().map(|name| (name, 0)).collect();
    for guest in state.guests.values().filter(|guest| guest.may_be_running()) {
        let bytes = memory.entry(&guest.node).or_default();
        *bytes = bytes.saturating_add(footprint_bytes(guest));
    }
    memory.into_iter().map(|(name, bytes)| (name.clone(), bytes)).collect()
}
