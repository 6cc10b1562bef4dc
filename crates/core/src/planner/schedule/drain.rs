//! The node step of a drain: the node is emptied and handed over, and everything is undone once it is given back.

use crate::ids::NodeName;
use crate::plan::{NodeWhy, StepWhy};
use crate::planner::problem::Drain;
use crate::planner::problem::instance::Turn;
use crate::steps::{HandOver, Noout, WaitEmpty};

use super::staging::Stages;
use super::writer::{Draft, Writer};

impl Writer<'_> {
    pub(super) fn drained(&mut self, turn: &Turn, drain: &Drain, stages: &mut Stages<'_>) {
        let name = self.name(turn.node).clone();
        let mut draft = Draft::new(name.as_str());
        let (noout, maintenance) = match drain.given_back {
            true => (None, false),
            false => self.emptied(&mut draft, &name, turn, stages),
        };
        self.give_back(&mut draft, &name, noout, maintenance);
        self.prepare(&mut draft, &turn.back);
        self.mode(&mut draft, None, &turn.back, stages);
        self.push_node_step(Some(name), NodeWhy::Drained, draft);
    }

    /// The first half. Returns what was set for the node.
    fn emptied(
        &mut self,
        draft: &mut Draft,
        name: &NodeName,
        turn: &Turn,
        stages: &mut Stages<'_>,
    ) -> (Option<Noout>, bool) {
        self.quieten(draft);
        self.start_half_way(draft);
        self.prepare(draft, &turn.moves);
        self.mode(draft, Some(turn.node), &turn.moves, stages);
        self.shut_down(draft, turn.node, name);
        self.alone(draft, WaitEmpty { node: name.clone() }, StepWhy::AskedFirst);
        let maintenance = self.enter_maintenance(draft, name);
        let noout = self.set_noout(draft, name);
        self.starts_at_boot(name);
        let starts_guests = self.to_undo.iter().any(|step| step.starts().is_some() && step.node() == Some(name));
        let without = self.not_waited_for(name, starts_guests);
        self.alone(draft, HandOver { node: name.clone(), without }, StepWhy::HandedOver);
        (noout, maintenance)
    }
}
