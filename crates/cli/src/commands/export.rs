//! `quorate export`: writes a snapshot to a file, to plan without the cluster or to ask others for help.

use std::io::Write;
use std::path::{Path, PathBuf};

use quorate_core::snapshot::Snapshot;
use quorate_journal::files;

use super::source;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to write; it must not exist yet. Default: standard output
    file: Option<PathBuf>,
    #[command(flatten)]
    source: source::Args,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let snapshot = source::look(&args.source, context).await?;
    let Some(path) = &args.file else {
        print_json(&snapshot);
        return Ok(Exit::Ok);
    };
    write(path, &snapshot).map_err(|error| {
        let what = format!("the snapshot cannot be written to {}: {error}", path.display());
        Failure::usage(what, "Name a file that does not exist, in a directory that you may write to.")
    })?;
    let mut page = Page::default();
    page.line(format!(
        "{}: {} nodes, {} guests, {} readings missing. It has your names and addresses in it, but no secrets.",
        path.display(),
        snapshot.nodes.len(),
        snapshot.guests.len(),
        snapshot.gaps().len()
    ));
    page.print_err();
    Ok(Exit::Ok)
}

/// Never overwrites a file.
fn write(path: &Path, snapshot: &Snapshot) -> std::io::Result<()> {
    let mut file = files::create(path)?;
    serde_json::to_writer_pretty(&mut file, snapshot)?;
    file.write_all(b"\n")?;
    file.sync_all()
}
