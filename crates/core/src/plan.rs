//! A plan: every step for every node, with its costs and the consents that it asks for.

mod no_plan;
mod no_room;
mod upgrades;
mod why;
mod why_no_plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{GuestId, NodeName, PlanId, StepId, UnixMs};
use crate::policy::{ConsentKind, Policy};
use crate::snapshot::Snapshot;
use crate::steps::{OnNode, Step};
use upgrades::upgrades;

pub use no_plan::{Bond, Missing, NoPlan, Reason};
pub use no_room::{Help, Hindrance, Hole, NoRoom, Proof, Relaxation};
pub use upgrades::{PackageChange, Upgrade};
pub use why::{BoundWhy, MoveWhy, NodeWhy, RebootWhy, StepWhy};
pub use why_no_plan::WhyNoPlan;

/// The whole run as it is meant to go. Node steps are done one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// SHA-256 over what the plan is: its steps, the versions and the consents. Not over the moment of the look, what
    /// is estimated, or the run that follows it: the same plan of an unchanged cluster has the same id.
    pub id: PlanId,
    /// The plan that this one replaces.
    pub parent: Option<PlanId>,
    /// When the snapshot that it was made from was taken.
    pub snapshot_taken: UnixMs,
    /// One per node, then a last one for the whole cluster.
    pub node_steps: Vec<NodeStep>,
    /// What it costs.
    pub costs: Costs,
    /// What it needs the operator's consent for, whether already given or not.
    pub consents: Vec<Consent>,
    /// The number of moves that no plan can go below.
    pub bound: Bound,
    /// SHA-256 over what it was made for and does not change itself: guests, nodes, rules, preferences. While that
    /// is the same, planning again would change nothing.
    #[serde(default)]
    pub world: String,
    /// What becomes of the packages of the nodes.
    #[serde(default)]
    pub upgrades: Vec<Upgrade>,
    /// The names of the guests that its steps are about.
    #[serde(default)]
    pub names: BTreeMap<GuestId, String>,
}

/// The steps that upgrade one node: "node 2 of 5".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeStep {
    /// The node; none for the last node step, which is about the whole cluster.
    pub node: Option<NodeName>,
    /// Why this node now.
    pub why: NodeWhy,
    /// Steps in order of their stage.
    pub steps: Vec<PlannedStep>,
}

impl NodeStep {
    /// Are the node's packages upgraded?
    pub fn upgrades(&self) -> bool {
        self.steps.iter().any(|planned| planned.step.on_node() == OnNode::Upgrades)
    }

    /// Expected duration in seconds: steps of one stage run together, and guests that move after the reboot command do
    /// so while the node is away.
    pub fn duration_s(&self) -> u64 {
        duration_s(&self.steps)
    }
}

/// The same for the steps of a node step, or the first of them.
pub(crate) fn duration_s(steps: &[PlannedStep]) -> u64 {
    let (mut total, mut hidden_in) = (0_u64, 0_u64);
    for stage in steps.chunk_by(|one, next| one.stage == next.stage) {
        let longest = stage.iter().map(|planned| planned.estimate_s).max().unwrap_or(0);
        let only_moves = stage.iter().all(|planned| planned.step.is_move());
        let visible = if only_moves { longest.saturating_sub(hidden_in) } else { longest };
        hidden_in = match stage {
            [planned] if planned.step.on_node() == OnNode::Reboots => longest,
            _ if only_moves => hidden_in.saturating_sub(longest),
            _ => 0,
        };
        total = total.saturating_add(visible);
    }
    total
}

/// A step with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// `pve1.migrate.vm:101`: the node of the node step, the verb, the subject. Stable across new plans.
    pub id: StepId,
    /// Steps of one stage may run together, within the policy's limits; a stage begins when the one before has ended.
    pub stage: u32,
    /// What to do.
    pub step: Step,
    /// Why it is in the plan.
    pub why: StepWhy,
    /// Expected duration in seconds.
    pub estimate_s: u64,
    /// Expected downtime in seconds of the guest that this step takes down; 0 if it takes none down.
    #[serde(default)]
    pub down_s: u64,
}

/// What a plan costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// Moves of guests, of any kind.
    pub moves: u32,
    /// Memory and local disks that are transferred, in bytes.
    pub bytes: u64,
    /// Expected downtime in seconds, by guest; guests without downtime are left out.
    pub downtime_s: BTreeMap<GuestId, u64>,
    /// Nodes that are rebooted.
    pub reboots: u32,
    /// Guests that are stopped and that PVE starts when their node has booted (onboot), with that node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub starts: BTreeMap<GuestId, NodeName>,
    /// Expected duration in seconds.
    pub duration_s: u64,
}

/// One thing that needs the operator's consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// What kind.
    pub kind: ConsentKind,
    /// The guest it is about.
    pub guest: GuestId,
    /// Expected downtime in seconds.
    pub downtime_s: u64,
    /// What happens, in words.
    pub what: String,
}

/// A lower bound of the moves that any plan needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Moves.
    pub moves: u32,
    /// Bytes.
    pub bytes: u64,
    /// How it comes about.
    pub why: BoundWhy,
}

/// So many differences between two plans are named.
const MOST_DIFFERENCES: usize = 40;

impl Plan {
    /// Builds a plan and names it by its content.
    pub fn new(
        parent: Option<PlanId>,
        snapshot_taken: UnixMs,
        node_steps: Vec<NodeStep>,
        costs: Costs,
        consents: Vec<Consent>,
        bound: Bound,
    ) -> Self {
        let (world, upgrades, names) = (String::new(), Vec::new(), BTreeMap::new());
        let id = PlanId::new("");
        Self { id, parent, snapshot_taken, node_steps, costs, consents, bound, world, upgrades, names }.named()
    }

    /// The same, with the world that it was made for and the versions that are offered there.
    #[must_use]
    pub fn made_for(mut self, snapshot: &Snapshot, world: String) -> Self {
        let upgraded = self.node_steps.iter().filter(|node_step| node_step.upgrades());
        self.upgrades = upgrades(snapshot, upgraded.filter_map(|node_step| node_step.node.as_ref()));
        let guests = self.steps().filter_map(|(_, planned)| planned.step.guest());
        let named = guests.filter_map(|guest| Some((guest, snapshot.guests.get(&guest)?.name.clone())));
        self.names = named.collect();
        self.world = world;
        self.named()
    }

    fn named(mut self) -> Self {
        let whats: Vec<(Option<&NodeName>, u32, Step)> = self
            .node_steps
            .iter()
            .flat_map(|node_step| node_step.steps.iter().map(move |step| (node_step.node.as_ref(), step)))
            .map(|(node, planned)| (node, planned.stage, planned.step.of_any_run()))
            .collect();
        let json = serde_json::to_vec(&(whats, &self.consents, &self.upgrades))
            .expect("a plan is plain data and always serialises");
        let hex: String = Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect();
        self.id = PlanId::new(hex);
        self
    }

    /// In what another plan differs from this one, a line each; empty if they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let steps =
            |plan: &Self| -> Vec<String> { plan.steps().map(|(_, planned)| planned.step.kind().title()).collect() };
        let (mine, theirs) = (steps(self), steps(other));
        let only = |of: &[String], not: &[String], words: &str| -> Vec<String> {
            of.iter().filter(|step| !not.contains(step)).map(|step| format!("{words}: {step}")).collect()
        };
        let mut lines = only(&mine, &theirs, "not any more");
        lines.extend(only(&theirs, &mine, "new"));
        if lines.is_empty() && mine != theirs {
            lines.push("the same steps, in another order".to_owned());
        }
        if self.upgrades != other.upgrades {
            lines.extend(upgrades::differences(&self.upgrades, &other.upgrades));
        }
        if self.consents != other.consents {
            lines.push("the consents that it needs".to_owned());
        }
        lines.truncate(MOST_DIFFERENCES);
        lines
    }

    /// How long each guest may be down if this plan is agreed to: what is planned, and the policy's margin.
    pub fn downtime_allowed_s(&self, policy: &Policy) -> BTreeMap<GuestId, u64> {
        self.costs.downtime_s.iter().map(|(guest, planned_s)| (*guest, policy.with_margin_s(*planned_s))).collect()
    }

    /// Is it that of a drain, which upgrades nothing? Its last look says so.
    pub fn is_a_drain(&self) -> bool {
        self.steps().any(|(_, planned)| matches!(&planned.step, Step::FinalCheck(last) if last.drained))
    }

    /// All steps in order, with the node of their node step.
    pub fn steps(&self) -> impl Iterator<Item = (Option<&NodeName>, &PlannedStep)> {
        self.node_steps
            .iter()
            .flat_map(|node_step| node_step.steps.iter().map(move |step| (node_step.node.as_ref(), step)))
    }
}

#[cfg(test)]
mod tests {
    use super::WhyNoPlan;

    #[test]
    fn every_reason_is_explained_in_the_docs() {
        let page = include_str!("../../../docs/plan.md");
        for reason in WhyNoPlan::ALL {
            assert!(page.contains(&format!("\n## {}\n", reason.id())), "docs/plan.md lacks {}", reason.id());
        }
    }
}
