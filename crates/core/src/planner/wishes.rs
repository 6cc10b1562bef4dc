//! Where guests are to be at the end by the operator's wish, and where HA will take them of its own accord.
//!
//! HA's pull is no wish: failback is held for the run, and what HA does when it is given back is told, not planned.

use std::collections::BTreeSet;

use crate::ids::{GuestId, NodeName};
use crate::policy::End;
use crate::snapshot::Ha;

use super::instance::NodeSet;
use super::problem::{Reader, managed};

/// The nodes that HA takes a guest to by itself as soon as one of them is there: those with the highest priority in a
/// rule, if failback is on. None if all nodes are alike to it.
pub(super) fn pulled_to<'a>(ha: &'a Ha, guest: GuestId, names: &[NodeName]) -> Option<BTreeSet<&'a NodeName>> {
    if !managed(ha, guest).is_some_and(|service| service.failback) {
        return None;
    }
    ha.preferred(guest, &names.iter().collect())
}

impl Reader<'_> {
    /// Where a guest is to end, if that is not all the same.
    pub(super) fn ends(&self, home: usize, allowed: NodeSet) -> Option<NodeSet> {
        let number = |name: &NodeName| self.number.get(name).copied();
        if self.policy.end == End::Home {
            return Some(NodeSet::EMPTY.with(home));
        }
        let spare: NodeSet = self.policy.spare.iter().filter_map(number).collect();
        let wished = allowed.minus(spare);
        (!allowed.and(spare).is_empty() && !wished.is_empty()).then_some(wished)
    }
}
