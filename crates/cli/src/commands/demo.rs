//! `quorate demo`.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn perform(_: &Args, _: &Context) -> Result<Exit, Failure> {
    Err(Failure::new(
        Exit::Internal,
        "the demo is not part of this build",
        "Nothing was begun.",
        &["Build a later one."],
    ))
}
