//! Reasons why there is no plan, in words.

use crate::checks::{Finding, Severity, Subject};
use crate::ids::{GuestId, NodeName};

use super::concessions::concessions;
use super::instance::StuckItem;
use super::problem::Problem;

/// Bytes as an administrator reads them.
pub(super) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

pub(super) fn blocking(check: &str, subject: Subject, problem: String, remedy: String) -> Finding {
    Finding { check: check.to_owned(), severity: Severity::Blocking, subject, problem, remedy }
}

/// A reading without which there is no plan.
pub(super) fn unknown(subject: Subject, what: &str) -> Finding {
    let remedy = "make the reading possible and look again; nothing is planned on a guess".to_owned();
    blocking("plan-unknown", subject, what.to_owned(), remedy)
}

/// A guest that cannot leave its node, whatever is upgraded and however much memory is free.
pub(super) fn immovable(guest: GuestId, node: &NodeName, why: &str, remedy: String) -> Finding {
    let problem = format!("{guest} cannot leave {node}, which is to be upgraded: {why}");
    blocking("plan-immovable", Subject::Guest(guest), problem, remedy)
}

/// What a guest without any target can be helped with.
pub(super) fn remedy_immovable(guest: GuestId, managed: bool) -> String {
    if managed {
        return format!("remove what binds {guest} to its node, or take it out of HA and shut it down for the run");
    }
    format!(
        "remove what binds {guest} to its node, shut it down, or allow it: [policy.guests] \"{guest}\" = \"shutdown\""
    )
}

/// No order was found in which everybody can leave in time: the one that came furthest, and who was stuck in it.
pub(super) fn no_room(problem: &Problem<'_>, stuck: &StuckItem) -> Vec<Finding> {
    let item = &problem.instance.items[stuck.item];
    let members = &problem.movers[stuck.item];
    let names: Vec<String> = members.iter().map(|mover| mover.guest.to_string()).collect();
    let from = &problem.names[stuck.node];
    let mut lines = Vec::new();
    let mut largest = (0, None);
    let mut shortfalls = Vec::new();
    for (node, name) in problem.names.iter().enumerate().filter(|(node, _)| *node != stuck.node) {
        let free = stuck.free_bytes[node];
        if largest.1.is_none() || free > largest.0 {
            largest = (free, Some(name));
        }
        if let Some(why) = problem.refusals[stuck.item].get(&node) {
            lines.push(format!("{name}: {why}"));
        } else if free < item.memory_bytes {
            shortfalls.push((item.memory_bytes - free, name));
            lines.push(format!("{name}: {} free, {} short", gib(free), gib(item.memory_bytes - free)));
        } else if let Some(other) = item.apart.iter().find(|other| stuck.positions[**other] == node) {
            let other = problem.movers[*other].first().map_or_else(String::new, |mover| mover.guest.to_string());
            lines.push(format!("{name}: {other} is there, and they must be apart"));
        } else {
            lines.push(format!("{name}: it would go back to an older release"));
        }
    }
    let upgraded: Vec<&str> = stuck.upgraded.iter().map(|node| problem.names[node].as_str()).collect();
    let upgraded = if upgraded.is_empty() { "none".to_owned() } else { upgraded.join(", ") };
    let hole = largest.1.map_or_else(String::new, |name| format!(" Largest hole: {} on {name}.", gib(largest.0)));
    let what = format!(
        "{} ({}) cannot leave {from} when its turn comes (upgraded by then: {upgraded}): {}.{hole}",
        names.join(" with "),
        gib(item.memory_bytes),
        lines.join("; "),
    );
    let concessions = concessions(problem, stuck);
    let remedy = match shortfalls.iter().min() {
        _ if !concessions.is_empty() => {
            format!("any one of these makes a plan possible: {}", concessions.join("; "))
        }
        Some((bytes, name)) => format!(
            "no single concession was found that is enough; {} is short least, by {}: free memory there and elsewhere, \
             or shut guests down for the run",
            name,
            gib(*bytes)
        ),
        None => format!("allow another node for {}, or shut it down for the run", names.join(" and ")),
    };
    let subject = members.first().map_or(Subject::Cluster, |mover| Subject::Guest(mover.guest));
    vec![blocking("plan-no-room", subject, what, remedy)]
}
