//! Turns the moves into a plan: what is done when, and what runs at the same time.
//!
//! In: a `Problem` and its [`Solution`]. Out: a [`Plan`] of steps with stages, reasons, estimates, consents and a
//! bound. [`overlap`] brings moves of the next node forward to the reboot of the node before, `staging` decides which
//! moves run together, and `node_steps` writes the plan, with what `guests` and `nodes` add to the moves.

mod drain;
mod guests;
mod node_steps;
mod nodes;
pub mod overlap;
mod staging;
mod writer;

use crate::plan::{Bound, BoundWhy, Costs, Plan};

use super::bound;
use super::problem::instance::Solution;
use super::problem::{Ongoing, Problem, world};

/// A solved placement problem as a plan.
pub(super) fn written(problem: &Problem<'_>, solution: &Solution, ongoing: &Ongoing) -> Plan {
    let node_steps::Written { node_steps, costs, consents } = node_steps::write(problem, solution, ongoing);
    let bound = bound_of(problem, &costs, solution.unmet);
    let plan = Plan::new(ongoing.parent.clone(), problem.snapshot.taken, node_steps, costs, consents, bound);
    plan.made_for(problem.snapshot, world::digest(problem.snapshot, problem.policy))
}

/// What the same plan costs.
pub(super) fn costs(problem: &Problem<'_>, solution: &Solution, ongoing: &Ongoing) -> Costs {
    node_steps::write(problem, solution, ongoing).costs
}

/// The bound in moves and in bytes, each by itself. Where preferences for the end are not met in full, the bound of a
/// plan without any.
fn bound_of(problem: &Problem<'_>, costs: &Costs, unmet: u64) -> Bound {
    let guests: Vec<u64> = problem.movers.iter().map(|movers| movers.len() as u64).collect();
    let bytes: Vec<u64> = problem.movers.iter().map(|movers| movers.iter().map(|mover| mover.bytes).sum()).collect();
    let instance = if unmet == 0 { problem.instance.clone() } else { problem.instance.without_preferences() };
    let least_of = |weights: &[u64], known| bound::least_beside(&instance, weights, known, bound::FEW_CHOICES);
    let (least, once) = (least_of(&guests, u64::from(costs.moves)), bound::once(&instance, &guests));
    let any_end = instance.spread.is_none() && instance.items.iter().all(|item| item.ends.is_none());
    let why = BoundWhy {
        beyond_once: least - once,
        for_the_end: !any_end,
        optimal: u64::from(costs.moves) == least,
        end_left_out: unmet > 0,
    };
    let least = u32::try_from(least).unwrap_or(u32::MAX);
    Bound { moves: least, bytes: least_of(&bytes, costs.bytes), why }
}
