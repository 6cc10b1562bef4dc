//! A run while it goes on: a picture that is drawn anew, or lines where there is no terminal to draw on.
//!
//! It reads the journal, and asks the driver through it; so it shows the same from anywhere, and ends without the run.

mod cluster;
mod facts;
pub(crate) mod frame;
mod happened;
mod lines;
mod nodes;
mod picture;
mod reading;
mod rows;
mod screen;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod tone;

use std::io::IsTerminal;

use quorate_core::ids::RunId;
use quorate_journal::Journal;

use crate::context::Format;
use crate::failure::Failure;

/// How watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The run is over.
    RunOver,
    /// The run is paused, and no process works on it.
    Paused,
    /// No process works on the run, which is neither over nor paused.
    NoDriver,
    /// Who watched goes; the run goes on.
    Detached,
    /// Who watched wants an end of it, at once: a second ctrl-C.
    Stop,
}

/// From where on events are told line by line. A picture always has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// All of them.
    Begin,
    /// Only those that come.
    Now,
}

/// Shows a run until it is over, or until whoever watches has seen enough.
///
/// # Errors
/// The journal cannot be read.
pub(crate) async fn watch(journal: &Journal, run: &RunId, format: Format, since: Since) -> Result<Left, Failure> {
    if format == Format::Text && is_drawn() {
        screen::watch(journal, run).await
    } else {
        lines::watch(journal, run, format, since).await
    }
}

/// Is there a terminal that can be drawn on?
pub(crate) fn is_drawn() -> bool {
    let is_able = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    is_able && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}
