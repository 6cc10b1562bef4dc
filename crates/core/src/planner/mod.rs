//! Turns a snapshot and a policy into a plan for the whole run. Pure and deterministic.
//!
//! | module | in | out |
//! |---|---|---|
//! | [`problem`] | snapshot, policy, state of the run | the placement problem, without names |
//! | [`bound`] | the problem | lower bounds for every plan, and what an order forces |
//! | `placement` | the problem and an order of the nodes | where each guest goes, node step by node step |
//! | [`order`] | the problem | the cheapest of many orders and placements |
//! | [`schedule`] | the moves | the plan: steps with stages, reasons and costs |
//! | [`report`] | the plan, or the guest that is stuck | what is reported beside it, or why there is none |
//!
//! Each module knows only those above it, and [`cost`] and `draws`, which know none. [`plan`] and [`steady::revise`] go
//! through all of them. Guarantees: every rule the planner knows holds at each moment of each move; the same input
//! gives the same plan; what is missing or in the way is named. The least number of moves is not guaranteed: the plan
//! carries a lower bound that says how far from it the plan can be at most.

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

pub use problem::{Drain, Ongoing};

/// Plans everything that is still to do.
///
/// # Errors
/// [`NoPlan`] names each reason: a reading that is missing, or a guest that cannot leave its node and how much is
/// short.
pub fn plan(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Result<Plan, NoPlan> {
    let problem = problem::reading::read(snapshot, policy, ongoing).map_err(NoPlan::because)?;
    let go_on = order::search::for_tries(order::search::usual_tries(&problem.instance));
    let solution = order::search::solve(&problem.instance, go_on, |_| {})
        .map_err(|stuck| NoPlan::because(report::no_room::no_room(&problem, &stuck)))?;
    Ok(schedule::written(&problem, &solution, ongoing))
}
