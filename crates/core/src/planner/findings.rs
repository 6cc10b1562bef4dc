//! Reasons why there is no plan, in words.

use crate::checks::{Finding, Subject};
use crate::ids::{GuestId, NodeName};
use crate::plan::WhyNoPlan;

use super::certificates::certificates;
use super::concessions::in_words;
use super::instance::StuckItem;
use super::problem::Problem;

/// Bytes as an administrator reads them.
pub(super) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// A reading without which there is no plan.
pub(super) fn unknown(subject: Subject, what: &str) -> Finding {
    let remedy = "make the reading possible and look again; nothing is planned on a guess".to_owned();
    WhyNoPlan::Unknown.finding(subject, what.to_owned(), remedy)
}

/// A guest that cannot leave its node, whatever is upgraded and however much memory is free.
pub(super) fn immovable(guest: GuestId, node: &NodeName, why: &str, remedy: String) -> Finding {
    let problem = format!("{guest} cannot leave {node}, which is to be upgraded: {why}");
    WhyNoPlan::Immovable.finding(Subject::Guest(guest), problem, remedy)
}

/// What a guest without any target can be helped with.
pub(super) fn remedy_immovable(guest: GuestId) -> String {
    format!(
        "remove what binds {guest} to its node, shut it down, or allow it: [policy.guests] \"{guest}\" = \"shutdown\""
    )
}

/// Guests of a node that are named one by one.
const MOST_STUCK: usize = 8;

/// No order was found in which everybody can leave in time: the one that came furthest, who was stuck in it, and what
/// is proven beside.
pub(super) fn no_room(problem: &Problem<'_>, stuck: &StuckItem) -> Vec<Finding> {
    let mut findings =
        vec![WhyNoPlan::NoRoom.finding(subject(problem, stuck.item), reasons(problem, stuck), remedy(problem, stuck))];
    let others = (0..problem.instance.items.len())
        .filter(|item| *item != stuck.item && stuck.positions[*item] == stuck.node)
        .filter(|item| nowhere(problem, stuck, *item));
    for item in others.take(MOST_STUCK) {
        let what = reasons(problem, &StuckItem { item, ..stuck.clone() });
        let remedy = "it waits for the same room as the one above: what helps that one is looked for first".to_owned();
        findings.push(WhyNoPlan::NoRoom.finding(subject(problem, item), what, remedy));
    }
    for certificate in certificates(&problem.instance) {
        let remedy = "no other order and no other target helps: something has to give way".to_owned();
        findings.push(WhyNoPlan::Proof.finding(Subject::Cluster, certificate.text(problem), remedy));
    }
    findings
}

fn subject(problem: &Problem<'_>, item: usize) -> Subject {
    problem.movers[item].first().map_or(Subject::Cluster, |mover| Subject::Guest(mover.guest))
}

/// Has this item no node to go to at that moment?
fn nowhere(problem: &Problem<'_>, stuck: &StuckItem, item: usize) -> bool {
    let spec = &problem.instance.items[item];
    spec.allowed.without(stuck.node).iter().all(|node| {
        stuck.free_bytes[node] < spec.memory_bytes || spec.apart.iter().any(|other| stuck.positions[*other] == node)
    })
}

fn names(problem: &Problem<'_>, item: usize) -> Vec<String> {
    problem.movers[item].iter().map(|mover| mover.guest.to_string()).collect()
}

/// One reason per node, with what is missing there; then the largest hole next to the largest guest.
fn reasons(problem: &Problem<'_>, stuck: &StuckItem) -> String {
    let item = &problem.instance.items[stuck.item];
    let from = &problem.names[stuck.node];
    let mut lines = Vec::new();
    for (node, name) in problem.names.iter().enumerate().filter(|(node, _)| *node != stuck.node) {
        let free = stuck.free_bytes[node];
        if let Some(why) = problem.refusals[stuck.item].get(&node) {
            lines.push(format!("{name}: {why}"));
        } else if free < item.memory_bytes {
            lines.push(format!("{name}: {} free, {} short", gib(free), gib(item.memory_bytes - free)));
        } else if let Some(other) = item.apart.iter().find(|other| stuck.positions[**other] == node) {
            let other = problem.movers[*other].first().map_or_else(String::new, |mover| mover.guest.to_string());
            lines.push(format!("{name}: {other} is there, and they must be apart"));
        } else if stuck.cpus_free[node] < item.cpus {
            let (left, needed) = (stuck.cpus_free[node], item.cpus);
            lines.push(format!("{name}: {left} virtual processors left by cpu-limit-percent, it has {needed}"));
        } else {
            lines.push(format!("{name}: it would go back to an older release, or has no room for its disks"));
        }
    }
    let upgraded: Vec<&str> = stuck.upgraded.iter().map(|node| problem.names[node].as_str()).collect();
    let upgraded = if upgraded.is_empty() { "none".to_owned() } else { upgraded.join(", ") };
    format!(
        "{} ({}) cannot leave {from} when its turn comes (upgraded by then: {upgraded}): {}.{}",
        names(problem, stuck.item).join(" with "),
        gib(item.memory_bytes),
        lines.join("; "),
        hole_and_guest(problem, stuck)
    )
}

fn hole_and_guest(problem: &Problem<'_>, stuck: &StuckItem) -> String {
    let others = (0..problem.names.len()).filter(|node| *node != stuck.node);
    let hole = others.max_by_key(|node| (stuck.free_bytes[*node], std::cmp::Reverse(*node)));
    let left = (0..problem.instance.items.len()).filter(|item| stuck.positions[*item] == stuck.node);
    let guest = left.max_by_key(|item| (problem.instance.items[*item].memory_bytes, std::cmp::Reverse(*item)));
    let (Some(hole), Some(guest)) = (hole, guest) else { return String::new() };
    format!(
        " Largest hole: {} on {}; largest guest that has to leave: {} with {}.",
        gib(stuck.free_bytes[hole]),
        problem.names[hole],
        names(problem, guest).join(" with "),
        gib(problem.instance.items[guest].memory_bytes)
    )
}

fn remedy(problem: &Problem<'_>, stuck: &StuckItem) -> String {
    let concessions = in_words(problem, stuck);
    if !concessions.is_empty() {
        return format!("any one of these makes a plan possible: {}", concessions.join("; "));
    }
    let item = &problem.instance.items[stuck.item];
    let short = (0..problem.names.len())
        .filter(|node| *node != stuck.node && !problem.refusals[stuck.item].contains_key(node))
        .map(|node| (item.memory_bytes.saturating_sub(stuck.free_bytes[node]), &problem.names[node]))
        .filter(|(short, _)| *short > 0);
    match short.min() {
        Some((bytes, name)) => format!(
            "no single concession was found that is enough; {} is short least, by {}: free memory there and elsewhere, \
             or shut guests down for the run",
            name,
            gib(bytes)
        ),
        None => {
            format!("allow another node for {}, or shut it down for the run", names(problem, stuck.item).join(" and "))
        }
    }
}
