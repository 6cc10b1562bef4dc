//! Why a node has its turn then, and why a guest travels so: what a person reads beside the steps.

use crate::ids::{GuestId, NodeName};
use crate::policy::{End, tags};

use super::instance::{Move, Turn};
use super::waves::Writer;
use super::wishes::pulled_at_the_end;

impl Writer<'_> {
    /// Why this node now.
    pub(super) fn turn_why(&self, turn: &Turn, name: &NodeName) -> String {
        let policy = self.problem.policy;
        let waits =
            turn.moves.iter().filter(|step| step.from == turn.node && !self.upgraded.contains(&step.to)).count();
        let first = self.waves.is_empty();
        if self.ongoing.under_work.as_ref() == Some(name) {
            "its turn has begun".to_owned()
        } else if policy.first.contains(name) {
            "the operator wants it early".to_owned()
        } else if policy.last.contains(name) {
            "the operator wants it late".to_owned()
        } else if policy.last_nodes(self.problem.snapshot).contains(name) {
            format!("late: a guest on it has the tag {}", tags::LAST)
        } else if turn.moves.is_empty() {
            "nothing has to move".to_owned()
        } else if waits == 0 {
            "all its guests go to nodes that are upgraded".to_owned()
        } else if first {
            format!("some node must be first, and {waits} of its guests travel again later")
        } else {
            format!("{waits} of its guests travel again later")
        }
    }

    /// Why an item travels so.
    pub(super) fn leg_why(&self, leaving: Option<usize>, step: Move, guest: GuestId) -> &'static str {
        let Move { item, from, to } = step;
        let ends = self.problem.instance.items[item].ends;
        match (leaving == Some(from), self.upgraded.contains(&to)) {
            _ if leaving.is_none() && ends.is_some_and(|ends| ends.has(to)) => self.why_there(guest),
            _ if leaving.is_none() && self.problem.instance.spread.is_some() => "the nodes are to be equally full",
            (true, true) => "upgraded already: it travels once",
            (true, false) if self.nowhere_yet(item) => {
                "no node that it may be on is upgraded yet: it waits there and travels again"
            }
            (true, false) => "no upgraded node has room for it yet: it waits there and travels again",
            (false, true) => "makes room for others, on an upgraded node",
            (false, false) => "makes room for others",
        }
    }

    /// Why a guest is to be where it ends.
    fn why_there(&self, guest: GuestId) -> &'static str {
        let ha_wants =
            self.ha.is_some_and(|ha| pulled_at_the_end(ha, guest, &self.problem.names, &self.ongoing.owed).is_some());
        match self.problem.policy.end {
            End::Anywhere | End::Balanced if ha_wants => "HA prefers it there, and would take it there without asking",
            _ => "it belongs there at the end",
        }
    }

    /// Is no node upgraded yet that this item may be on?
    fn nowhere_yet(&self, item: usize) -> bool {
        let item = &self.problem.instance.items[item];
        !item.lands().without(item.home).iter().any(|node| self.upgraded.contains(&node))
    }
}
