//! Guests, and what HA does with them.

use quorate_core::snapshot::{
    AffinityRule, DiskUse, Guest, GuestStatus, HaService, HaServiceState, MigrationFacts, Snapshot,
};

use super::text;
use crate::render::page::Page;
use crate::render::table::Table;
use crate::render::units::bytes;

pub(super) fn guests(snapshot: &Snapshot, page: &mut Page) {
    let with = |status: Option<&GuestStatus>| {
        snapshot.guests.values().filter(|guest| !guest.template && guest.status.known() == status).count()
    };
    let unknown = match with(None) {
        0 => String::new(),
        count => format!(", {count} in an unknown state"),
    };
    page.gap();
    page.line(format!("Guests: {}, {} running{unknown}", snapshot.guests.len(), with(Some(&GuestStatus::Running))));
    let mut table = Table::new(&["guest", "name", "node", "state", "memory", "HA", "remarks"]);
    for guest in snapshot.guests.values() {
        let ha = snapshot.ha_service(guest.id).map_or("-".to_owned(), service);
        table.row([
            guest.id.to_string(),
            guest.name.clone(),
            guest.node.to_string(),
            state(guest),
            bytes(guest.memory_bytes),
            ha,
            remarks(guest).join("; "),
        ]);
    }
    table.write(page, "  ");
}

fn state(guest: &Guest) -> String {
    match guest.status.known() {
        _ if guest.template => "template",
        None => "?",
        Some(GuestStatus::Running) => "running",
        Some(GuestStatus::Paused) => "paused",
        Some(GuestStatus::Stopped) => "stopped",
    }
    .to_owned()
}

fn service(service: &HaService) -> String {
    let state = service.state.map_or("not seen yet".to_owned(), state_word);
    match &service.target {
        Some(target) => format!("{state} → {target}"),
        None => state,
    }
}

/// The state as the HA manager itself writes it.
fn state_word(state: HaServiceState) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

/// What prevents a guest from moving freely.
fn remarks(guest: &Guest) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(lock) = guest.lock.known().and_then(Option::as_ref) {
        remarks.push(format!("locked ({})", lock.0));
    }
    if let Some(facts) = guest.migration.known() {
        remarks.extend(obstacles(facts));
    }
    remarks
}

fn obstacles(facts: &MigrationFacts) -> Vec<String> {
    let mut remarks = Vec::new();
    for disk in &facts.local_disks {
        remarks.push(match disk.usage {
            DiskUse::Attached => format!("local disk {} ({})", disk.drive, bytes(disk.size_bytes)),
            DiskUse::Cdrom => format!("local CD image {}", disk.volid),
            DiskUse::Unused => format!("unused local disk {}", disk.volid),
            DiskUse::CloudInit => continue,
            DiskUse::Other => format!("local volume {}", disk.volid),
        });
    }
    remarks.extend(facts.local_resources.iter().map(|resource| format!("host device {}", resource.key)));
    remarks.extend(facts.local_mounts.iter().map(|mount| format!("local mount {mount}")));
    for (node, reasons) in &facts.refused {
        remarks.extend(reasons.iter().map(|reason| format!("not to {node}: {reason}")));
    }
    if facts.has_raw_args {
        remarks.push("raw QEMU arguments".to_owned());
    }
    remarks
}

pub(super) fn ha(snapshot: &Snapshot, page: &mut Page) {
    let Some(ha) = snapshot.ha.known() else { return };
    page.gap();
    let Some(master) = &ha.master else {
        page.line("HA: not in use");
        return;
    };
    page.line(format!("HA: {} services, manager on {master}", ha.services.len()));
    for (node, lrm) in &ha.lrm {
        let manager = ha.nodes.get(node).map(|state| format!("{state:?}").to_lowercase()).unwrap_or_default();
        page.line(format!("  {node}: {manager}, local manager {}", lrm.state));
    }
    for rule in &ha.rules {
        page.line(format!("  rule {}", rule_text(rule)));
    }
    if let Some(armed) = ha.armed {
        page.line(format!("  fencing: {}", format!("{armed:?}").to_lowercase()));
    }
    let policy = snapshot.options.known().and_then(|options| options.ha_shutdown_policy.clone());
    page.line(format!("  on shutdown of a node: {}", policy.unwrap_or_else(|| "conditional (default)".to_owned())));
    let max = snapshot.options.known().map(|options| options.max_workers.unwrap_or(4));
    page.line(format!("  parallel jobs per node: {}", max.map_or("?".to_owned(), |max| max.to_string())));
    if text(&snapshot.options.clone().map(|options| options.ha_auto_rebalance)) == "true" {
        page.line("  moves guests by itself to spread load (automatic rebalancing)");
    }
}

fn rule_text(rule: &AffinityRule) -> String {
    let list = |items: Vec<String>| items.join(" ");
    match rule {
        AffinityRule::Node(rule) => {
            let guests = list(rule.guests.iter().map(ToString::to_string).collect());
            let nodes = list(rule.nodes.iter().map(|(node, priority)| format!("{node}:{priority}")).collect());
            let word = if rule.strict { "only on" } else { "best on" };
            format!("{}: {guests} {word} {nodes}", rule.id)
        }
        AffinityRule::Resource(rule) => {
            let guests = list(rule.guests.iter().map(ToString::to_string).collect());
            format!("{}: {guests} {}", rule.id, if rule.together { "together" } else { "apart" })
        }
    }
}
