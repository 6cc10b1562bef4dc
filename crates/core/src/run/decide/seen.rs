//! What goes into a decision beside the run's state: everything that one driver has read.
//!
//! A decision asks for what is missing here, by an action. Most of it is valid only until the next wait, and is dropped
//! then ([`Seen::turn`]); a few things are kept for as long as the driver runs. None of it is in the journal.

use std::collections::VecDeque;
use std::sync::Arc;

use super::action::{Depth, Start};
use crate::checks::Asked::BeforeEachNode;
use crate::checks::{Finding, Severity, run_all};
use crate::ids::UnixMs;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::recovery::QuorumViews;
use crate::run::event::Request;
use crate::run::planning::Planned;
use crate::run::state::RunState;
use crate::snapshot::{OlderJournal, Snapshot};
use crate::steps::OnNode;

/// Seconds between two looks at everything while only that shows what is waited for.
const EVERYTHING_AGAIN_S: u64 = 60;

/// Everything that one driver has read.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Does this process end when the run pauses?
    pub leaves_when_paused: bool,
    /// Requests that are not handled yet, oldest first.
    pub asked: VecDeque<Asked>,
    /// Every node's own view of the votes.
    pub quorum_views: Option<QuorumViews>,
    /// Is the driver's lock in the cluster ours?
    pub lock: Option<Hold>,
    /// The cluster.
    pub look: Option<Look>,
    /// A plan that was made, or why there is none.
    pub new_plan: Option<NewPlan>,
    /// The cluster when every node is done.
    pub last_look: Option<LastLook>,
    /// Since when the lock cannot be held.
    pub unsure_since: Option<UnixMs>,
    /// Since when there is no plan because something cannot be read.
    pub unread_since: Option<UnixMs>,
    /// Decisions since the last look.
    pub(super) decisions: u32,
    /// Were the requests read?
    pub(super) listened: bool,
    /// Was there a look at everything, and in which part of the plan?
    looked_in: Option<Option<usize>>,
    /// When everything was looked at last.
    everything: Option<UnixMs>,
    /// Was the plan compared with what is there?
    reviewed: bool,
    /// Must the next look be at everything, whatever was seen before?
    anew: bool,
}

/// A request from another process or the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its row in the journal; none if it came with the command that started this driver.
    pub seq: Option<u64>,
    /// The request.
    pub request: Request,
    /// Who asks, in words.
    pub by: String,
}

/// Is the driver's lock in the cluster ours?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Yes, and other drivers keep away.
    Ours,
    /// Another driver has it: its name, in words.
    Theirs(String),
    /// The cluster's lock names an event that our journal does not have.
    OlderJournal(Box<OlderJournal>),
    /// It could not be taken or renewed, or not yet: another driver's has to expire first; why.
    Unsure(String),
}

/// One look at the cluster.
#[derive(Clone, Debug)]
pub struct Look {
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// What the checks find; none after a look at changes only, which reads too little for them.
    pub findings: Option<Vec<Finding>>,
    /// Is the plan to be compared with it?
    pub(super) review: bool,
    /// Were guests being moved by us then? Otherwise corosync's complaints say nothing about the migrations.
    pub(super) moves: bool,
}

/// The result of an attempt to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPlan {
    /// The plan, or why there is none.
    pub planned: Planned,
    /// What to do if it is the old one.
    pub else_start: Option<Start>,
}

/// The look at the whole cluster when every node is done.
#[derive(Clone, Debug)]
pub struct LastLook {
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// What was found by the checks that are asked before each node.
    pub findings: Vec<Finding>,
}

impl Seen {
    /// Of a driver that holds the lock, has handled every request and has just looked.
    pub fn of(state: &RunState, snapshot: &Snapshot) -> Self {
        let mut seen = Self { lock: Some(Hold::Ours), listened: true, ..Self::default() };
        seen.look = Some(Look::new(state, Arc::new(snapshot.clone()), Depth::Changes));
        seen
    }

    /// How deep the next look must be: at everything where a node step begins, or where a driver has just started.
    pub(super) fn depth(&self, state: &RunState) -> Depth {
        if self.anew || self.looked_in != Some(current_node_step(state)) { Depth::Everything } else { Depth::Changes }
    }

    /// How deep the look after a wait is, for one that waits for what only a look at everything shows. It is a load, and
    /// in between the lock is renewed and requests are heard as always.
    pub(super) fn depth_after_a_wait(&self, now: UnixMs) -> Depth {
        let is_old = self.everything.is_none_or(|taken| now.since_s(taken) >= EVERYTHING_AGAIN_S);
        if is_old { Depth::Everything } else { Depth::Changes }
    }

    /// The requests were read.
    pub fn listened(&mut self, asked: impl IntoIterator<Item = Asked>) {
        self.listened = true;
        self.asked.extend(asked);
    }

    /// The oldest request was handled. After `resume` the cluster is looked at as if the driver had just started: what
    /// was fixed may want another plan.
    pub fn heard(&mut self) -> Option<Asked> {
        let asked = self.asked.pop_front()?;
        if matches!(asked.request, Request::Resume | Request::Undrain) {
            (self.anew, self.reviewed) = (true, false);
        }
        Some(asked)
    }

    /// Records the result of taking or renewing the lock.
    pub fn held(&mut self, hold: Hold, now: UnixMs) {
        self.unsure_since = match &hold {
            Hold::Unsure(_) => self.unsure_since.or(Some(now)),
            Hold::Ours | Hold::Theirs(_) | Hold::OlderJournal(_) => None,
        };
        self.lock = Some(hold);
    }

    /// The cluster was looked at.
    pub fn looked(&mut self, state: &RunState, snapshot: Arc<Snapshot>, depth: Depth) {
        let taken = snapshot.taken;
        let mut look = Look::new(state, snapshot, depth);
        if depth == Depth::Everything {
            self.everything = Some(taken);
            look.review = !self.reviewed && may_review(state);
            self.reviewed = true;
        }
        (self.anew, self.looked_in, self.decisions) = (false, Some(current_node_step(state)), 0);
        self.look = Some(look);
    }

    /// The plan was compared with the look, or another one was asked for.
    pub fn planned(&mut self, planned: Option<Planned>, else_start: Option<Start>, now: UnixMs) {
        let reviewing = self.look.as_mut().is_some_and(|look| std::mem::take(&mut look.review));
        let Some(planned) = planned else { return };
        if planned.made.is_ok() {
            self.unread_since = None;
        } else {
            self.unread_since.get_or_insert(now);
            self.reviewed &= !reviewing;
        }
        self.new_plan = Some(NewPlan { planned, else_start });
    }

    /// One more decision is made. A new plan is for this one only.
    pub fn decided(&mut self) {
        self.decisions += 1;
        self.new_plan = None;
    }

    /// Time has passed, or something was changed: the cluster and the requests are read again.
    pub fn turn(&mut self) {
        (self.quorum_views, self.lock, self.look, self.last_look, self.listened) = (None, None, None, None, false);
    }

    /// The same, and the next look is at everything.
    pub fn turn_anew(&mut self) {
        self.turn();
        self.anew = true;
    }

    /// The run has continued by itself: the cluster is looked at as if the driver had just started.
    pub fn resumed(&mut self) {
        self.turn_anew();
        self.reviewed = false;
    }

    /// The run pauses: what it waited for starts again when it continues.
    pub fn paused(&mut self) {
        self.turn();
        self.unread_since = None;
    }
}

impl Look {
    fn new(state: &RunState, snapshot: Arc<Snapshot>, depth: Depth) -> Self {
        let findings = (depth == Depth::Everything).then(|| state.findings(&snapshot, BeforeEachNode));
        let moves = state.under_way().any(|(_, record)| record.step.is_move());
        Self { snapshot, findings, review: false, moves }
    }
}

impl LastLook {
    /// What is worth reporting about the cluster when every node is done, the worst first.
    pub fn of(snapshot: Arc<Snapshot>, policy: &Policy) -> Self {
        let mut findings = run_all(&snapshot, policy, BeforeEachNode);
        findings.retain(|finding| finding.severity > Severity::Info);
        Self { snapshot, findings }
    }
}

/// The part of the plan with the first step that is not done.
fn current_node_step(state: &RunState) -> Option<usize> {
    let plan = state.plan.as_ref()?;
    plan.node_steps.iter().position(|node_step| node_step.steps.iter().any(|step| !state.is_done(&step.id)))
}

/// Between two nodes nothing is under way, so that a fresh plan can be compared with the rest of the old one.
fn may_review(state: &RunState) -> bool {
    let stands = state.only_undoes() || state.paused.is_some() || state.under_way().next().is_some();
    // A driver that starts while a node is coming back: daemons and data follow by themselves, and the proof waits
    // for them.
    let next =
        |plan: &Plan| plan.steps().find(|(_, step)| !state.is_done(&step.id)).map(|(_, step)| step.step.on_node());
    !stands && state.plan.as_ref().is_some_and(|plan| next(plan) != Some(OnNode::WaitsBack))
}
