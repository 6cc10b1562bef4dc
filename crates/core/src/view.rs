//! A run as people want to see it: what is happening, how far it is, what it has cost. A fold over the journal.
//!
//! Status, log, report and live progress are made from this and nothing else, so that they cannot disagree. Where
//! [`RunState`] forgets what decisions do not need (earlier attempts of a step, earlier plans), this remembers.

mod downtimes;
mod upgraded;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::checks::Finding;
use crate::ids::{GuestId, NodeName, StepId, UnixMs};
use crate::plan::{Bound, Costs, Upgrade};
use crate::policy::{ConsentKind, Waiver};
use crate::run::{Event, OutsideChange, Pause, RunOutcome, RunState, StepOutcome};
use crate::steps::{OnNode, Step};

pub use downtimes::Downtime;
pub use upgraded::Upgraded;

/// Everything there is to report about a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// Where it stands.
    pub state: RunState,
    /// The version of Quorate that started it.
    pub version: String,
    /// The process that drove it last.
    pub driver: Option<String>,
    /// Every process that took it up while it was not paused, and when: the one before it had left it or died.
    pub taken_up: Vec<(UnixMs, String)>,
    /// What the first plan said it would cost.
    pub promised: Costs,
    /// What no plan could have gone below.
    pub bound: Bound,
    /// Why there was a new plan, each time.
    pub replans: Vec<(UnixMs, String)>,
    /// What became of the packages of the nodes, by the first plan.
    pub upgrades: Vec<Upgrade>,
    /// The names of the guests that its plans are about.
    pub names: BTreeMap<GuestId, String>,
    /// Every step that was started or found done, in order.
    pub steps: Vec<StepView>,
    /// Every pause.
    pub pauses: Vec<PauseView>,
    /// What has changed by another hand.
    pub outside: Vec<(UnixMs, OutsideChange)>,
    /// What was agreed to during the run.
    pub approvals: Vec<ApprovalView>,
    /// Findings that the operator accepted as they are.
    pub waivers: Vec<WaiverView>,
    /// What the last look found, after the last node.
    pub final_check: Option<FinalCheckView>,
    /// When it ended.
    pub ended: Option<UnixMs>,
    /// Up to when everything is counted that has not ended: its last event, or later.
    pub now: UnixMs,
    /// Nodes in the order of the plans.
    order: Vec<NodeName>,
}

/// One step from its start to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepView {
    /// The step's id.
    pub id: StepId,
    /// The node whose node step it belongs to; none for the end of the run.
    pub node: Option<NodeName>,
    /// What it does, in one line.
    pub title: String,
    /// The step.
    pub step: Step,
    /// When it began.
    pub started: UnixMs,
    /// When it ended, and how.
    pub ended: Option<(UnixMs, StepOutcome)>,
    /// How often its command was sent.
    pub attempts: u32,
    /// What the cluster answered last.
    pub answer: Option<String>,
    /// How long the plan expected it to take, in seconds.
    pub planned_s: Option<u64>,
}

/// A time in which the run was paused.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PauseView {
    /// From here.
    pub from: UnixMs,
    /// To here; none while it is paused.
    pub to: Option<UnixMs>,
    /// Why, with all that is known about it.
    pub pause: Pause,
    /// The same in words, line by line.
    pub why: Vec<String>,
}

/// A waiver.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WaiverView {
    /// When it was given.
    pub at: UnixMs,
    /// What is waived, and why.
    pub waiver: Waiver,
    /// Who waived it.
    pub by: String,
    /// What the finding was about.
    pub findings: Vec<String>,
}

/// The look at the whole cluster when every node was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FinalCheckView {
    /// The time of the event.
    pub at: UnixMs,
    /// The node that was done last.
    pub node: NodeName,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// Something that the operator agreed to during the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalView {
    /// The time of the event.
    pub at: UnixMs,
    /// The kinds of cost.
    pub kinds: BTreeSet<ConsentKind>,
    /// Who agreed.
    pub by: String,
}

/// How far a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// The node.
    pub node: NodeName,
    /// Where it stands.
    pub phase: NodePhase,
    /// Steps that are done.
    pub done: usize,
    /// Steps that are done or still to do.
    pub total: usize,
    /// When its first step began.
    pub started: Option<UnixMs>,
    /// When its last step ended, once all are done.
    pub ended: Option<UnixMs>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodePhase {
    /// Its node step has not begun.
    Waiting,
    /// It is the current node.
    Working,
    /// All of its steps are done.
    Done,
}

/// Where the run stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunPhase {
    /// It is in progress, if a driver is working on it.
    Running,
    /// It is paused.
    Paused,
    /// A node is drained and handed over to its administrator.
    Drained,
    /// It undoes what it changed, and then ends.
    Aborting,
    /// All nodes are done, or a recovery is.
    Completed,
    /// It was aborted by the operator.
    Aborted,
    /// It ended before it followed a plan.
    NothingDone,
}

impl View {
    /// Folds a whole journal.
    pub fn of<'a>(events: impl IntoIterator<Item = (UnixMs, &'a Event)>) -> Self {
        let mut view = Self::default();
        for (at, event) in events {
            view.apply(at, event);
        }
        view
    }

    /// The same, looked at now, by the run's clock: what goes on without an event is counted too.
    #[must_use]
    pub fn looked_at(mut self, now: UnixMs) -> Self {
        self.now = self.now.max(now);
        self
    }

    /// Adds one event.
    pub fn apply(&mut self, at: UnixMs, event: &Event) {
        self.state.apply(at, event);
        self.now = at;
        match event {
            Event::RunStarted { version, .. } => self.version.clone_from(version),
            Event::DriverTookOver { driver, .. } => {
                self.driver = Some(driver.clone());
                if self.state.paused.is_none() {
                    self.taken_up.push((at, driver.clone()));
                }
            }
            Event::PlanAdopted { plan, why } => {
                self.names.extend(plan.names.iter().map(|(guest, name)| (*guest, name.clone())));
                if self.state.plans == 1 {
                    self.promised = plan.costs.clone();
                    self.upgrades.clone_from(&plan.upgrades);
                    self.bound = plan.bound.clone();
                } else {
                    self.replans.push((at, why.clone()));
                }
                for node in plan.node_steps.iter().filter_map(|node_step| node_step.node.as_ref()) {
                    if !self.order.contains(node) {
                        self.order.push(node.clone());
                    }
                }
            }
            Event::Consented { kinds, by } => {
                self.approvals.push(ApprovalView { at, kinds: kinds.clone(), by: by.clone() });
            }
            Event::DowntimeAgreed { .. }
            | Event::ListsRefreshBegun { .. }
            | Event::ListsRefreshed { .. }
            | Event::FoundSet { .. } => {}
            Event::Waived { waiver, by, findings } => {
                let (waiver, by, findings) = (waiver.clone(), by.clone(), findings.clone());
                self.waivers.push(WaiverView { at, waiver, by, findings });
            }
            Event::StepStarted { id, step, attempt, .. } => {
                let view = self.open_step(at, id, step);
                view.attempts = view.attempts.max(*attempt);
            }
            Event::CommandAnswered { id, answer, .. }
            | Event::CommandInDoubt { id, why: answer }
            | Event::CommandNotDone { id, why: answer } => {
                if let Some(step) = self.under_way_mut(id) {
                    step.answer = Some(answer.clone());
                }
            }
            Event::StepEnded { id, step, outcome } => self.open_step(at, id, step).ended = Some((at, outcome.clone())),
            Event::ChangedOutside { change } => self.outside.push((at, change.clone())),
            Event::GuestRanSince { .. }
            | Event::FirstSeen { .. }
            | Event::OutputKept { .. }
            | Event::CertificateTakenOver { .. }
            | Event::ConfirmedOff { .. }
            | Event::PauseAsked { .. }
            | Event::ThrottleChanged { .. } => {}
            Event::FinalCheck { node, findings } => {
                self.final_check = Some(FinalCheckView { at, node: node.clone(), findings: findings.clone() });
            }
            Event::Paused { pause } => {
                self.pauses.push(PauseView { from: at, to: None, pause: pause.clone(), why: pause.lines() });
            }
            Event::Resumed { .. } | Event::AbortBegun { .. } => self.go_on(at),
            Event::RunEnded { .. } => {
                self.go_on(at);
                self.ended = Some(at);
            }
        }
    }

    fn go_on(&mut self, at: UnixMs) {
        if let Some(pause) = self.pauses.last_mut().filter(|pause| pause.to.is_none()) {
            pause.to = Some(at);
        }
    }

    fn under_way_mut(&mut self, id: &StepId) -> Option<&mut StepView> {
        self.steps.iter_mut().rev().find(|step| step.id == *id && step.ended.is_none())
    }

    /// The step that is under way by this id; a new one if there is none.
    fn open_step(&mut self, at: UnixMs, id: &StepId, step: &Step) -> &mut StepView {
        let open = self.steps.iter().rposition(|view| view.id == *id && view.ended.is_none());
        let index = open.unwrap_or_else(|| {
            let (node, planned_s) = self.planned(id);
            let title = step.kind().title();
            let view = StepView {
                id: id.clone(),
                node,
                title,
                step: step.clone(),
                started: at,
                ended: None,
                attempts: 0,
                answer: None,
                planned_s,
            };
            self.steps.push(view);
            self.steps.len() - 1
        });
        &mut self.steps[index]
    }

    /// The node in whose node step the plan has the step, and how long it should take.
    fn planned(&self, id: &StepId) -> (Option<NodeName>, Option<u64>) {
        let planned = self.state.plan.iter().flat_map(|plan| plan.steps()).find(|(_, planned)| planned.id == *id);
        planned.map_or((None, None), |(node, planned)| (node.cloned(), Some(planned.estimate_s)))
    }

    /// Where the run stands.
    pub fn phase(&self) -> RunPhase {
        match &self.state.ended {
            Some(RunOutcome::Completed | RunOutcome::Recovered) => RunPhase::Completed,
            Some(RunOutcome::Aborted) => RunPhase::Aborted,
            Some(RunOutcome::NothingDone(_)) => RunPhase::NothingDone,
            None if self.drained().is_some() => RunPhase::Drained,
            None if self.state.paused.is_some() => RunPhase::Paused,
            None if self.state.only_undoes() => RunPhase::Aborting,
            None => RunPhase::Running,
        }
    }

    /// The node that is handed over to its administrator, and since when.
    pub fn drained(&self) -> Option<(&NodeName, UnixMs)> {
        let (_, record) = self.state.handed_over()?;
        Some((record.step.node()?, record.last_started))
    }

    /// How far each node is, in the order of the plans.
    pub fn nodes(&self) -> Vec<NodeView> {
        self.order.iter().map(|node| self.node(node)).collect()
    }

    fn node(&self, node: &NodeName) -> NodeView {
        let planned = self.state.plan.iter().flat_map(|plan| plan.steps());
        let planned: BTreeSet<&StepId> =
            planned.filter(|(of, _)| *of == Some(node)).map(|(_, planned)| &planned.id).collect();
        let mine = || self.steps.iter().filter(|step| step.node.as_ref() == Some(node));
        let done: BTreeSet<&StepId> = mine().map(|step| &step.id).filter(|id| self.state.is_done(id)).collect();
        let total = done.union(&planned).count();
        let phase = match (done.len(), mine().next()) {
            (all, Some(_)) if all == total => NodePhase::Done,
            (_, Some(_)) => NodePhase::Working,
            (_, None) => NodePhase::Waiting,
        };
        NodeView {
            node: node.clone(),
            phase,
            done: done.len(),
            total,
            started: mine().map(|step| step.started).min(),
            ended: mine().filter_map(|step| Some(step.ended.as_ref()?.0)).max().filter(|_| phase == NodePhase::Done),
        }
    }

    /// Steps that were started and have not ended.
    pub fn under_way(&self) -> impl Iterator<Item = &StepView> {
        self.steps.iter().filter(|step| step.ended.is_none())
    }

    /// Steps that we did, as opposed to those found done.
    pub fn done_by_us(&self) -> impl Iterator<Item = &StepView> {
        self.steps
            .iter()
            .filter(|step| matches!(step.ended, Some((_, StepOutcome::Done | StepOutcome::DoneWithout(_)))))
    }

    /// Moves of guests that we made.
    pub fn moves(&self) -> usize {
        self.done_by_us().filter(|step| step.step.is_move()).count()
    }

    /// Reboots of nodes, whoever made them.
    pub fn reboots(&self) -> usize {
        let by_us = self.done_by_us().filter(|step| step.step.on_node() == OnNode::Reboots).count();
        by_us + self.reboots_by_others()
    }

    /// Reboots that this run did not make.
    pub fn reboots_by_others(&self) -> usize {
        self.outside.iter().filter(|(_, change)| matches!(change, OutsideChange::Rebooted { .. })).count()
    }

    /// Seconds from the start to the end, or to now.
    pub fn duration_s(&self) -> u64 {
        self.ended.unwrap_or(self.now).since_s(self.state.started)
    }
}
