//! Rules on ground truth, checked whenever something they depend on has changed.
//!
//! The rules are the tool's own invariants, but evaluated here on the true state: at most one node is taken out at a
//! time, no guest is stopped by a reboot, guests that must be kept apart are apart, memory fits, a pool never has fewer
//! copies than it needs. Breaking one is an entry in the impact report.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

use crate::World;
use crate::ha::{NodeStatus, RuleKind};
use crate::node::{Node, Power};

/// A node is taken out: no other may be out then.
pub(crate) fn node_taken_out(world: &mut World, node: &NodeName, how: &str) {
    let others: Vec<String> =
        world.nodes.keys().filter(|other| *other != node && is_out(world, other)).map(ToString::to_string).collect();
    if !others.is_empty() {
        let text = format!("{node} was taken out ({how}) while {} was out", others.join(", "));
        world.impact.rule_broken(world.now_ms, "one-node-out", node.as_str(), &text);
        world.impact.rule_mended("one-node-out", node.as_str());
    }
}

/// Is the node drained, in maintenance, rebooting, off or out of the membership?
pub fn is_out(world: &World, node: &NodeName) -> bool {
    let Some(machine) = world.nodes.get(node) else { return true };
    let status = world.ha.manager.node_status.get(node);
    let asked = world.ha.manager.maintenance_requests.contains(node);
    machine.power != Power::On || !machine.corosync_up || asked || status == Some(&NodeStatus::Maintenance)
}

/// A reboot stops a guest that was not moved away.
pub(crate) fn guest_stopped_by_reboot(world: &mut World, guest: GuestId, node: &NodeName) {
    if world.impact.has_consent(guest) {
        return;
    }
    let text = format!("{guest} still ran on {node} when it went down");
    world.impact.rule_broken(world.now_ms, "no-guest-on-a-node-we-stop", &guest.to_string(), &text);
    world.impact.rule_mended("no-guest-on-a-node-we-stop", &guest.to_string());
}

/// A guest's process came to, or left, a node.
pub(crate) fn guest_placed(world: &mut World, guest: GuestId, node: &NodeName) {
    memory_fits(world, node);
    keep_apart(world, guest);
}

fn memory_fits(world: &mut World, node: &NodeName) {
    let Some(machine) = world.nodes.get(node) else { return };
    let used = machine.host_used_bytes + world.node_committed_bytes(node);
    if used > machine.memory_bytes {
        let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
        let text = format!("{node} holds {:.1} GiB on {:.1} GiB", gib(used), gib(machine.memory_bytes));
        world.impact.rule_broken(world.now_ms, "memory-fits", node.as_str(), &text);
    } else {
        world.impact.rule_mended("memory-fits", node.as_str());
    }
}

fn keep_apart(world: &mut World, guest: GuestId) {
    let rules = world
        .ha
        .rules
        .iter()
        .filter(|(_, rule)| rule.kind == RuleKind::KeepApart && !rule.disabled && rule.resources.contains(&guest));
    let mut verdicts = Vec::new();
    for (name, rule) in rules {
        let mut by_node: BTreeMap<&NodeName, Vec<GuestId>> = BTreeMap::new();
        for id in &rule.resources {
            for node in world.guests.get(id).into_iter().flat_map(|guest| &guest.runs_on) {
                by_node.entry(node).or_default().push(*id);
            }
        }
        let together = by_node.into_iter().find(|(_, ids)| ids.len() > 1);
        verdicts.push((name.clone(), together.map(|(node, ids)| format!("{ids:?} run together on {node}"))));
    }
    for (rule, broken) in verdicts {
        match broken {
            Some(text) => world.impact.rule_broken(world.now_ms, "keep-apart", &rule, &format!("{rule}: {text}")),
            None => world.impact.rule_mended("keep-apart", &rule),
        }
    }
}

/// Expected votes are lowered: this declares absent nodes dead. A node that runs, boots or reboots is not dead.
pub(crate) fn votes_lowered(world: &mut World, members: &BTreeSet<NodeName>, expected: u32) {
    if expected >= world.corosync.configured_votes() {
        return;
    }
    let lives = |name: &&NodeName| {
        !members.contains(*name)
            && world.nodes.get(*name).is_some_and(|node| !matches!(node.power, Power::Off | Power::Hung))
    };
    let living: Vec<String> = world.nodes.keys().filter(lives).map(ToString::to_string).collect();
    if !living.is_empty() {
        let text = format!("expected votes were lowered to {expected} while {} was not dead", living.join(", "));
        world.impact.rule_broken(world.now_ms, "votes-lowered-only-if-confirmed-off", "votes", &text);
        world.impact.rule_mended("votes-lowered-only-if-confirmed-off", "votes");
    }
}

/// The membership has changed: at most one partition may have quorum.
pub(crate) fn one_side_speaks(world: &mut World) {
    let sides = world.quorate_sides();
    if sides.len() < 2 {
        return world.impact.rule_mended("one-quorate-partition", "cluster");
    }
    let names: Vec<String> = sides.iter().map(ToString::to_string).collect();
    let text = format!("the partitions of {} both have quorum: each takes the other for dead", names.join(" and "));
    world.impact.rule_broken(world.now_ms, "one-quorate-partition", "cluster", &text);
}

/// Someone, or a package, stops corosync on a node: it must not be stopped on any other node then.
pub(crate) fn corosync_stops(world: &mut World, node: &NodeName) {
    let away = |(name, machine): &(&NodeName, &Node)| {
        *name != node && !machine.corosync_up && !world.impact.excused_nodes.contains(*name)
    };
    let others: Vec<String> = world.nodes.iter().filter(away).map(|(name, _)| name.to_string()).collect();
    if !others.is_empty() {
        let text = format!("corosync stopped on {node} while it was away on {}", others.join(", "));
        world.impact.rule_broken(world.now_ms, "corosync-one-at-a-time", node.as_str(), &text);
        world.impact.rule_mended("corosync-one-at-a-time", node.as_str());
    }
}
