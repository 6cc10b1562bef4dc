//! `quorate inspect`: shows one snapshot of the cluster.

use super::source::{self, Args};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let snapshot = source::look(args, context).await?;
    match context.format() {
        Format::Text => render::inspect::snapshot(&snapshot).print(),
        Format::Json => print_json(&snapshot),
    }
    Ok(Exit::Ok)
}
