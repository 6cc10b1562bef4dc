//! What another program needs to behave like `quorate`: exit codes, refusals, pages, and a whole run on the terminal.
//!
//! Everything else in this crate is private. That other program is `quorate-lab`.

use std::process::ExitCode;

pub use crate::clock::wall_now;
pub use crate::commands::source::read as read_snapshot;
pub use crate::context::Format;
pub use crate::exit::Exit;
pub use crate::failure::Failure;
pub use crate::render::page::{Page, print_json};
pub use crate::render::table::Table;
pub use crate::render::units::{bytes, duration};
pub use crate::whole_run::{Came, Pages, whole_run};
pub use quorate_journal::files::replace as write_private;

/// Runs a command to its end, prints why if it failed, and returns the exit code.
pub fn conclude(program: &str, format: Format, command: impl Future<Output = Result<Exit, Failure>>) -> ExitCode {
    let outcome = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(Exit::Internal, error.to_string(), "Nothing was started.", &["Try again."]))
        .and_then(|runtime| runtime.block_on(command));
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.page(program).print_err();
            if format == Format::Json {
                print_json(&failure.json());
            }
            failure.exit.into()
        }
    }
}
