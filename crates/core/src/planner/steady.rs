//! A plan for the rest of a run: the old one, unless there is a reason to change it.
//!
//! Operators read a plan, agree to it and watch it. So the rest of it is kept as long as it fits. Where the cluster has
//! changed, whatever can still be done is done as planned, and only the remainder is planned again. An entirely
//! different plan must save more than a twentieth of the remaining cost.

use crate::forecast;
use crate::plan::{NoPlan, Plan};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::OnNode;

use super::order::search;
use super::placement::builder::{Back, FewWait, Fill, Parking, Style};
use super::placement::construct::construct;
use super::problem::instance::{Move, Solution, Turn};
use super::problem::{Ongoing, Problem, reading, world};
use super::report::no_room::no_room;
use super::schedule::written;

/// What happens to the rest of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Revision {
    /// It stays unchanged.
    Keep,
    /// It is followed as far as it still can be, with what is needed in addition.
    Mended(Box<Plan>),
    /// An entirely different plan: the old one cannot be fixed, or the new one saves more than a twentieth.
    Another(Box<Plan>),
}

/// Checks the rest of a plan (what is done is left out of it) against the cluster as it is now.
///
/// # Errors
/// The rest no longer fits, and there is no other plan.
pub fn revise(rest: &Plan, snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Result<Revision, NoPlan> {
    let fits = forecast::verify(rest, snapshot, policy).is_ok();
    if fits && rest.world == world::digest(snapshot, policy) {
        return Ok(Revision::Keep);
    }
    let problem = match reading::read(snapshot, policy, ongoing) {
        Ok(problem) => problem,
        Err(_) if fits => return Ok(Revision::Keep),
        Err(reasons) => return Err(NoPlan::because(reasons)),
    };
    let old = read_back(rest, &problem);
    let order: Vec<usize> = in_order(&old, &problem);
    let style =
        Style { parking: Parking::Late, few_wait: FewWait::Yes, fill: Fill::Tight, back: Back::AtTheEnd, shuffle: 0 };
    let mended = construct(&problem.instance, &order, &style, u64::MAX, Some(&old)).ok();
    let go_on = search::for_tries(search::usual_tries(&problem.instance));
    let fresh = search::solve(&problem.instance, go_on, |_| {});
    let kept = if fits { Some(old.cost) } else { mended.as_ref().map(|mended| mended.cost) };
    match (fresh, kept) {
        (Ok(fresh), Some(kept)) if saves_enough(fresh.cost, kept) => {
            Ok(Revision::Another(Box::new(written(&problem, &fresh, ongoing))))
        }
        (_, Some(_)) if fits => Ok(Revision::Keep),
        (fresh, _) => match (mended, fresh) {
            (Some(mended), _) => Ok(Revision::Mended(Box::new(written(&problem, &mended, ongoing)))),
            (None, Ok(fresh)) => Ok(Revision::Another(Box::new(written(&problem, &fresh, ongoing)))),
            (None, Err(stuck)) => Err(NoPlan::because(no_room(&problem, &stuck))),
        },
    }
}

/// Does the new plan save more than a twentieth of the old one's cost?
fn saves_enough(new: u64, old: u64) -> bool {
    u128::from(new) * 20 < u128::from(old) * 19
}

/// The moves of a plan in the terms of the placement problem. Guests that move together are one move.
fn read_back(plan: &Plan, problem: &Problem<'_>) -> Solution {
    let number = |name| problem.names.iter().position(|other| other == name);
    let item_of = |guest| problem.movers.iter().position(|movers| movers.iter().any(|mover| mover.guest == guest));
    let mut old = Solution::default();
    for node_step in &plan.node_steps {
        let Some(node) = node_step.node.as_ref().and_then(number) else { continue };
        let mut turn = Turn { node, ..Turn::default() };
        let mut upgraded = false;
        for planned in &node_step.steps {
            upgraded |= planned.step.on_node() == OnNode::WaitsBack;
            let Some(step) = planned.step.moves() else { continue };
            let (Some(item), Some(from), Some(to)) = (item_of(step.guest), number(step.from), number(step.to)) else {
                continue;
            };
            let moves = if upgraded { &mut turn.back } else { &mut turn.moves };
            let step = Move { item, from, to };
            if moves.last() != Some(&step) {
                moves.push(step);
                old.cost = old.cost.saturating_add(problem.instance.items[item].cost);
            }
        }
        old.turns.push(turn);
    }
    old
}

/// The order of the old plan: nodes that must come first by now at the front, nodes that it did not have at the end.
fn in_order(old: &Solution, problem: &Problem<'_>) -> Vec<usize> {
    let due = problem.instance.with_turn();
    let mut order: Vec<usize> = Vec::new();
    let wanted = problem.instance.first.iter().copied().chain(old.turns.iter().map(|turn| turn.node)).chain(due.iter());
    for node in wanted.filter(|node| due.has(*node)) {
        if !order.contains(&node) {
            order.push(node);
        }
    }
    order
}
