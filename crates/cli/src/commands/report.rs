//! `quorate report`: what a run did and what it cost, from the journal alone.

use quorate_journal::Mode;
use serde_json::json;

use super::status::{downtimes, view};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run; default: the latest
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

pub(super) fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (journal, run) = context.journal_and_run(Mode::Read, args.run.as_deref())?;
    journal.verify_chain()?;
    let view = view(&journal, &run)?.looked_at(context.run_now());
    match context.format() {
        Format::Text => render::report::report(&view).print(),
        Format::Json => print_json(&json!({
            "kind": "report", "run": run, "cluster": view.state.cluster, "phase": view.phase(),
            "started": view.state.started, "ended": view.ended, "duration_s": view.duration_s(),
            "nodes": view.nodes(), "moves": view.moves(), "reboots": view.reboots(),
            "promised": view.promised, "bound": view.bound, "downtimes": downtimes(&view),
            "replans": view.replans.len(), "pauses": view.pauses, "approvals": view.approvals,
            "still_to_undo": view.state.open_changes,
        })),
    }
    Ok(Exit::Ok)
}
