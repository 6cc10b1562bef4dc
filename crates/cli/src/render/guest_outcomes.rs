//! What each guest will experience.

use std::collections::BTreeMap;

use quorate_core::checks::{GuestOutcome, GuestOutcomeKind, guest_outcome};
use quorate_core::policy::Policy;
use quorate_core::snapshot::{Guest, Snapshot};

use super::page::Page;
use super::table::Table;

/// Every guest with its outcome, the worst first.
pub(crate) fn all<'a>(snapshot: &'a Snapshot, policy: &Policy) -> Vec<(&'a Guest, GuestOutcome)> {
    let mut guest_outcomes: Vec<(&Guest, GuestOutcome)> =
        snapshot.guests.values().map(|guest| (guest, guest_outcome(snapshot, policy, guest))).collect();
    guest_outcomes.sort_by_key(|(guest, guest_outcome)| (std::cmp::Reverse(guest_outcome.kind), guest.id));
    guest_outcomes
}

/// `24 guests: 1 stays down, 5 restart, 18 live`.
pub(crate) fn summary(guest_outcomes: &[(&Guest, GuestOutcome)]) -> String {
    let mut counts: BTreeMap<std::cmp::Reverse<GuestOutcomeKind>, usize> = BTreeMap::new();
    for (_, guest_outcome) in guest_outcomes {
        *counts.entry(std::cmp::Reverse(guest_outcome.kind)).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {}", kind.0)).collect();
    let word = if guest_outcomes.len() == 1 { "guest" } else { "guests" };
    format!("{} {word}: {}", guest_outcomes.len(), if parts.is_empty() { "-".to_owned() } else { parts.join(", ") })
}

/// The page: every guest that is not simply moved live or left alone.
pub(crate) fn guests(snapshot: &Snapshot, policy: &Policy) -> Page {
    let guest_outcomes = all(snapshot, policy);
    let mut page = Page::default();
    page.line(summary(&guest_outcomes));
    let listed: Vec<_> = guest_outcomes.iter().filter(|(_, guest_outcome)| is_listed(guest_outcome)).collect();
    if !listed.is_empty() {
        let mut table = Table::new(&["guest", "name", "node", "outcome", "why"]);
        for (guest, GuestOutcome { kind, why }) in listed {
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

fn is_listed(guest_outcome: &GuestOutcome) -> bool {
    match guest_outcome.kind {
        GuestOutcomeKind::Untouched | GuestOutcomeKind::Offline => false,
        GuestOutcomeKind::Live => !guest_outcome.why.is_empty(),
        GuestOutcomeKind::Restart
        | GuestOutcomeKind::MovedStopped
        | GuestOutcomeKind::Hibernates
        | GuestOutcomeKind::StaysDown
        | GuestOutcomeKind::Blocked => true,
    }
}
