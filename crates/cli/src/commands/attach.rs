//! `quorate attach`: the picture of a run that goes on, from any terminal; also `quorate status --watch`.

use std::sync::atomic::AtomicBool;

use quorate_journal::{Journal, JournalError, Mode};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::live::{self, Left, Since};
use crate::render;
use crate::render::driver::Standing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run; default: the latest
    #[arg(long, value_name = "ID")]
    run: Option<String>,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    watch(args.run.as_deref(), context).await
}

/// Shows the run until it rests, or until whoever watches goes; then how it stands, on a page.
pub(super) async fn watch(run: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let (journal, run) = context.journal_and_run(mode(&context.journal_path()?), run)?;
    let left = live::watch(&journal, &run, context.format(), Since::Now, &AtomicBool::new(false)).await?;
    if live::is_drawn(context.format()) {
        let view = super::status::view(&journal, &run)?.looked_at(context.run_now());
        render::status::status(&view, &Standing::of(&journal, &run)?).print();
    }
    Ok(match left {
        Left::RunOver | Left::Detached | Left::Stop => Exit::Ok,
        Left::Paused => Exit::Paused,
        Left::NoDriver => Exit::Driver,
    })
}

/// Who may write the journal may ask through it; everyone else only looks.
fn mode(path: &std::path::Path) -> Mode {
    match Journal::open(path, Mode::Ask) {
        Err(JournalError::NewerReadOnly { .. } | JournalError::Open { .. }) => Mode::Read,
        _ => Mode::Ask,
    }
}
