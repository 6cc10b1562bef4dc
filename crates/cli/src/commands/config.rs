//! `quorate config check`: is the configuration file right? Nothing is asked of the cluster.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::Page;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read the whole file, with the keys and secrets that it names; a mistake is shown with its line
    Check,
}

pub(super) fn perform(Args { verb: Verb::Check }: &Args, context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let mut page = Page::default();
    page.line(format!(
        "{}: {} nodes, journal {}. No mistake was found.",
        context.config_path().display(),
        config.nodes.len(),
        config.journal.display()
    ));
    page.print();
    Ok(Exit::Ok)
}
