//! `quorate status`: the state of the run, from the journal alone.

use quorate_core::view::View;
use quorate_journal::{Journal, Mode};
use serde_json::json;

use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::driver::Standing;
use crate::render::page::print_json;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run; default: the latest
    #[arg(long, value_name = "ID")]
    pub(super) run: Option<String>,
    /// Show it until the run is over, as `quorate attach` does
    #[arg(long)]
    pub(super) watch: bool,
}

pub(super) fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (journal, run) = context.journal_and_run(Mode::Read, args.run.as_deref())?;
    let view = view(&journal, &run)?.looked_at(context.run_now());
    let standing = Standing::of(&journal, &run)?;
    match context.format() {
        Format::Text => render::status::status(&view, &standing).print(),
        Format::Json => {
            print_json(&json!({
                "kind": "status", "phase": view.phase(), "driver": standing.holder(), "driving": standing.json(), "nodes": view.nodes(),
                "moves": view.moves(), "reboots": view.reboots(), "downtimes": downtimes(&view), "view": view,
            }));
        }
    }
    Ok(Exit::Ok)
}

/// The state of one run, folded from its events.
pub(crate) fn view(journal: &Journal, run: &quorate_core::ids::RunId) -> Result<View, Failure> {
    let entries = journal.events(run)?;
    Ok(View::of(entries.iter().map(|entry| (entry.at, &entry.event))))
}

/// Downtime in seconds by guest.
pub(super) fn downtimes(view: &View) -> serde_json::Value {
    let downtimes = view.downtimes().into_iter();
    downtimes.map(|(guest, down)| (guest.to_string(), json!(down))).collect::<serde_json::Map<_, _>>().into()
}
