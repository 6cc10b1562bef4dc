//! An observer of a run in progress.

use quorate_core::ids::UnixMs;
use quorate_core::run::Event;

/// Receives each event once it is in the journal, and each wait.
pub trait Watcher: Send {
    /// An event was written.
    fn event(&mut self, seq: u64, at: UnixMs, event: &Event);
    /// The run waits, for these reasons.
    fn waiting(&mut self, at: UnixMs, on: &[String]);
}

/// Ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watcher for Silent {
    fn event(&mut self, _seq: u64, _at: UnixMs, _event: &Event) {}

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}
