//! What a person wants to see of a plan beside its steps: how good it is, how full the nodes get, which guests move
//! twice and why, what it would take by hand, and what other preferences would cost. Pure; nothing here influences a
//! decision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, GuestKind, NodeName};
use crate::placement::{footprint_bytes, usable_bytes};
use crate::plan::{NodeStep, Plan, StepWhy};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::{Move, MoveMode, OnGuest, OnNode, Step};

use crate::planner::bound::{self, journeys};
use crate::planner::problem::ends::{pulled_at_the_end, pulled_to};
use crate::planner::problem::{Ongoing, reading};

use super::by_hand::{ByHand, by_hand};
use super::preferences::{self, Price};

/// Everything that is shown beside a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Number of nodes of the cluster.
    pub nodes: usize,
    /// Number of nodes that are upgraded.
    pub turns: usize,
    /// How many guests are moved, and how.
    pub guests: Counts,
    /// Moves, including those that HA will make, over the lower bound for any plan; 1.0 is proven optimal.
    pub moves_ratio: f64,
    /// Combined cost of the same moves (bytes and a fixed cost per move) over its own lower bound.
    pub cost_ratio: f64,
    /// How full each node is while one is away, node step by node step.
    pub stages: Vec<Stage>,
    /// Guests that move more than once.
    pub twice: Vec<Itinerary>,
    /// Moves that HA will make by itself once failback is set back. Not in the plan's costs.
    pub ha_moves: Vec<HaMove>,
    /// What a careful administrator would need.
    pub by_hand: Option<ByHand>,
    /// Preferences that are not set, with what each would cost.
    pub preferences: Vec<Price>,
}

/// How many guests are moved, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All running guests.
    pub running: usize,
    /// VMs that are migrated live.
    pub live: usize,
    /// Containers that are restarted elsewhere.
    pub restart: usize,
    /// Guests that are shut down while their node is upgraded.
    pub stay_down: usize,
    /// Running guests that are left alone.
    pub untouched: usize,
    /// Stopped guests that are moved.
    pub offline: usize,
    /// Running guests that are shut down, moved and started again.
    pub stopped_to_move: usize,
}

/// The cluster at the moment when the node of a node step is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The node that is away.
    pub node: NodeName,
    /// Moves of this node step.
    pub moves: usize,
    /// Memory of the running guests of each node, in percent of its whole memory.
    pub percent: BTreeMap<NodeName, u64>,
    /// The least memory that is left for guests on any other node, in bytes.
    pub least_free_bytes: u64,
    /// The node with the least memory left.
    pub least_free_on: Option<NodeName>,
    /// If any one more node failed, would its guests fit on the rest, by the sum of their memory?
    pub bears_another_loss: bool,
}

/// The moves of a guest that moves more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Itinerary {
    /// The guest that moves more than once.
    pub guest: GuestId,
    /// From the node where it is now, through every node that it moves to.
    pub path: Vec<NodeName>,
    /// Why one move is not enough: the reason for its first move.
    pub why: StepWhy,
}

/// A move that HA makes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaMove {
    /// The guest that HA will move.
    pub guest: GuestId,
    /// Where the plan leaves it.
    pub from: NodeName,
    /// Nodes that HA may move it to.
    pub to: Vec<NodeName>,
    /// Memory that is copied, in bytes.
    pub bytes: u64,
}

/// Describes a plan that was made from this snapshot.
pub fn report(plan: &Plan, snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Report {
    let walk = walk(plan, snapshot, policy);
    let ha_moves = ha_moves(snapshot, &walk.at, &ongoing.to_undo);
    let (mut hand, mut cost_ratio) = (None, 1.0);
    if let Ok(problem) = reading::read(snapshot, policy, ongoing) {
        hand = Some(by_hand(&problem));
        let costs = bound::costs(&problem.instance);
        let cost = problem.cost_of(plan).saturating_add(problem.cost_of_guests(ha_moves.iter().map(|own| own.guest)));
        let mut least = bound::least_beside(&problem.instance, &costs, cost, journeys::MOST_CHOICES);
        if cost < least {
            // No plan that meets the preferences is this cheap: this one misses some, so it is compared with plans that
            // have none.
            least = bound::least(&problem.instance.without_preferences(), &costs);
        }
        cost_ratio = cost as f64 / least.max(1) as f64;
    }
    Report {
        nodes: snapshot.nodes.len(),
        turns: walk.stages.len(),
        guests: counts(plan, snapshot),
        moves_ratio: (f64::from(plan.costs.moves) + ha_moves.len() as f64).max(1.0)
            / f64::from(plan.bound.moves.max(1)),
        cost_ratio: if plan.costs.moves == 0 && ha_moves.is_empty() { 1.0 } else { cost_ratio },
        twice: walk.paths.into_iter().filter_map(twice).collect(),
        ha_moves,
        stages: walk.stages,
        by_hand: hand,
        preferences: preferences::prices(snapshot, policy, ongoing),
    }
}

/// The nodes of each guest's moves, and the reason for its first move.
type Paths = BTreeMap<GuestId, (Vec<NodeName>, StepWhy)>;

struct Walk {
    at: BTreeMap<GuestId, NodeName>,
    paths: Paths,
    stages: Vec<Stage>,
}

fn walk(plan: &Plan, snapshot: &Snapshot, policy: &Policy) -> Walk {
    let running = snapshot.guests.values().filter(|guest| guest.may_be_running() && !guest.template);
    let mut walk = Walk {
        at: running.map(|guest| (guest.id, guest.node.clone())).collect(),
        paths: Paths::new(),
        stages: Vec::new(),
    };
    for node_step in &plan.node_steps {
        let mut seen = false;
        for planned in &node_step.steps {
            if let Some(step) = planned.step.moves() {
                walk.go(step, &planned.why);
            }
            if let (OnNode::Upgrades, Some(node), false) = (planned.step.on_node(), &node_step.node, seen) {
                seen = true;
                let stage = walk.stage(node, node_step, snapshot, policy);
                walk.stages.push(stage);
            }
        }
    }
    walk
}

impl Walk {
    fn go(&mut self, step: Move<'_>, why: &StepWhy) {
        let (path, _) = self.paths.entry(step.guest).or_insert_with(|| (vec![step.from.clone()], why.clone()));
        path.push(step.to.clone());
        if let Some(at) = self.at.get_mut(&step.guest) {
            at.clone_from(step.to);
        }
    }

    fn stage(&self, away: &NodeName, node_step: &NodeStep, snapshot: &Snapshot, policy: &Policy) -> Stage {
        let mut taken: BTreeMap<&NodeName, u64> = snapshot.nodes.keys().map(|name| (name, 0)).collect();
        for (guest, node) in &self.at {
            if let (Some(guest), Some(bytes)) = (snapshot.guests.get(guest), taken.get_mut(node)) {
                *bytes = bytes.saturating_add(footprint_bytes(guest));
            }
        }
        let memory = |name: &NodeName| snapshot.nodes.get(name).and_then(|node| node.memory.known());
        let percent = |(name, bytes): (&&NodeName, &u64)| {
            let whole = u128::from(memory(name).map_or(0, |memory| memory.total_bytes)).max(1);
            ((*name).clone(), u64::try_from(u128::from(*bytes) * 100 / whole).unwrap_or(u64::MAX))
        };
        let free = |name: &NodeName| {
            let usable = memory(name).map_or(0, |memory| usable_bytes(memory, policy));
            usable.saturating_sub(taken.get(name).copied().unwrap_or(0))
        };
        let others = || taken.keys().copied().filter(|name| *name != away);
        let least = others().min_by_key(|name| (free(name), *name));
        let all_free = others().map(|name| u128::from(free(name))).sum::<u128>();
        let bears = others().all(|lost| u128::from(taken[lost]) + u128::from(free(lost)) <= all_free);
        let moves = node_step.steps.iter().filter(|planned| planned.step.is_move()).count();
        Stage {
            node: away.clone(),
            moves,
            percent: taken.iter().map(percent).collect(),
            least_free_bytes: least.map_or(0, free),
            least_free_on: least.cloned(),
            bears_another_loss: bears,
        }
    }
}

fn twice((guest, (path, why)): (GuestId, (Vec<NodeName>, StepWhy))) -> Option<Itinerary> {
    (path.len() > 2).then_some(Itinerary { guest, path, why })
}

/// Guests that HA will move by itself: failback is on, and the plan leaves them where their rules prefer another node.
fn ha_moves(snapshot: &Snapshot, at: &BTreeMap<GuestId, NodeName>, to_undo: &[Step]) -> Vec<HaMove> {
    let Some(ha) = snapshot.ha.known() else { return Vec::new() };
    let names: Vec<NodeName> = snapshot.nodes.keys().cloned().collect();
    let own = |(guest, from): (&GuestId, &NodeName)| {
        let to = pulled_at_the_end(ha, *guest, &names, to_undo)?;
        let seen = snapshot.guests.get(guest)?;
        // A guest that HA leaves where it is now stays there at the end as well.
        let held = pulled_to(ha, *guest, &names).is_none();
        let pulled = !to.contains(from) && (held || seen.node != *from);
        let bytes = if guest.kind == GuestKind::Vm { seen.memory_bytes } else { 0 };
        let to = to.into_iter().cloned().collect();
        pulled.then(|| HaMove { guest: *guest, from: from.clone(), to, bytes })
    };
    at.iter().filter_map(own).collect()
}

fn counts(plan: &Plan, snapshot: &Snapshot) -> Counts {
    let running = snapshot.guests.values().filter(|guest| guest.may_be_running() && !guest.template).count();
    let mut handlings: BTreeMap<GuestId, Handling> = BTreeMap::new();
    for (_, planned) in plan.steps() {
        let step = &planned.step;
        let Some(guest) = step.guest() else { continue };
        match step.kind().profile().on_guest {
            OnGuest::Moves(step) => {
                let restarts = step.guest.kind == GuestKind::Ct;
                let handling = match step.mode {
                    MoveMode::Offline => Handling::Offline,
                    MoveMode::Restart | MoveMode::Ha if restarts => Handling::Restart,
                    _ => Handling::Live,
                };
                handlings.insert(guest, handling);
            }
            OnGuest::Stops => drop(handlings.insert(guest, Handling::Down)),
            // A guest that is started wherever it is was stopped for its move.
            OnGuest::Starts if step.starts_moved().is_some() => drop(handlings.insert(guest, Handling::Stopped)),
            OnGuest::Starts | OnGuest::Configures | OnGuest::Nothing => {}
        }
    }
    let count = |handling| handlings.values().filter(|other| **other == handling).count();
    let (live, restart, stay_down, offline) =
        (count(Handling::Live), count(Handling::Restart), count(Handling::Down), count(Handling::Offline));
    let stopped_to_move = count(Handling::Stopped);
    let untouched = running.saturating_sub(live + restart + stay_down + stopped_to_move);
    Counts { running, live, restart, stay_down, untouched, offline, stopped_to_move }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Handling {
    Live,
    Restart,
    Down,
    Offline,
    Stopped,
}
