//! `quorate preflight`: what is in the way of a run.

use quorate_core::checks::{Finding, Severity};
use quorate_core::snapshot::Snapshot;
use quorate_engine::Prepared;

use super::source::{self, PlanArgs};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;

pub(super) async fn perform(args: &PlanArgs, context: &Context) -> Result<Exit, Failure> {
    let (Prepared { findings, .. }, _) = source::prepared(args, context).await?;
    match context.format() {
        Format::Text => render::preflight::findings(&findings).print(),
        Format::Json => findings.iter().for_each(print_json),
    }
    Ok(if blocks(&findings) { Exit::Blocked } else { Exit::Ok })
}

/// Without quorum everything else that was found follows from that: one message instead of many.
pub(crate) fn demand_quorum(snapshot: &Snapshot) -> Result<(), Failure> {
    let views = || snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?)));
    if views().any(|(_, view)| view.quorate) {
        return Ok(());
    }
    let Some((name, view)) = views().next() else { return Ok(()) };
    let (total, expected, quorum) = (view.total_votes, view.expected_votes, view.quorum);
    Err(Failure::new(
        Exit::Blocked,
        format!("the cluster has no quorum: {name} sees {total} of {expected} votes, {quorum} are needed"),
        "Nothing was changed. Without quorum no guest can be moved or started, and nodes with active HA reset themselves.",
        &[
            "Bring the missing nodes or their links back: `pvecm status` and `systemctl status corosync` on each node.",
            "`quorate inspect` and `quorate preflight` show what else can be seen.",
        ],
    ))
}

/// Does any of these forbid a run?
pub(crate) fn blocks(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Blocking)
}
