//! `quorate plan`: shows every step of a run without performing any.

use std::path::{Path, PathBuf};

use quorate_core::plan::{NoPlan, Plan};
use quorate_core::planner::Ongoing;
use quorate_core::planner::report::{Report, report};
use quorate_engine::Prepared;
use quorate_journal::files;
use serde_json::json;

use super::guests;
use super::preflight::{blocks, demand_quorum};
use super::source;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::{Page, print_json};
use crate::render::plan::{Detail, consents_missing};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the literal command under each step
    #[arg(long)]
    commands: bool,
    /// Also write the plan to this file, for `quorate run --plan FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    source: source::PlanArgs,
}

impl Args {
    /// As `quorate run --dry-run` shows it.
    pub(super) fn of_a_run() -> Self {
        Self { commands: false, out: None, source: source::PlanArgs::default() }
    }
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (Prepared { snapshot, findings, plan, .. }, mut policy) = source::prepared(&args.source, context).await?;
    demand_quorum(&snapshot)?;
    let answered = guests::ask(&snapshot, &mut policy, context)?;
    let (snapshot, findings, plan) = if answered {
        let again = Prepared::of(snapshot, &policy, &"plan".into());
        (again.snapshot, again.findings, again.plan)
    } else {
        (snapshot, findings, plan)
    };
    let plan = match plan {
        Ok((plan, _)) => plan,
        Err(none) => return Ok(no_plan(&none, context.format())),
    };
    if let Some(path) = &args.out {
        write(path, &plan)?;
    }
    let about = report(&plan, &snapshot, &policy, &Ongoing::fresh("quorate-upgrade".into()));
    match context.format() {
        Format::Text => {
            let detail = if args.commands { Detail::Commands } else { Detail::Steps };
            render::plan::with_report(&plan, &about, &snapshot, &policy, detail).print();
        }
        Format::Json => print_json(&as_json(&plan, &about, &snapshot, args.commands)),
    }
    let mut talk = Page::default();
    let missing = consents_missing(&plan, &policy);
    let exit = if blocks(&findings) {
        talk.line(format!(
            "The upgrade cannot start yet ({}): see `quorate preflight`.",
            render::preflight::summary(&findings)
        ));
        Exit::Blocked
    } else if missing.is_empty() {
        Exit::Ok
    } else {
        let kinds: Vec<String> = missing.iter().map(|kind| format!("\"{}\"", render::log::consent(*kind))).collect();
        talk.line(format!(
            "The upgrade needs your consent: in the configuration, [policy] consents = [{}].",
            kinds.join(", ")
        ));
        Exit::NeedsConsent
    };
    talk.print_err();
    Ok(exit)
}

fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(plan).expect("a plan is plain data and always serialises");
    files::replace(path, &(text + "\n")).map_err(|error| {
        let what = format!("the plan cannot be written to {}: {error}", path.display());
        Failure::usage(what, "Name another file with --out.")
    })
}

/// Prints why there is no plan.
pub(crate) fn no_plan(none: &NoPlan, format: Format) -> Exit {
    match format {
        Format::Text => {
            let mut page = Page::default();
            page.line("There is no plan that keeps every rule:");
            page.page(&render::preflight::findings(&none.findings));
            page.print();
        }
        Format::Json => none.findings.iter().for_each(print_json),
    }
    Exit::NoPlan
}

fn as_json(
    plan: &Plan,
    about: &Report,
    snapshot: &quorate_core::snapshot::Snapshot,
    commands: bool,
) -> serde_json::Value {
    if !commands {
        return json!({ "kind": "plan", "plan": plan, "report": about });
    }
    let literal = |planned: &quorate_core::plan::PlannedStep| {
        let command = planned.step.kind().command(snapshot);
        json!({ "id": planned.id, "command": command.map(|command| command.to_string()) })
    };
    let commands: Vec<_> = plan.steps().map(|(_, planned)| literal(planned)).collect();
    json!({ "kind": "plan", "plan": plan, "report": about, "commands": commands })
}
