//! Nodes, votes, links.

use std::collections::BTreeMap;

use quorate_core::observed::Observed;
use quorate_core::snapshot::{Kernel, Node, QuorumView, Snapshot};

use super::text;
use crate::render::page::Page;
use crate::render::table::Table;
use crate::render::units::bytes;

pub(super) fn nodes(snapshot: &Snapshot, page: &mut Page) {
    page.gap();
    page.line("Nodes");
    let heading =
        ["node", "state", "PVE", "kernel", "updates", "memory used", "running guests", "free on /", "services"];
    let mut table = Table::new(&heading);
    for node in snapshot.nodes.values() {
        table.row([
            node.name.to_string(),
            state(snapshot, node),
            text(&node.pve_version),
            node.kernel.known().map_or("?".to_owned(), kernel),
            updates(node),
            node.memory.known().map_or("?".to_owned(), |memory| {
                format!("{} of {}", bytes(memory.used_bytes), bytes(memory.total_bytes))
            }),
            running(node),
            node.root_free_bytes.known().map_or("?".to_owned(), |free| bytes(*free)),
            services(node),
        ]);
    }
    table.write(page, "  ");
}

fn state(snapshot: &Snapshot, node: &Node) -> String {
    match (&node.online, snapshot.ha.known().and_then(|ha| ha.nodes.get(&node.name))) {
        (Observed::Unknown(_), _) => "?".to_owned(),
        (Observed::Known(false), _) => "OFFLINE".to_owned(),
        (Observed::Known(true), Some(quorate_core::snapshot::HaNodeState::Maintenance)) => "maintenance".to_owned(),
        (Observed::Known(true), _) => "online".to_owned(),
    }
}

fn kernel(kernel: &Kernel) -> String {
    if kernel.reboot_needed() {
        format!("{} (next boot: {})", kernel.running, kernel.will_boot())
    } else {
        kernel.running.to_string()
    }
}

fn updates(node: &Node) -> String {
    let Some(packages) = node.packages.known() else { return "?".to_owned() };
    let mut remarks = vec![match packages.pending.len() {
        0 => "none".to_owned(),
        count => count.to_string(),
    }];
    if !packages.removals.is_empty() {
        remarks.push(format!("removes {}", packages.removals.len()));
    }
    if !packages.broken.is_empty() {
        remarks.push(format!("{} BROKEN", packages.broken.len()));
    }
    if packages.locked {
        remarks.push("dpkg is locked".to_owned());
    }
    remarks.join(", ")
}

fn running(node: &Node) -> String {
    let count =
        |guests: &Vec<_>| guests.iter().filter(|guest: &&quorate_core::snapshot::LocalGuest| guest.running).count();
    node.local_guests.known().map_or("?".to_owned(), |guests| count(guests).to_string())
}

fn services(node: &Node) -> String {
    let Some(services) = node.services.known() else { return "?".to_owned() };
    let down: Vec<&str> = services
        .iter()
        .filter(|service| service.enabled && !service.active)
        .map(|service| service.name.as_str())
        .collect();
    if down.is_empty() { "all up".to_owned() } else { format!("DOWN: {}", down.join(" ")) }
}

pub(super) fn votes(snapshot: &Snapshot, page: &mut Page) {
    page.gap();
    page.line("Votes, as each node sees them");
    let mut table = Table::new(&["node", "quorate", "votes", "needed", "expected", "members", "QDevice"]);
    for (name, view) in &snapshot.quorum {
        let Some(view) = view.known() else {
            table.row([name.to_string(), "?".to_owned()]);
            continue;
        };
        let members: Vec<String> = view
            .members
            .iter()
            .map(
                |(member, of)| {
                    if of.votes == 1 { member.to_string() } else { format!("{member} ({} votes)", of.votes) }
                },
            )
            .collect();
        let qdevice = match view.qdevice {
            None => "none".to_owned(),
            Some(device) if device.casting => format!("{} votes", device.votes),
            Some(device) => format!("{} votes NOT CAST", device.votes),
        };
        table.row([
            name.to_string(),
            if view.quorate { "yes" } else { "NO" }.to_owned(),
            view.total_votes.to_string(),
            view.quorum.to_string(),
            view.expected_votes.to_string(),
            members.join(" "),
            qdevice,
        ]);
    }
    table.write(page, "  ");
}

pub(super) fn links(snapshot: &Snapshot, page: &mut Page) {
    let views: BTreeMap<_, &QuorumView> =
        snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?))).collect();
    if views.is_empty() {
        return;
    }
    page.gap();
    page.line("Links");
    for (name, view) in views {
        let mut down = Vec::new();
        for other in snapshot.nodes.keys().filter(|other| *other != name) {
            match view.links.get(other) {
                None => down.push(format!("{other} not reached")),
                Some(links) => {
                    let broken = links.iter().filter(|link| !link.connected);
                    down.extend(broken.map(|link| format!("{other} by link {}", link.number)));
                }
            }
        }
        let outcome = if down.is_empty() { "all connected".to_owned() } else { format!("DOWN: {}", down.join(", ")) };
        page.line(format!("  {name}: {} per node, {outcome}", view.configured_links));
    }
}
