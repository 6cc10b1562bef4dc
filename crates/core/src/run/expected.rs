//! What a run expects to see again at its next look: in which boot each node is, and which guests run where.
//!
//! It is what was seen first, and what the run's own steps and the changes from outside have made of it since.

use std::collections::BTreeMap;

use serde::Serialize;

use super::outside::OutsideChange;
use crate::ids::{BootId, GuestId, NodeName};
use crate::steps::{OnNode, Step};

/// What is expected.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Expected {
    /// The boot of each node that was seen, except one that this run is rebooting or has just rebooted.
    pub boots: BTreeMap<NodeName, BootId>,
    /// The guests that run, each with its node.
    pub running: BTreeMap<GuestId, NodeName>,
}

impl Expected {
    /// This was seen for the first time.
    pub(super) fn seen(&mut self, boots: &BTreeMap<NodeName, BootId>, running: &BTreeMap<GuestId, NodeName>) {
        self.boots.extend(boots.clone());
        self.running.extend(running.clone());
    }

    /// A change from outside was noted.
    pub(super) fn changed_outside(&mut self, change: &OutsideChange) {
        match change {
            // The boot that it is in now is seen next, and so are the guests that run again.
            OutsideChange::Rebooted { node, guests, .. } => {
                self.boots.remove(node);
                self.running.retain(|guest, _| !guests.contains(guest));
            }
            OutsideChange::Stopped { guest, .. } => drop(self.running.remove(guest)),
            OutsideChange::Moved { guest, to, .. } => drop(self.running.insert(*guest, to.clone())),
        }
    }

    /// A step of this run is done.
    pub(super) fn changed_by(&mut self, step: &Step) {
        if let Some(node) = step.node().filter(|_| step.on_node() == OnNode::Reboots) {
            self.boots.remove(node);
        }
        // Hours or days may have passed in which no driver looked: all is seen anew.
        if step.on_node() == OnNode::HandsOver {
            *self = Self::default();
        }
        if let Some(moved) = step.moves()
            && let Some(node) = self.running.get_mut(&moved.guest)
        {
            *node = moved.to.clone();
        }
        if let Some(guest) = step.stops() {
            self.running.remove(&guest);
        }
        if let (Some(guest), Some(node)) = (step.starts_in_place(), step.node()) {
            self.running.insert(guest, node.clone());
        }
    }
}
