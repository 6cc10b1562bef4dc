//! The lab's ledger of harm.

use quorate::toolkit::{Page, bytes, duration};
use quorate_world::ledger::LedgerReport;

/// One line per count, harm first, with what happened.
pub(crate) fn ledger_page(ledger: &LedgerReport) -> Page {
    let mut page = Page::default();
    let harm: [(&str, String, bool); 9] = [
        ("quorum lost", duration(ledger.quorum_lost_s), ledger.quorum_lost_s > 0),
        ("guests lost", ledger.guests_lost.to_string(), ledger.guests_lost > 0),
        ("guests running twice", ledger.guests_doubled.to_string(), ledger.guests_doubled > 0),
        ("downtime without consent", duration(ledger.unconsented_downtime_s), ledger.unconsented_downtime_s > 0),
        ("nodes fenced", ledger.fences.to_string(), ledger.fences > 0),
        ("rebalanced by Ceph", bytes(ledger.ceph_bytes_rebalanced), ledger.ceph_bytes_rebalanced > 0),
        ("rules broken", ledger.rules_broken.to_string(), ledger.rules_broken > 0),
        ("moves to an older release", ledger.backward_moves.to_string(), ledger.backward_moves > 0),
        ("still owed", ledger.obligations_open.to_string(), ledger.obligations_open > 0),
    ];
    for (what, figure, is_harm) in harm {
        page.line(format!("  {} {what:<27}{figure}", if is_harm { "!" } else { " " }));
    }
    page.gap();
    let rest = [
        ("nodes upgraded", ledger.nodes_upgraded.to_string()),
        ("moves", moves(ledger)),
        ("downtime with consent", duration(ledger.consented_downtime_s)),
        ("longest pause of a guest", format!("{} ms", ledger.blackout_ms_max)),
        ("time in the lab", duration(ledger.virtual_s)),
        ("time here", format!("{:.1} s", ledger.wall_s)),
    ];
    for (what, figure) in rest {
        page.line(format!("    {what:<27}{figure}"));
    }
    if !ledger.events.is_empty() {
        page.gap();
        for event in &ledger.events {
            page.line(format!("  {event}"));
        }
    }
    page.gap();
    page.line(if ledger.clean { "The ledger is clean: no harm was done." } else { "The ledger is NOT clean." });
    page
}

/// A lab that nobody planned for knows no bound.
fn moves(ledger: &LedgerReport) -> String {
    match ledger.moves_bound {
        0 => ledger.moves.to_string(),
        bound => format!("{}, of at least {bound}", ledger.moves),
    }
}
