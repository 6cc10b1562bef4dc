//! `quorate log`: what happened, event by event.

use quorate_journal::{Entry, Mode};
use serde_json::json;

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
    /// Only this many of the last events
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
    /// Only verify the whole journal: each event against its hash and the event before it
    #[arg(long, conflicts_with = "last")]
    verify: bool,
}

pub(super) fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (journal, run) = context.journal_and_run(Mode::Read, args.run.as_deref())?;
    let verified = journal.verify_chain()?;
    if args.verify {
        match context.format() {
            Format::Text => render::log::verified(verified).print(),
            Format::Json => print_json(&json!({ "kind": "verified", "events": verified })),
        }
        return Ok(Exit::Ok);
    }
    let entries = journal.events(&run)?;
    let from = args.last.map_or(0, |last| entries.len().saturating_sub(last));
    match context.format() {
        Format::Text => render::log::log(&entries[from..]).print(),
        Format::Json => entries[from..].iter().for_each(|entry| print_json(&as_json(entry))),
    }
    Ok(Exit::Ok)
}

/// One event as a line of JSON.
fn as_json(entry: &Entry) -> serde_json::Value {
    json!({ "kind": "event", "seq": entry.seq, "at": entry.at, "run": entry.run, "what": entry.event })
}
