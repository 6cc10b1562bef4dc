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

pub(crate) use lines::watch as in_lines;

use std::io::IsTerminal;
use std::sync::atomic::AtomicBool;

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
    /// So many were told already.
    After(usize),
}

/// Shows a run until it is over, or until whoever watches has seen enough. `gone` is set by the one who has started the
/// driver and sees it end.
///
/// # Errors
/// The journal cannot be read.
pub(crate) async fn watch(
    journal: &Journal,
    run: &RunId,
    format: Format,
    since: Since,
    gone: &AtomicBool,
) -> Result<Left, Failure> {
    if is_drawn(format) {
        screen::watch(journal, run, gone).await
    } else {
        lines::watch(journal, run, format, since, gone).await
    }
}

/// Is there a terminal that can be drawn on?
pub(crate) fn is_drawn(format: Format) -> bool {
    let is_able = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    format == Format::Text && is_able && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}
