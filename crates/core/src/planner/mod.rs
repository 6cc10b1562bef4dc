//! From what was seen and what is allowed to a plan for the whole run. Pure and deterministic.
//!
//! | room | in | out |
//! |---|---|---|
//! | [`problem`] | snapshot, policy, state of the run | the placement problem, without names |
//! | [`bound`] | the problem | what no plan can go below, what an order forces |
//! | `placement` | the problem and an order of the nodes | where each guest goes, turn by turn |
//! | [`order`] | the problem | the cheapest of many orders and ways |
//! | [`schedule`] | the moves | the plan: steps with stages, reasons and costs |
//! | [`report`] | the plan, or the guest that is stuck | what is told beside it, or why there is none |
//!
//! Each knows only those above it, and [`cost`] and `draws`, which know none. [`plan`] and [`steady::revise`] go
//! through all of them. Promises: every rule that it knows holds at each moment of each move; the same input gives the
//! same plan; what is missing or in the way is named. Does not promise the least number of moves: the plan carries a
//! bound that tells how far it is off at most.

pub mod bound;
pub mod cost;
mod draws;
pub mod order;
mod placement;
pub mod problem;
pub mod report;
pub mod schedule;
pub mod steady;
#[cfg(test)]
mod tests;

use crate::plan::{NoPlan, Plan};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub use problem::Ongoing;

/// Plans everything that is still to do.
///
/// # Errors
/// [`NoPlan`] names each reason: a reading that is missing, a guest that is stuck and by how much.
pub fn plan(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Result<Plan, NoPlan> {
    let problem = problem::reading::read(snapshot, policy, ongoing).map_err(NoPlan::because)?;
    let go_on = order::search::for_tries(order::search::usual_tries(&problem.instance));
    let solution = order::search::solve(&problem.instance, go_on, |_| {})
        .map_err(|stuck| NoPlan::because(report::no_room::no_room(&problem, &stuck)))?;
    Ok(schedule::written(&problem, &solution, ongoing))
}
