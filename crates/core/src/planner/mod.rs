//! From what was seen and what is allowed to a plan for the whole run. Pure and deterministic.
//!
//! The snapshot becomes a puzzle without names ([`instance`]), orders of the nodes are tried ([`search`]), each by
//! building one way through ([`construct`](self)), and the best becomes waves of steps. Promises: every rule that it
//! knows holds at each moment of each move; the same input gives the same plan; what is missing or in the way is named.
//! Does not promise the least number of moves: the plan carries a bound that tells how far it is off at most.

mod board;
pub mod bound;
mod concessions;
mod construct;
pub mod cost;
mod crowding;
mod draft;
mod findings;
pub mod forced;
pub mod instance;
mod needs;
mod problem;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod puzzles;
mod releases;
mod rules;
pub mod search;
mod staging;
#[cfg(test)]
mod tests;
mod waves;

use crate::ids::{NodeName, PlanId, UnitName};
use crate::plan::{Bound, NoPlan, Plan};
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
    /// The name of the upgrade unit on the nodes.
    pub unit: UnitName,
}

impl Ongoing {
    /// Nothing has begun yet.
    pub fn fresh(unit: UnitName) -> Self {
        Self { parent: None, under_work: None, owed: Vec::new(), unit }
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
    let waves::Written { waves, costs, consents } = waves::write(&problem, &solution, ongoing);
    let bound = bound_of(&problem, costs.moves);
    Ok(Plan::new(ongoing.parent.clone(), snapshot.taken, waves, costs, consents, bound))
}

/// The bound in moves and in bytes, each by itself.
fn bound_of(problem: &problem::Problem<'_>, moves: u32) -> Bound {
    let guests: Vec<u64> = problem.movers.iter().map(|movers| movers.len() as u64).collect();
    let bytes: Vec<u64> = problem.movers.iter().map(|movers| movers.iter().map(|mover| mover.bytes).sum()).collect();
    let least = u32::try_from(bound::least(&problem.instance, &guests)).unwrap_or(u32::MAX);
    let twice = bound::least(&problem.instance, &guests) - bound::once(&problem.instance, &guests);
    let mut why = match twice {
        0 => "every guest once".to_owned(),
        count => format!("every guest once, and {count} of them twice because some node must be first"),
    };
    if moves == least {
        why.push_str("; proven optimal: no plan has fewer moves");
    }
    Bound { moves: least, bytes: bound::least(&problem.instance, &bytes), why }
}
