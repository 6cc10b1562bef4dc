//! A snapshot on a page or two: `quorate inspect`. An unknown reading is a `?` here and a line under "Unknown".

mod ceph;
mod guests;
mod nodes;

use quorate_core::ids::StorageId;
use quorate_core::observed::Observed;
use quorate_core::snapshot::{Snapshot, Storage};

use super::page::Page;
use super::table::Table;
use super::units::{bytes, moment};

/// How many gaps are listed; an unreachable node has about thirty.
const GAPS_LISTED: usize = 40;

/// The page.
pub(crate) fn snapshot(snapshot: &Snapshot) -> Page {
    let mut page = Page::default();
    page.line(format!("Cluster {}, seen {}", text(&snapshot.cluster_name), moment(snapshot.taken)));
    nodes::nodes(snapshot, &mut page);
    nodes::votes(snapshot, &mut page);
    nodes::links(snapshot, &mut page);
    guests::guests(snapshot, &mut page);
    guests::ha(snapshot, &mut page);
    ceph::ceph(snapshot, &mut page);
    storages(snapshot, &mut page);
    jobs(snapshot, &mut page);
    rights(snapshot, &mut page);
    gaps(snapshot, &mut page);
    page
}

/// A reading, or `?`.
fn text<T: ToString>(value: &Observed<T>) -> String {
    value.known().map_or("?".to_owned(), ToString::to_string)
}

fn storages(snapshot: &Snapshot, page: &mut Page) {
    let Some(storages) = snapshot.storages.known() else { return };
    page.gap();
    page.line("Storages");
    let mut table = Table::new(&["storage", "type", "shared", "active on", "free"]);
    for (id, storage) in storages {
        let shared = if storage.shared { "yes" } else { "no" };
        let (active, free) = where_active(snapshot, id, storage);
        table.row([id.to_string(), storage.kind.clone(), shared.to_owned(), active, free]);
    }
    table.write(page, "  ");
}

fn where_active(snapshot: &Snapshot, id: &StorageId, storage: &Storage) -> (String, String) {
    if storage.disabled {
        return ("disabled".to_owned(), "-".to_owned());
    }
    let mut active = Vec::new();
    let mut free = Vec::new();
    for node in snapshot.nodes.values().filter(|node| storage.is_on(&node.name)) {
        match node.storages.known().map(|storages| storages.get(id)) {
            None => active.push(format!("{}?", node.name)),
            Some(Some(seen)) if seen.active => {
                active.push(node.name.to_string());
                free.push(seen.free_bytes);
            }
            Some(_) => active.push(format!("NOT {}", node.name)),
        }
    }
    let free = match (free.iter().min(), free.iter().max()) {
        (Some(least), Some(most)) if storage.shared || least == most => bytes(*least),
        (Some(least), Some(most)) => format!("{} to {}", bytes(*least), bytes(*most)),
        _ => "?".to_owned(),
    };
    (active.join(" "), free)
}

fn jobs(snapshot: &Snapshot, page: &mut Page) {
    let Some(jobs) = snapshot.jobs.known() else { return };
    page.gap();
    page.line(format!("Running tasks: {}", if jobs.is_empty() { "none" } else { "" }));
    for job in jobs {
        let about = job.vmid.map(|vmid| format!(" of guest {vmid}")).unwrap_or_default();
        let since = moment(job.started);
        page.line(format!("  {} on {}{about}, by {}, since {since}", job.kind.0, job.node, job.user));
    }
}

fn rights(snapshot: &Snapshot, page: &mut Page) {
    let lacks = snapshot.missing_privileges.known().filter(|missing| !missing.is_empty());
    let blind = snapshot.sees_all_guests.is(&false);
    if lacks.is_none() && !blind {
        return;
    }
    page.gap();
    page.line("The token");
    if blind {
        page.line("  does NOT see all guests: the list above is incomplete (VM.Audit is missing somewhere)");
    }
    for privilege in lacks.into_iter().flatten() {
        page.line(format!("  lacks {privilege}"));
    }
}

fn gaps(snapshot: &Snapshot, page: &mut Page) {
    let gaps = snapshot.gaps();
    page.gap();
    if gaps.is_empty() {
        page.line("Every reading succeeded; nothing is unknown.");
        return;
    }
    page.line(format!("Unknown ({})", gaps.len()));
    for gap in gaps.iter().take(GAPS_LISTED) {
        page.line(format!("  {}: {}", gap.place, gap.why));
    }
    if gaps.len() > GAPS_LISTED {
        page.line(format!("  and {} more (all with --json)", gaps.len() - GAPS_LISTED));
    }
}
