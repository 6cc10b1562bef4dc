//! `quorate log`: what happened, event by event.

use std::sync::atomic::AtomicBool;

use quorate_journal::{Entry, Mode};
use serde_json::json;

use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::live::{self, Since};
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
    /// Go on with each event as it comes, until the run rests
    #[arg(short, long)]
    follow: bool,
    /// Only verify the whole journal: each event against its hash and the event before it
    #[arg(long, conflicts_with_all = ["last", "follow"])]
    verify: bool,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
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
    let last = args.last.unwrap_or(usize::MAX);
    let from = entries.len().saturating_sub(last);
    match context.format() {
        Format::Text => render::log::log(&entries, last).print(),
        Format::Json => entries[from..].iter().for_each(|entry| print_json(&as_json(entry))),
    }
    if args.follow {
        let gone = AtomicBool::new(false);
        live::in_lines(&journal, &run, context.format(), Since::After(entries.len()), &gone).await?;
    }
    Ok(Exit::Ok)
}

/// One event as a line of JSON.
fn as_json(entry: &Entry) -> serde_json::Value {
    json!({ "kind": "event", "seq": entry.seq, "at": entry.at, "run": entry.run, "what": entry.event })
}
