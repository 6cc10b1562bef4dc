//! Where guests should be at the end: because the operator prefers it, or because HA would move them there by itself.
//!
//! HA moves a guest back to the nodes that its rules prefer as soon as failback is set back, without considering
//! memory. So the plan moves it there itself, while failback is held, and checks every rule: it is the same migration,
//! but it is in the plan. What is left for HA to do is counted beside the plan's own moves.

use std::collections::BTreeSet;

use crate::ids::{GuestId, NodeName};
use crate::policy::End;
use crate::snapshot::Ha;
use crate::steps::{Failback, Step, undo};

use super::instance::NodeSet;
use super::managed;
use super::reader::Reader;

/// The nodes that HA moves a guest to by itself as soon as one of them is online: those with the highest priority in a
/// rule, if failback is on. None if HA has no preference.
pub(in crate::planner) fn pulled_to<'a>(
    ha: &'a Ha,
    guest: GuestId,
    names: &[NodeName],
) -> Option<BTreeSet<&'a NodeName>> {
    if managed(ha, guest).is_some_and(|service| service.failback) { preferred(ha, guest, names) } else { None }
}

/// The same for the end of a run: failback is on by then, or on again.
pub(in crate::planner) fn pulled_at_the_end<'a>(
    ha: &'a Ha,
    guest: GuestId,
    names: &[NodeName],
    to_undo: &[Step],
) -> Option<BTreeSet<&'a NodeName>> {
    if is_held(guest, to_undo) { preferred(ha, guest, names) } else { pulled_to(ha, guest, names) }
}

/// Is its failback off because this run holds it?
fn is_held(guest: GuestId, to_undo: &[Step]) -> bool {
    to_undo.contains(&undo(Failback { guest }))
}

fn preferred<'a>(ha: &'a Ha, guest: GuestId, names: &[NodeName]) -> Option<BTreeSet<&'a NodeName>> {
    ha.preferred(guest, &names.iter().collect())
}

impl Reader<'_> {
    /// Where a guest was when the run began. It cannot move back to a node that is gone.
    pub(super) fn began(&self, guest: GuestId, home: usize) -> usize {
        self.homes.get(&guest).and_then(|name| self.number.get(name).copied()).unwrap_or(home)
    }

    /// Where a guest should end, if that matters.
    pub(super) fn ends(&self, guest: GuestId, home: usize, allowed: NodeSet) -> Option<NodeSet> {
        let number = |name: &NodeName| self.number.get(name).copied();
        if self.policy.end == End::Home {
            return Some(NodeSet::EMPTY.with(self.began(guest, home)));
        }
        let spare: NodeSet = self.policy.spare.iter().filter_map(number).collect();
        let wanted = allowed.minus(spare);
        let pulled = self.pulled(guest, home).map(|pulled| wanted.and(pulled)).filter(|pulled| !pulled.is_empty());
        pulled.or_else(|| (!allowed.and(spare).is_empty() && !wanted.is_empty()).then_some(wanted))
    }

    /// Where HA would move it once the run has ended.
    fn pulled(&self, guest: GuestId, home: usize) -> Option<NodeSet> {
        let to = pulled_at_the_end(self.ha, guest, &self.names, self.to_undo)?;
        let to: NodeSet = to.into_iter().filter_map(|name| self.number.get(name).copied()).collect();
        // A guest that HA leaves where it is now stays there at the end as well.
        Some(if is_held(guest, self.to_undo) || to.has(home) { to } else { to.with(home) })
    }
}
