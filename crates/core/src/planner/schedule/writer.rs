//! The plan written so far: steps get their ids, stages and estimates here, and costs are added up.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestId, NodeName, StepId};
use crate::plan::{Costs, NodeStep, NodeWhy, PlannedStep, StepWhy};
use crate::planner::problem::{Ongoing, Problem};
use crate::policy::ConsentKind;
use crate::snapshot::{Ha, Node};
use crate::steps::Step;

/// The node step that is being written.
pub(super) struct Draft {
    pub(super) prefix: String,
    pub(super) stage: u32,
    pub(super) steps: Vec<PlannedStep>,
}

impl Draft {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), stage: 0, steps: Vec::new() }
    }

    /// Steps added after this wait for those written so far.
    pub(super) fn next_stage(&mut self) {
        if self.steps.last().is_some_and(|step| step.stage == self.stage) {
            self.stage += 1;
        }
    }

    /// How long the steps written so far take, in seconds.
    pub(super) fn duration_s(&self) -> u64 {
        crate::plan::duration_s(&self.steps)
    }
}

pub(super) struct Writer<'a> {
    pub(super) problem: &'a Problem<'a>,
    pub(super) ha: Option<&'a Ha>,
    pub(super) ongoing: &'a Ongoing,
    /// Steps that are still to undo something and not in the plan yet, oldest first.
    pub(super) to_undo: Vec<Step>,
    pub(super) held: BTreeSet<GuestId>,
    pub(super) ejected: BTreeSet<GuestId>,
    /// Where the guests are that have moved by now.
    pub(super) at: BTreeMap<GuestId, NodeName>,
    pub(super) costs: Costs,
    pub(super) consents: BTreeMap<(ConsentKind, GuestId), (u64, String)>,
    pub(super) node_steps: Vec<NodeStep>,
    pub(super) ids: BTreeMap<String, u32>,
    pub(super) upgraded: BTreeSet<usize>,
}

impl<'a> Writer<'a> {
    pub(super) fn name(&self, node: usize) -> &'a NodeName {
        &self.problem.names[node]
    }

    pub(super) fn node(&self, name: &NodeName) -> Option<&'a Node> {
        self.problem.snapshot.nodes.get(name)
    }

    pub(super) fn ha_in_use(&self) -> bool {
        self.ha.is_some_and(|ha| ha.master.is_some() || !ha.services.is_empty())
    }

    /// Does this run still have to undo this, because the change is its own and not the administrator's?
    pub(super) fn undo(&self, step: &Step) -> bool {
        self.ongoing.to_undo.contains(step)
    }

    pub(super) fn add(&mut self, draft: &mut Draft, step: impl Into<Step>, why: StepWhy, estimate_s: Option<u64>) {
        let step = step.into();
        let kind = step.kind();
        let subject = kind.profile().about.subject().map(|subject| format!(".{subject}")).unwrap_or_default();
        let base = format!("{}.{}{subject}", draft.prefix, kind.verb());
        let count = self.ids.entry(base.clone()).or_default();
        *count += 1;
        let id = if *count == 1 { base } else { format!("{base}.{count}") };
        let estimate_s = estimate_s.unwrap_or_else(|| kind.profile().estimate_s);
        self.to_undo.retain(|to_undo| *to_undo != step);
        draft.steps.push(PlannedStep { id: StepId::new(id), stage: draft.stage, step, why, estimate_s, down_s: 0 });
    }

    /// The step that was added last takes this guest down for this many seconds.
    pub(super) fn down(&mut self, draft: &mut Draft, guest: GuestId, down_s: u64, kind: ConsentKind, what: String) {
        if let Some(planned) = draft.steps.last_mut() {
            planned.down_s = down_s;
        }
        let total = self.costs.downtime_s.entry(guest).or_default();
        *total += down_s;
        self.consents.insert((kind, guest), (*total, what));
    }

    /// Adds a step in a stage of its own.
    pub(super) fn alone(&mut self, draft: &mut Draft, step: impl Into<Step>, why: StepWhy) {
        draft.next_stage();
        self.add(draft, step, why, None);
    }

    pub(super) fn push_node_step(&mut self, node: Option<NodeName>, why: NodeWhy, draft: Draft) {
        self.costs.duration_s += draft.duration_s();
        self.node_steps.push(NodeStep { node, why, steps: draft.steps });
    }
}
