//! `quorate runs`: all runs of a journal.

use quorate_core::view::{RunPhase, View};
use quorate_journal::{Journal, Mode};
use serde_json::json;

use super::status::view;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};
use crate::render::table::Table;
use crate::render::units::{duration, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) fn perform(_: &Args, context: &Context) -> Result<Exit, Failure> {
    let journal = Journal::open(&context.journal_path()?, Mode::Read)?;
    let mut table = Table::new(&["run", "cluster", "began", "lasted", "nodes", "state"]);
    for run in journal.runs()? {
        let view = view(&journal, &run)?.looked_at(context.run_now());
        let (done, nodes) = (view.state.done_nodes.len(), view.nodes().len());
        match context.format() {
            Format::Text => table.row([
                run.to_string(),
                view.state.cluster.clone(),
                moment(view.state.started),
                duration(view.duration_s()),
                format!("{done}/{nodes}"),
                in_words(&view).to_owned(),
            ]),
            Format::Json => print_json(&json!({
                "kind": "run", "run": run, "cluster": view.state.cluster, "began": view.state.started,
                "ended": view.ended, "phase": view.phase(), "done-nodes": done, "nodes": nodes,
            })),
        }
    }
    if context.format() == Format::Text {
        let mut page = Page::default();
        table.write(&mut page, "");
        page.print();
    }
    Ok(Exit::Ok)
}

fn in_words(view: &View) -> &'static str {
    match view.phase() {
        RunPhase::Running => "not finished",
        RunPhase::Paused => "paused",
        RunPhase::Drained => "drained: waits to be given back",
        RunPhase::Aborting => "aborting",
        RunPhase::Completed => "completed",
        RunPhase::Aborted => "aborted",
        RunPhase::NothingDone => "ended before it began",
    }
}
