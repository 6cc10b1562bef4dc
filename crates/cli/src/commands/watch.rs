//! Progress of a run on the terminal: each event as it is written.

use quorate_core::ids::UnixMs;
use quorate_core::run::Event;
use quorate_engine::Watcher;
use serde_json::json;

use crate::context::Format;
use crate::render;
use crate::render::page::{Page, print_json};
use crate::render::units::time_of_day;

/// Prints events, and what the run waits for when that changes.
pub(crate) struct Lines {
    format: Format,
    waiting: Vec<String>,
}

impl Lines {
    /// Prints in the given format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format, waiting: Vec::new() }
    }
}

impl Watcher for Lines {
    fn event(&mut self, seq: u64, at: UnixMs, event: &Event) {
        self.waiting.clear();
        match self.format {
            Format::Text => render::log::event(seq, at, event).print(),
            Format::Json => print_json(&json!({ "kind": "event", "seq": seq, "at": at, "what": event })),
        }
    }

    fn waiting(&mut self, at: UnixMs, on: &[String]) {
        if self.format == Format::Json || self.waiting == on {
            return;
        }
        let mut page = Page::default();
        for line in on.iter().filter(|line| !self.waiting.contains(line)) {
            page.line(format!("{}     ..  waiting: {line}", time_of_day(at)));
        }
        page.print();
        self.waiting = on.to_vec();
    }
}
