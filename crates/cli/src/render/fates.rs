//! What each guest will experience.

use std::collections::BTreeMap;

use quorate_core::checks::{Fate, FateKind, fate};
use quorate_core::policy::Policy;
use quorate_core::snapshot::{Guest, Snapshot};

use super::page::Page;
use super::table::Table;

/// Every guest with its verdict, the worst first.
pub(crate) fn all<'a>(snapshot: &'a Snapshot, policy: &Policy) -> Vec<(&'a Guest, Fate)> {
    let mut fates: Vec<(&Guest, Fate)> =
        snapshot.guests.values().map(|guest| (guest, fate(snapshot, policy, guest))).collect();
    fates.sort_by_key(|(guest, fate)| (std::cmp::Reverse(fate.kind), guest.id));
    fates
}

/// `24 guests: 1 stays down, 5 restart, 18 live`.
pub(crate) fn summary(fates: &[(&Guest, Fate)]) -> String {
    let mut counts: BTreeMap<std::cmp::Reverse<FateKind>, usize> = BTreeMap::new();
    for (_, fate) in fates {
        *counts.entry(std::cmp::Reverse(fate.kind)).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {}", kind.0)).collect();
    let word = if fates.len() == 1 { "guest" } else { "guests" };
    format!("{} {word}: {}", fates.len(), if parts.is_empty() { "-".to_owned() } else { parts.join(", ") })
}

/// The page: all that is not simply live or untouched.
pub(crate) fn guests(snapshot: &Snapshot, policy: &Policy) -> Page {
    let fates = all(snapshot, policy);
    let mut page = Page::default();
    page.line(summary(&fates));
    let told: Vec<_> = fates.iter().filter(|(_, fate)| is_told(fate)).collect();
    if !told.is_empty() {
        let mut table = Table::new(&["guest", "name", "node", "verdict", "why"]);
        for (guest, Fate { kind, why }) in told {
            table.row([
                guest.id.to_string(),
                guest.name.clone(),
                guest.node.to_string(),
                kind.to_string(),
                why.clone(),
            ]);
        }
        table.write(&mut page, "  ");
    }
    page
}

fn is_told(fate: &Fate) -> bool {
    match fate.kind {
        FateKind::Untouched | FateKind::Offline => false,
        FateKind::Live => !fate.why.is_empty(),
        FateKind::Restart | FateKind::MovedStopped | FateKind::StaysDown | FateKind::Blocked => true,
    }
}
