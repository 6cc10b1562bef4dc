//! From the solved placement problem to steps with ids, stages, reasons and estimates.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestId, NodeName};
use crate::plan::{Consent, Costs, NodeStep, NodeWhy, StepWhy};
use crate::planner::problem::instance::Solution;
use crate::planner::problem::{Ongoing, Problem, has_turn, node_of};
use crate::steps::{Failback, FinalCheck, RefreshPackages, WaitEmpty, undo};

use super::overlap::{self, InTime};
use super::staging::Stages;
use super::writer::{Draft, Writer};

/// The node steps, with the costs and consents that they add up to.
pub(super) struct Written {
    pub(super) node_steps: Vec<NodeStep>,
    pub(super) costs: Costs,
    pub(super) consents: Vec<Consent>,
}

/// Writes the whole plan.
pub(super) fn write(problem: &Problem<'_>, solution: &Solution, ongoing: &Ongoing) -> Written {
    let mut writer = Writer {
        problem,
        ha: problem.snapshot.ha.known(),
        ongoing,
        to_undo: ongoing.to_undo.clone(),
        held: BTreeSet::new(),
        ejected: BTreeSet::new(),
        at: BTreeMap::new(),
        costs: Costs::default(),
        consents: BTreeMap::new(),
        node_steps: Vec::new(),
        ids: BTreeMap::new(),
        upgraded: problem.instance.ready().iter().collect(),
    };
    let mut stages = Stages::new(&problem.instance);
    let begun = usize::from(ongoing.current_node.is_some()).min(solution.turns.len());
    let turns = overlap::in_time(problem, solution, |node| writer.reboot_why(node).is_some());
    for (number, turn) in turns.iter().enumerate() {
        if number == begun {
            writer.debts();
        }
        writer.turn(turn, &mut stages);
    }
    if begun == turns.len() {
        writer.debts();
    }
    writer.last_node_step();
    let say = |((kind, guest), (downtime_s, what))| Consent { kind, guest, downtime_s, what };
    Written {
        node_steps: writer.node_steps,
        costs: writer.costs,
        consents: writer.consents.into_iter().map(say).collect(),
    }
}

impl Writer<'_> {
    fn turn(&mut self, InTime { turn, meanwhile, next }: &InTime, stages: &mut Stages<'_>) {
        if let Some(drain) = &self.ongoing.drain {
            return self.drained(turn, drain, stages);
        }
        let name = self.name(turn.node).clone();
        let mut draft = Draft::new(name.as_str());
        self.add(&mut draft, RefreshPackages { node: name.clone() }, StepWhy::RepositoriesFirst, None);
        self.quieten(&mut draft);
        self.start_half_way(&mut draft);
        self.prepare(&mut draft, &[turn.moves.as_slice(), meanwhile].concat());
        self.mode(&mut draft, Some(turn.node), &turn.moves, stages);
        self.shut_down(&mut draft, turn.node, &name);
        self.alone(&mut draft, WaitEmpty { node: name.clone() }, StepWhy::AskedFirst);
        let maintenance = self.enter_maintenance(&mut draft, &name);
        let noout = self.set_noout(&mut draft, &name);
        self.upgrade(&mut draft, &name);
        self.reboot(&mut draft, &name);
        self.mode(&mut draft, *next, meanwhile, stages);
        self.give_back(&mut draft, &name, noout, maintenance);
        let why = self.turn_why(turn, &name);
        self.upgraded.insert(turn.node);
        self.prepare(&mut draft, &turn.back);
        self.mode(&mut draft, None, &turn.back, stages);
        self.push_node_step(Some(name), why, draft);
    }

    /// Nodes that need no upgrade, but on which a change of ours is still to undo.
    fn debts(&mut self) {
        let nodes: BTreeSet<NodeName> = self.to_undo.iter().filter_map(node_of).collect();
        for name in nodes {
            // On a node that is upgraded, this happens in its node step.
            if self.node(&name).is_some_and(|node| has_turn(self.problem.snapshot, node, self.ongoing)) {
                continue;
            }
            let mut draft = Draft::new(name.as_str());
            self.give_back(&mut draft, &name, None, false);
            self.push_node_step(Some(name), NodeWhy::ToUndo, draft);
        }
    }

    fn last_node_step(&mut self) {
        let mut draft = Draft::new("cluster");
        let held: Vec<GuestId> = self.held.iter().copied().collect();
        for guest in held {
            self.add(&mut draft, undo(Failback { guest }), StepWhy::UndoFailback, None);
        }
        self.put_back(&mut draft);
        for step in std::mem::take(&mut self.to_undo) {
            self.add(&mut draft, step, StepWhy::Undo, None);
        }
        self.alone(&mut draft, FinalCheck { drained: self.ongoing.drain.is_some() }, StepWhy::LastLook);
        self.push_node_step(None, NodeWhy::Cluster, draft);
    }
}
