//! `quorate preflight`: what prevents the upgrade, and what happens to each guest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::checks::{Finding, Severity};
use quorate_core::policy::Policy;
use quorate_core::snapshot::Snapshot;
use quorate_engine::Prepared;
use quorate_journal::files;
use serde_json::{Value, json};

use super::source::{self, PlanArgs};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};
use crate::render::units::time_of_day;
use crate::render::{self, checker, guest_outcomes};

/// Between two looks of `--watch`: a look is a few dozen calls per node, and nothing gets fixed faster than this.
const WATCH_PAUSE: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: PlanArgs,
    /// Also write everything to one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Repeat until nothing is blocking any more
    #[arg(long, conflicts_with = "from")]
    watch: bool,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut shown: Option<Vec<Finding>> = None;
    loop {
        let (Prepared { findings, snapshot, .. }, policy) = source::prepared(&args.source, context).await?;
        if let Some(path) = &args.html {
            write_html(path, &render::html::preflight_page(&snapshot, &policy, &findings))?;
        }
        if shown.as_ref() != Some(&findings) {
            if args.watch {
                heading(&snapshot);
            }
            show(context, &snapshot, &policy, &findings);
        }
        if !args.watch || !blocks(&findings) {
            return Ok(worst(&findings));
        }
        shown = Some(findings);
        pause().await;
    }
}

#[allow(clippy::disallowed_methods, reason = "a person watches in real time, and ends it with ctrl-c")]
async fn pause() {
    tokio::time::sleep(WATCH_PAUSE).await;
}

fn heading(snapshot: &Snapshot) {
    let mut page = Page::default();
    page.line(format!("Seen at {}:", time_of_day(snapshot.taken)));
    page.print_err();
}

fn show(context: &Context, snapshot: &Snapshot, policy: &Policy, findings: &[Finding]) {
    match context.format() {
        Format::Text => {
            let mut page = render::preflight::findings(findings);
            page.gap();
            page.page(&guest_outcomes::guests(snapshot, policy));
            let matrix = checker::matrix(snapshot);
            if !matrix.as_str().is_empty() {
                page.gap();
                page.page(&matrix);
            }
            page.print();
        }
        Format::Json => {
            findings.iter().for_each(print_json);
            print_json(&rest_as_json(snapshot, policy));
        }
    }
}

/// Everything but the findings: each guest's outcome and the checker's matrix.
fn rest_as_json(snapshot: &Snapshot, policy: &Policy) -> Value {
    let guests: Vec<Value> = guest_outcomes::all(snapshot, policy)
        .into_iter()
        .map(|(guest, guest_outcome)| {
            json!({ "guest": guest.id, "name": guest.name, "node": guest.node, "verdict": guest_outcome.kind, "why": guest_outcome.why })
        })
        .collect();
    json!({ "kind": "preflight", "guests": guests, "checker": checker::rows(snapshot) })
}

fn write_html(path: &Path, html: &str) -> Result<(), Failure> {
    files::replace(path, html).map_err(|error| {
        let what = format!("the page cannot be written to {}: {error}", path.display());
        Failure::usage(what, "Name another file with --html.")
    })
}

/// The exit code for the worst finding.
fn worst(findings: &[Finding]) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Blocking) => Exit::Blocked,
        Some(Severity::Consent) => Exit::NeedsConsent,
        Some(Severity::Warning | Severity::Waived | Severity::Info) | None => Exit::Ok,
    }
}

/// Without quorum, all other findings follow from that: one message instead of many.
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
            "`quorate recover` says why, which nodes reset themselves when, and what you can do, least risk first.",
            "`quorate inspect` and `quorate preflight` show everything else that can be read.",
        ],
    ))
}

/// Does any finding forbid a run?
pub(crate) fn blocks(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Blocking)
}
