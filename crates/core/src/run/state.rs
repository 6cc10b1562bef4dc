//! The state of a run: a fold over its events, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::between::WhyBetween;
use super::event::{Event, RunKind, RunOutcome, StepOutcome};
use super::expected::Expected;
use super::outside::OutsideChange;
use super::pause::Pause;
use super::spent::Spent;
use super::unsettled::Unsettled;
use crate::command::Command;
use crate::ids::{DriverId, GuestId, NodeName, RunId, StepId, UnixMs, Upid};
use crate::invariants::{Context, Moving};
use crate::migration_throttle::Throttle;
use crate::plan::{NodeStep, Plan};
use crate::policy::{ConsentKind, Policy};
use crate::recovery::RunFacts;
use crate::snapshot::Snapshot;
use crate::steps::{OnNode, Step};

/// Everything that the events say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunState {
    /// The run's id; none before its first event.
    pub run: Option<RunId>,
    /// What it is for.
    pub kind: RunKind,
    /// The process that took it over last.
    pub driver: Option<DriverId>,
    /// The cluster's name.
    pub cluster: String,
    /// What the operator allows.
    pub policy: Policy,
    /// When it began.
    pub started: UnixMs,
    /// The plan that it follows.
    pub plan: Option<Plan>,
    /// How many plans there were.
    pub plans: u32,
    /// Where each guest that a plan moves was before the first plan that moves it: its home for the whole run.
    pub homes: BTreeMap<GuestId, NodeName>,
    /// What the operator agreed to, before or during the run.
    pub consents: BTreeSet<ConsentKind>,
    /// How long each guest may be down in the whole run, in seconds; none where no limit was agreed.
    pub budget_s: Option<BTreeMap<GuestId, u64>>,
    /// How long each guest was down because of us.
    pub spent: BTreeMap<GuestId, Spent>,
    /// The current node: its node step has begun and not ended. A new plan begins with it.
    pub current_node: Option<NodeName>,
    /// When each node was done.
    pub done_nodes: BTreeMap<NodeName, UnixMs>,
    /// Who wants a pause when the current node is done.
    pub pause_after_node: Option<String>,
    /// The node that is begun although the run paused before it: the operator let it continue.
    pub begins_anyway: Option<NodeName>,
    /// Every step that was ever started or found done.
    pub steps: BTreeMap<StepId, StepRecord>,
    /// Orders that were sent and may still take effect, oldest first.
    pub unsettled: Vec<Unsettled>,
    /// What is still to undo, oldest first.
    pub open_changes: Vec<OpenChange>,
    /// How many guests the migration throttle lets move, and why.
    pub throttle: (Throttle, Vec<String>),
    /// What it expects to see again at its next look.
    pub expected: Expected,
    /// What has changed by another hand, and the operator has not answered by a resume.
    pub unanswered: Vec<OutsideChange>,
    /// Why it is paused, if it is.
    pub paused: Option<Pause>,
    /// The operator has aborted it: it only undoes what it changed.
    pub aborting: bool,
    /// How it ended.
    pub ended: Option<RunOutcome>,
    /// When the last event was written.
    pub last_event: UnixMs,
}

/// What is known of one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepRecord {
    /// The step.
    pub step: Step,
    /// When it was started for the first time since the run last continued.
    pub first_started: UnixMs,
    /// When its command was sent last.
    pub last_started: UnixMs,
    /// How often its command was sent since the run last continued.
    pub attempts: u32,
    /// The command of the last attempt; none if it did nothing.
    pub command: Option<Command>,
    /// How often a command did nothing, by its own condition, since the run last continued.
    pub refused: u32,
    /// What the cluster answered last.
    pub answer: Option<String>,
    /// PVE's task of the last attempt.
    pub job: Option<Upid>,
    /// How it ended; none while it is under way.
    pub outcome: Option<StepOutcome>,
    /// When it ended.
    pub ended: Option<UnixMs>,
}

/// What we changed and still have to undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenChange {
    /// The step that opened it.
    pub opened_by: StepId,
    /// The step that undoes it.
    pub undo: Step,
    /// Since when.
    pub since: UnixMs,
}

impl RunState {
    /// Orders that may still take effect, as far as can be seen.
    pub fn unsettled_orders<'a>(&'a self, snapshot: &'a Snapshot, now: UnixMs) -> impl Iterator<Item = &'a Unsettled> {
        self.unsettled.iter().filter(move |order| !order.is_over(snapshot, now))
    }

    /// One order of a step is settled: the last one, because its answer comes before another is sent.
    pub(super) fn settled(&mut self, id: &StepId) {
        if let Some(last) = self.unsettled.iter().rposition(|order| order.id == *id) {
            self.unsettled.remove(last);
        }
    }

    /// Folds a whole journal.
    pub fn of<'a>(events: impl IntoIterator<Item = (UnixMs, &'a Event)>) -> Self {
        let mut state = Self::default();
        for (at, event) in events {
            state.apply(at, event);
        }
        state
    }

    /// Adds one event.
    pub fn apply(&mut self, at: UnixMs, event: &Event) {
        self.last_event = at;
        match event {
            Event::RunStarted { run, kind, cluster, policy, version: _ } => {
                self.run = Some(run.clone());
                self.kind = kind.clone();
                self.cluster.clone_from(cluster);
                self.policy = policy.clone();
                self.consents.clone_from(&policy.consents);
                self.started = at;
            }
            Event::DriverTookOver { id, .. } => {
                self.driver.clone_from(id);
                self.look_anew(at);
            }
            Event::FoundSet { undo, .. } => self.open(at, &StepId::new("found"), Some(undo)),
            Event::ListsRefreshBegun { .. } | Event::ListsRefreshed { .. } => {}
            Event::CertificateTakenOver { .. }
            | Event::OutputKept { .. }
            | Event::ConfirmedOff { .. }
            | Event::FinalCheck { .. } => {}
            Event::ThrottleChanged { throttle, why } => self.throttle = (*throttle, why.clone()),
            Event::PlanAdopted { plan, .. } => {
                // A plan holds only what is still to do: what it names again has to be done again.
                for (_, planned) in plan.steps() {
                    if self.steps.get(&planned.id).is_some_and(|record| record.outcome.is_some()) {
                        self.steps.remove(&planned.id);
                    }
                }
                for moving in plan.steps().filter_map(|(_, planned)| Moving::of(&planned.step)) {
                    self.homes.entry(moving.guest).or_insert(moving.from);
                }
                self.plan = Some(plan.clone());
                self.plans += 1;
            }
            Event::Consented { kinds, .. } => self.consents.extend(kinds.iter().copied()),
            Event::DowntimeAgreed { allowed_s, .. } => self.budget_s = Some(allowed_s.clone()),
            Event::Waived { waiver, .. } => {
                if !self.policy.waive.contains(waiver) {
                    self.policy.waive.push(waiver.clone());
                }
            }
            Event::StepStarted { id, step, attempt, command, undo } => {
                self.step_started(at, id, step, *attempt, command.as_ref());
                if let Some(guest) = step.takes_down().filter(|_| *attempt > 0) {
                    self.spent.entry(guest).or_default().begin(at);
                }
                self.open(at, id, undo.as_ref());
                self.unsettled.extend(Unsettled::of(at, id, step, command.as_ref()));
            }
            Event::GuestRanSince { guest, since } => {
                if let Some(spent) = self.spent.get_mut(guest) {
                    spent.ran_since(*since);
                }
            }
            Event::CommandAnswered { id, answer, job } => {
                self.settled(id);
                if let Some(record) = self.steps.get_mut(id) {
                    record.answer = Some(answer.clone());
                    record.job.clone_from(job);
                }
            }
            Event::FirstSeen { boots, running } => self.expected.seen(boots, running),
            Event::ChangedOutside { change } => {
                self.expected.changed_outside(change);
                self.unanswered.extend(change.pauses().then(|| change.clone()));
            }
            Event::CommandInDoubt { id, why } => {
                if let Some(record) = self.steps.get_mut(id) {
                    record.answer = Some(why.clone());
                }
            }
            Event::CommandNotDone { id, why } => {
                self.settled(id);
                if let Some(record) = self.steps.get_mut(id) {
                    (record.answer, record.command) = (Some(why.clone()), None);
                    record.refused += 1;
                }
            }
            Event::StepEnded { id, step, outcome } => {
                self.downtime_ended(at, step, outcome);
                self.step_ended(at, id, step, outcome);
            }
            Event::PauseAsked { by } => self.pause_after_node = Some(by.clone()),
            Event::Paused { pause } => self.paused = Some(pause.clone()),
            Event::Resumed { .. } => self.resumed(at),
            Event::AbortBegun { .. } => {
                self.aborting = true;
                self.resumed(at);
            }
            Event::RunEnded { outcome } => self.ended = Some(outcome.clone()),
        }
    }

    fn step_started(&mut self, at: UnixMs, id: &StepId, step: &Step, attempt: u32, command: Option<&Command>) {
        if let Some(node) = self.node_step_of(id).and_then(|node_step| node_step.node.clone()) {
            self.current_node = Some(node);
        }
        let known = self.steps.get(id).filter(|record| record.outcome.is_none());
        let again = known.filter(|_| attempt > 1);
        let (first_started, refused) = again.map_or((at, 0), |record| (record.first_started, record.refused));
        let record = StepRecord {
            step: step.clone(),
            first_started,
            last_started: at,
            attempts: attempt,
            command: command.cloned(),
            refused,
            answer: None,
            job: None,
            outcome: None,
            ended: None,
        };
        self.steps.insert(id.clone(), record);
    }

    fn open(&mut self, at: UnixMs, id: &StepId, undo: Option<&Step>) {
        let Some(undo) = undo else { return };
        if !self.open_changes.iter().any(|open| open.undo == *undo) {
            self.open_changes.push(OpenChange { opened_by: id.clone(), undo: undo.clone(), since: at });
        }
    }

    fn step_ended(&mut self, at: UnixMs, id: &StepId, step: &Step, outcome: &StepOutcome) {
        if !self.steps.contains_key(id) {
            self.step_started(at, id, step, 0, None);
        }
        if let Some(record) = self.steps.get_mut(id) {
            record.outcome = Some(outcome.clone());
            record.ended = Some(at);
        }
        if self.node_step_of(id).is_some_and(|node_step| node_step.steps.iter().all(|step| self.is_done(&step.id))) {
            self.done_nodes.extend(self.current_node.take().map(|node| (node, at)));
        }
        if outcome.is_done() {
            self.expected.changed_by(step);
        }
        match outcome {
            StepOutcome::Done | StepOutcome::DoneWithout(_) | StepOutcome::FoundDone | StepOutcome::HandedOver(_) => {
                // The effect that was seen is that of one order.
                self.settled(id);
                let settled = step.undone_on_the_way_by();
                self.open_changes.retain(|open| open.undo != *step && Some(&open.undo) != settled.as_ref());
            }
            StepOutcome::NoEffect(_) => self.open_changes.retain(|open| open.opened_by != *id),
            StepOutcome::Abandoned(_) => {}
        }
    }

    fn downtime_ended(&mut self, at: UnixMs, step: &Step, outcome: &StepOutcome) {
        let happened = outcome.is_done();
        if let Some(spent) = step.starts().filter(|_| happened).and_then(|guest| self.spent.get_mut(&guest)) {
            spent.end(at);
        }
        // A restart that is given up half-way ends with the start that is still to do.
        let goes_on = matches!(outcome, StepOutcome::Abandoned(_)) && step.undone_on_the_way_by().is_some();
        if let Some(spent) = step.restarts().filter(|_| !goes_on).and_then(|guest| self.spent.get_mut(&guest)) {
            spent.end(at);
        }
        if let Some(spent) = step.stops().and_then(|guest| self.spent.get_mut(&guest))
            && matches!(outcome, StepOutcome::NoEffect(_))
        {
            spent.cancel();
        }
    }

    /// Steps that had only waited, with nothing sent, start again: by another plan, if this one no longer fits.
    fn resumed(&mut self, at: UnixMs) {
        if let Some(Pause::BetweenNodes { next, why, .. }) = self.paused.take() {
            self.begins_anyway = Some(next);
            if matches!(why, WhyBetween::TooLate { .. }) {
                self.policy.between_nodes.until = None;
            }
        }
        self.pause_after_node = None;
        self.unanswered.clear();
        let open = &self.open_changes;
        let changes = |id: &StepId| open.iter().any(|open| open.opened_by == *id);
        self.steps.retain(|id, record| record.outcome.is_some() || record.command.is_some() || changes(id));
        self.look_anew(at);
    }

    /// After a takeover or a resume, deadlines and attempts of what is under way start again. That a command was sent,
    /// and when, is kept: its effect may still be on the way.
    fn look_anew(&mut self, at: UnixMs) {
        for record in self.steps.values_mut().filter(|record| record.outcome.is_none()) {
            record.first_started = at;
            (record.attempts, record.refused) = (0, 0);
        }
    }

    fn node_step_of(&self, id: &StepId) -> Option<&NodeStep> {
        self.plan.as_ref()?.node_steps.iter().find(|node_step| node_step.steps.iter().any(|step| step.id == *id))
    }

    /// Does the run only undo what was changed: after an abort, and in a recovery from its start?
    pub fn only_undoes(&self) -> bool {
        self.aborting || self.kind == RunKind::Recovery
    }

    /// Is the step done, or found to be done?
    pub fn is_done(&self, id: &StepId) -> bool {
        let outcome = self.steps.get(id).and_then(|record| record.outcome.as_ref());
        outcome.is_some_and(StepOutcome::is_done)
    }

    /// Steps that were started and have not ended.
    pub fn under_way(&self) -> impl Iterator<Item = (&StepId, &StepRecord)> {
        self.steps.iter().filter(|(_, record)| record.outcome.is_none())
    }

    /// The current node, otherwise that of the first node step with a step that is not done.
    pub fn current_or_next_node(&self) -> Option<&NodeName> {
        if self.current_node.is_some() {
            return self.current_node.as_ref();
        }
        let plan = self.plan.as_ref()?;
        let node_step =
            plan.node_steps.iter().find(|node_step| node_step.steps.iter().any(|step| !self.is_done(&step.id)))?;
        node_step.node.as_ref()
    }

    /// The node that was last proven to be back; none before the first.
    pub fn node_done_last(&self) -> Option<&NodeName> {
        let proofs = self.steps.values().filter(|record| record.step.on_node() == OnNode::WaitsBack);
        let ended = proofs.filter(|record| record.outcome.is_some());
        ended.filter_map(|record| Some((record.ended?, record.step.node()?))).max().map(|(_, node)| node)
    }

    /// What the safety rules may know of this run.
    pub fn context(&self) -> Context<'_> {
        Context {
            may_be_down: self.guests_down_by_us(),
            current_node: self.current_or_next_node().cloned(),
            nodes_confirmed_off: self.nodes_confirmed_off(),
            ..Context::new(&self.policy)
        }
    }

    /// Nodes confirmed powered off, for as long as expected votes are lowered without them.
    pub fn nodes_confirmed_off(&self) -> BTreeSet<NodeName> {
        let lowered = self.open_changes.iter().filter_map(|open| open.undo.expected_votes());
        lowered.flat_map(|votes| votes.off.iter().cloned()).collect()
    }

    /// What the nodes themselves cannot report when quorum is lost: which of them this run rebooted.
    pub fn facts(&self) -> RunFacts {
        let reboots = self.under_way().filter(|(_, record)| record.step.on_node() == OnNode::Reboots);
        let ordered = reboots.filter(|(_, record)| record.command.is_some());
        let ordered = ordered.filter_map(|(_, record)| Some((record.step.node()?.clone(), record.last_started)));
        RunFacts { reboots: ordered.collect(), ..RunFacts::without_a_run(&self.policy.deadlines) }
    }

    /// Guests that are down because of us, with the operator's consent.
    pub fn guests_down_by_us(&self) -> BTreeSet<GuestId> {
        self.open_changes.iter().filter_map(|open| open.undo.starts()).collect()
    }
}
