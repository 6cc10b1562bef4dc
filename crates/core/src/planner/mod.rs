//! From what was seen and what is allowed to a plan for the whole run. Pure and deterministic.
//!
//! The snapshot becomes a puzzle without names ([`instance`]), orders of the nodes are tried ([`search`]), each by
//! building one way through ([`construct`](self)), and the best becomes waves of steps. Promises: every rule that it
//! knows holds at each moment of each move; the same input gives the same plan; what is missing or in the way is named.
//! Does not promise the least number of moves: the plan carries a bound that tells how far it is off at most.

mod balance;
mod beside;
mod board;
pub mod bound;
mod candidates;
mod certificates;
mod concessions;
mod construct;
pub mod cost;
mod crowding;
mod detour;
mod draft;
mod findings;
pub mod forced;
pub mod instance;
mod journeys;
mod needs;
pub mod others;
pub mod overlap;
mod packing;
mod prices;
mod problem;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod puzzles;
mod reasons;
mod releases;
pub mod report;
mod rules;
pub mod search;
mod staging;
pub mod steady;
#[cfg(test)]
mod tests;
mod waves;
mod wishes;
mod world;

use std::collections::BTreeMap;

use crate::ids::{GuestId, NodeName, PlanId, UnitName};
use crate::plan::{Bound, Costs, NoPlan, Plan};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::Step;

/// What a plan in the middle of a run has to take up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ongoing {
    /// The plan that the new one replaces.
    pub parent: Option<PlanId>,
    /// The node whose turn has begun and not ended: it comes first.
    pub under_work: Option<NodeName>,
    /// What is owed, oldest first: every one of these is in the plan.
    pub owed: Vec<Step>,
    /// Where guests were when the run began, if not where they are: what `end = "home"` brings them back to.
    pub homes: BTreeMap<GuestId, NodeName>,
    /// The name of the upgrade unit on the nodes.
    pub unit: UnitName,
}

impl Ongoing {
    /// Nothing has begun yet.
    pub fn fresh(unit: UnitName) -> Self {
        Self { parent: None, under_work: None, owed: Vec::new(), homes: BTreeMap::new(), unit }
    }
}

/// Plans everything that is still to do.
///
/// # Errors
/// [`NoPlan`] names each reason: a reading that is missing, a guest that is stuck and by how much.
pub fn plan(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Result<Plan, NoPlan> {
    let problem = problem::read(snapshot, policy, ongoing).map_err(|findings| NoPlan { findings })?;
    let go_on = search::for_tries(search::usual_tries(&problem.instance));
    let solution = search::solve(&problem.instance, go_on, |_| {})
        .map_err(|stuck| NoPlan { findings: findings::no_room(&problem, &stuck) })?;
    Ok(written(&problem, &solution, ongoing))
}

/// A solved puzzle as a plan.
fn written(problem: &problem::Problem<'_>, solution: &instance::Solution, ongoing: &Ongoing) -> Plan {
    let waves::Written { waves, costs, consents } = waves::write(problem, solution, ongoing);
    let bound = bound_of(problem, &costs, solution.unmet);
    let plan = Plan::new(ongoing.parent.clone(), problem.snapshot.taken, waves, costs, consents, bound);
    plan.for_world(world::digest(problem.snapshot, problem.policy))
}

/// The bound in moves and in bytes, each by itself. Where wishes for the end are not met in full, that of a plan without
/// any.
fn bound_of(problem: &problem::Problem<'_>, costs: &Costs, unmet: u64) -> Bound {
    let guests: Vec<u64> = problem.movers.iter().map(|movers| movers.len() as u64).collect();
    let bytes: Vec<u64> = problem.movers.iter().map(|movers| movers.iter().map(|mover| mover.bytes).sum()).collect();
    let instance = if unmet == 0 { problem.instance.clone() } else { problem.instance.without_wishes() };
    let least_of = |weights: &[u64], known| bound::least_beside(&instance, weights, known, bound::FEW_CHOICES);
    let (least, once) = (least_of(&guests, u64::from(costs.moves)), bound::once(&instance, &guests));
    let mut why = match least - once {
        0 => "every guest once".to_owned(),
        count if instance.items.iter().all(|item| item.ends.is_none()) && instance.spread.is_none() => {
            format!("every guest once, and {count} of them twice because some node must be first")
        }
        count => format!("every guest once, and {count} moves more because some node must be first and for the end"),
    };
    let least = u32::try_from(least).unwrap_or(u32::MAX);
    if costs.moves == least {
        why.push_str("; proven optimal: no plan has fewer moves");
    }
    if unmet > 0 {
        why.push_str(
            "; what is wished for the end, or preferred by HA, cannot be had in full, and is not counted here",
        );
    }
    Bound { moves: least, bytes: least_of(&bytes, costs.bytes), why }
}
