//! What goes into a decision beside the run's state: all that one driver has seen and heard.
//!
//! What is missing here a decision asks for, by an action. Most of it is good until the next wait only, and is forgotten
//! then ([`Seen::turn`]); a few things are remembered for as long as the driver lives. Nothing of it is in the journal.

use std::collections::VecDeque;
use std::sync::Arc;

use super::action::{Depth, Start};
use crate::checks::{Asked::BeforeEachNode, asked};
use crate::checks::{Finding, Severity, run_all};
use crate::ids::UnixMs;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::recovery::QuorumViews;
use crate::run::event::Request;
use crate::run::planning::Planned;
use crate::run::state::RunState;
use crate::snapshot::Snapshot;
use crate::steps::OnNode;

/// What one driver has seen and heard.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Does this process end when the run stands still?
    pub leaves_when_paused: bool,
    /// Requests that are not heard yet, oldest first.
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
    /// Was the plan held against what is there?
    reviewed: bool,
    /// Is the next look to be at everything, whatever was seen before?
    anew: bool,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its row in the journal; none if it was said on the way here.
    pub seq: Option<u64>,
    /// What.
    pub request: Request,
    /// Who, in words.
    pub by: String,
}

/// Is the driver's lock in the cluster ours?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Yes, and other drivers keep away.
    Ours,
    /// Another driver has it: who, in words.
    Theirs(String),
    /// It could not be taken or renewed; why.
    Unsure(String),
}

/// One look at the cluster.
#[derive(Clone, Debug)]
pub struct Look {
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// What the checks find; none after a look at changes only, which reads too little for them.
    pub findings: Option<Vec<Finding>>,
    /// Is the plan to be held against it?
    pub(super) review: bool,
    /// Did guests travel by our hand then? Corosync's complaints are no sign otherwise.
    pub(super) moves: bool,
}

/// What came of an attempt to plan.
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
    /// Of a driver that holds the lock, has heard every request and has just looked.
    pub fn of(state: &RunState, snapshot: &Snapshot) -> Self {
        let mut seen = Self { lock: Some(Hold::Ours), listened: true, ..Self::default() };
        seen.look = Some(Look::new(state, Arc::new(snapshot.clone()), Depth::Changes));
        seen
    }

    /// How deep the next look must be: at everything where a node begins, or where a driver has just come.
    pub(super) fn depth(&self, state: &RunState) -> Depth {
        if self.anew || self.looked_in != Some(current_node_step(state)) { Depth::Everything } else { Depth::Changes }
    }

    /// The requests were read.
    pub fn listened(&mut self, asked: impl IntoIterator<Item = Asked>) {
        self.listened = true;
        self.asked.extend(asked);
    }

    /// The oldest request was heard. After `resume` the cluster is looked at as if the driver had just come: what was
    /// fixed may want another plan.
    pub fn heard(&mut self) -> Option<Asked> {
        let asked = self.asked.pop_front()?;
        if asked.request == Request::Resume {
            (self.anew, self.reviewed) = (true, false);
        }
        Some(asked)
    }

    /// The lock was asked for.
    pub fn held(&mut self, hold: Hold, now: UnixMs) {
        self.unsure_since = match &hold {
            Hold::Unsure(_) => self.unsure_since.or(Some(now)),
            Hold::Ours | Hold::Theirs(_) => None,
        };
        self.lock = Some(hold);
    }

    /// The cluster was looked at.
    pub fn looked(&mut self, state: &RunState, snapshot: Arc<Snapshot>, depth: Depth) {
        let mut look = Look::new(state, snapshot, depth);
        if depth == Depth::Everything {
            look.review = !self.reviewed && may_review(state);
            self.reviewed = true;
        }
        (self.anew, self.looked_in, self.decisions) = (false, Some(current_node_step(state)), 0);
        self.look = Some(look);
    }

    /// The plan was held against the look, or another one was asked for.
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

    /// Time has passed, or something was changed: it is looked, listened and asked again.
    pub fn turn(&mut self) {
        (self.quorum_views, self.lock, self.look, self.last_look, self.listened) = (None, None, None, None, false);
    }

    /// The same, and the next look is at everything.
    pub fn turn_anew(&mut self) {
        self.turn();
        self.anew = true;
    }

    /// The run stands still: what it waited for begins anew with it.
    pub fn paused(&mut self) {
        self.turn();
        self.unread_since = None;
    }
}

impl Look {
    fn new(state: &RunState, snapshot: Arc<Snapshot>, depth: Depth) -> Self {
        let findings = (depth == Depth::Everything).then(|| run_all(&snapshot, &state.policy));
        let moves = state.under_way().any(|(_, record)| record.step.is_move());
        Self { snapshot, findings, review: false, moves }
    }
}

impl LastLook {
    /// What is worth telling of the cluster when every node is done, the worst first.
    pub fn of(snapshot: Arc<Snapshot>, policy: &Policy) -> Self {
        let mut findings = run_all(&snapshot, policy);
        findings.retain(|finding| finding.severity > Severity::Info && asked(&finding.check) == BeforeEachNode);
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
    // A driver that comes while a node is on its way back: daemons and data follow it by themselves, and the proof waits
    // for them.
    let next =
        |plan: &Plan| plan.steps().find(|(_, step)| !state.is_done(&step.id)).map(|(_, step)| step.step.on_node());
    !stands && state.plan.as_ref().is_some_and(|plan| next(plan) != Some(OnNode::WaitsBack))
}
