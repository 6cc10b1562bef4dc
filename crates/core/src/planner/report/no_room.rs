//! No order was found in which every guest can leave its node in time: where it fails, what would help, and what is
//! proven.

use crate::plan::{Help, Hindrance, Hole, NoRoom, Reason};
use crate::planner::problem::Problem;
use crate::planner::problem::instance::StuckItem;

use super::proofs::proofs;
use super::relaxations::relaxations;

/// At most this many further stuck guests of the node are named.
const MOST_STUCK: usize = 8;

/// The attempt that got furthest, which guests were stuck in it, and proofs of infeasibility.
pub(in crate::planner) fn no_room(problem: &Problem<'_>, stuck: &StuckItem) -> Vec<Reason> {
    let mut reasons = vec![reason(problem, stuck, help(problem, stuck))];
    let others = (0..problem.instance.items.len())
        .filter(|item| *item != stuck.item && stuck.positions[*item] == stuck.node)
        .filter(|item| nowhere(problem, stuck, *item));
    reasons.extend(
        others.take(MOST_STUCK).map(|item| reason(problem, &StuckItem { item, ..stuck.clone() }, Help::SameRoom)),
    );
    reasons.extend(proofs(&problem.instance).into_iter().map(|proof| Reason::Proof(proof.named(problem))));
    reasons
}

/// Does this guest have no node to go to at that moment?
fn nowhere(problem: &Problem<'_>, stuck: &StuckItem, item: usize) -> bool {
    let spec = &problem.instance.items[item];
    spec.allowed.without(stuck.node).iter().all(|node| {
        stuck.free_bytes[node] < spec.memory_bytes || spec.apart.iter().any(|other| stuck.positions[*other] == node)
    })
}

fn reason(problem: &Problem<'_>, stuck: &StuckItem, help: Help) -> Reason {
    let others = (0..problem.names.len()).filter(|node| *node != stuck.node);
    Reason::NoRoom(Box::new(NoRoom {
        guests: problem.guests_of(stuck.item),
        bytes: problem.instance.items[stuck.item].memory_bytes,
        node: problem.names[stuck.node].clone(),
        upgraded: stuck.upgraded.iter().map(|node| problem.names[node].clone()).collect(),
        each: others.map(|node| (problem.names[node].clone(), hindrance(problem, stuck, node))).collect(),
        hole: hole(problem, stuck),
        help,
    }))
}

/// Why it cannot go to this node at that moment, with what is missing there.
fn hindrance(problem: &Problem<'_>, stuck: &StuckItem, node: usize) -> Hindrance {
    let item = &problem.instance.items[stuck.item];
    let free = stuck.free_bytes[node];
    if let Some(why) = problem.refusals[stuck.item].get(&node) {
        why.clone()
    } else if free < item.memory_bytes {
        Hindrance::Memory { free, short: item.memory_bytes - free }
    } else if let Some(other) = item.apart.iter().find(|other| stuck.positions[**other] == node) {
        Hindrance::Meets(problem.guests_of(*other).first().copied())
    } else if stuck.cpus_free[node] < item.cpus {
        Hindrance::Processors { left: stuck.cpus_free[node], needed: item.cpus }
    } else {
        Hindrance::ReleaseOrDisks
    }
}

fn hole(problem: &Problem<'_>, stuck: &StuckItem) -> Option<Hole> {
    let bytes = |item: usize| problem.instance.items[item].memory_bytes;
    let others = (0..problem.names.len()).filter(|node| *node != stuck.node);
    let node = others.max_by_key(|node| (stuck.free_bytes[*node], std::cmp::Reverse(*node)))?;
    let left = (0..problem.instance.items.len()).filter(|item| stuck.positions[*item] == stuck.node);
    let item = left.max_by_key(|item| (bytes(*item), std::cmp::Reverse(*item)))?;
    let (name, guests) = (problem.names[node].clone(), problem.guests_of(item));
    Some(Hole { free: stuck.free_bytes[node], node: name, guests, bytes: bytes(item) })
}

fn help(problem: &Problem<'_>, stuck: &StuckItem) -> Help {
    let relaxations = relaxations(problem, stuck);
    if !relaxations.is_empty() {
        return Help::AnyOf(relaxations.into_iter().map(|relaxation| relaxation.named(problem)).collect());
    }
    let item = &problem.instance.items[stuck.item];
    let short = (0..problem.names.len())
        .filter(|node| *node != stuck.node && !problem.refusals[stuck.item].contains_key(node))
        .map(|node| (item.memory_bytes.saturating_sub(stuck.free_bytes[node]), &problem.names[node]))
        .filter(|(short, _)| *short > 0);
    match short.min() {
        Some((bytes, name)) => Help::Least(name.clone(), bytes),
        None => Help::AnotherNode(problem.guests_of(stuck.item)),
    }
}
