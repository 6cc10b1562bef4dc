//! Whoever wants to see a run while it goes.

use quorate_core::ids::UnixMs;
use quorate_core::run::Event;

/// Is told of each event once it is in the journal, and of each wait.
pub trait Watcher: Send {
    /// An event was written.
    fn event(&mut self, seq: u64, at: UnixMs, event: &Event);
    /// Nothing to do but to wait, for these reasons.
    fn waiting(&mut self, at: UnixMs, on: &[String]);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Watcher for Silent {
    fn event(&mut self, _seq: u64, _at: UnixMs, _event: &Event) {}

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}
