//! How far the upgrade of each node is, as far as a run did it.

use super::{StepView, View};
use crate::ids::NodeName;
use crate::steps::OnNode;

/// How far the upgrade of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// Its packages are as they were.
    No,
    /// apt was begun, and was not seen to end well.
    HalfWay,
    /// New packages, and still the old boot.
    NotRebooted,
    /// New packages, and booted with them where that was needed.
    Wholly,
}

impl View {
    /// How far the packages and the boot of a node are, as far as this run did it.
    pub fn upgraded(&self, node: &NodeName) -> Upgraded {
        let of = |on: OnNode| {
            self.steps.iter().rev().find(move |step| step.node.as_ref() == Some(node) && step.step.on_node() == on)
        };
        let is_done = |step: &StepView| step.ended.as_ref().is_some_and(|(_, outcome)| outcome.is_done());
        match (of(OnNode::Upgrades), of(OnNode::Reboots)) {
            (Some(packages), _) if !is_done(packages) && packages.attempts > 0 => Upgraded::HalfWay,
            (Some(packages), Some(reboot)) if is_done(packages) && is_done(reboot) => Upgraded::Wholly,
            (Some(packages), _) if is_done(packages) && self.reboots_in_plan(node) => Upgraded::NotRebooted,
            (Some(packages), _) if is_done(packages) => Upgraded::Wholly,
            _ => Upgraded::No,
        }
    }

    fn reboots_in_plan(&self, node: &NodeName) -> bool {
        let mut steps = self.state.plan.iter().flat_map(|plan| plan.steps());
        steps.any(|(_, planned)| planned.step.on_node() == OnNode::Reboots && planned.step.node() == Some(node))
    }
}
