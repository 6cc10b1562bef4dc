//! The lab's impact report as text.

use quorate::toolkit::{Page, bytes, duration};
use quorate_world::impact::ImpactReport;

/// One line per count, harm first, then what happened.
pub(crate) fn impact_page(impact: &ImpactReport) -> Page {
    let mut page = Page::default();
    let harm: [(&str, String, bool); 9] = [
        ("quorum lost", duration(impact.quorum_lost_s), impact.quorum_lost_s > 0),
        ("guests lost", impact.guests_lost.to_string(), impact.guests_lost > 0),
        ("guests running twice", impact.guests_doubled.to_string(), impact.guests_doubled > 0),
        ("downtime without consent", duration(impact.unconsented_downtime_s), impact.unconsented_downtime_s > 0),
        ("nodes fenced", impact.fences.to_string(), impact.fences > 0),
        ("rebalanced by Ceph", bytes(impact.ceph_bytes_rebalanced), impact.ceph_bytes_rebalanced > 0),
        ("rules broken", impact.rules_broken.to_string(), impact.rules_broken > 0),
        ("moves to an older release", impact.backward_moves.to_string(), impact.backward_moves > 0),
        ("still to undo", impact.still_to_undo.to_string(), impact.still_to_undo > 0),
    ];
    for (what, figure, is_harm) in harm {
        page.line(format!("  {} {what:<27}{figure}", if is_harm { "!" } else { " " }));
    }
    page.gap();
    let rest = [
        ("nodes upgraded", impact.nodes_upgraded.to_string()),
        ("moves", moves(impact)),
        ("downtime with consent", duration(impact.consented_downtime_s)),
        ("longest pause of a guest", format!("{} ms", impact.blackout_ms_max)),
        ("time in the lab", duration(impact.virtual_s)),
        ("time here", format!("{:.1} s", impact.wall_s)),
    ];
    for (what, figure) in rest {
        page.line(format!("    {what:<27}{figure}"));
    }
    if !impact.events.is_empty() {
        page.gap();
        for event in &impact.events {
            page.line(format!("  {event}"));
        }
    }
    page.gap();
    page.line(if impact.clean {
        "The impact report is clean: no harm was done."
    } else {
        "The impact report is NOT clean."
    });
    page
}

/// Completed moves, with the plan's lower bound if there was a plan.
fn moves(impact: &ImpactReport) -> String {
    match impact.moves_bound {
        0 => impact.moves.to_string(),
        bound => format!("{}, of at least {bound}", impact.moves),
    }
}
