//! Progress of a run on the terminal: each event as it is written.

use quorate_core::ids::UnixMs;
use quorate_core::run::Event;
use quorate_core::view::View;
use quorate_engine::Watcher;
use serde_json::json;

use crate::context::Format;
use crate::render;
use crate::render::names::Names;
use crate::render::page::{Page, print_json};
use crate::render::units::time_of_day;

/// Prints events, and what the run waits for when that changes.
pub(crate) struct Lines {
    format: Format,
    waiting: Vec<String>,
    view: View,
}

impl Lines {
    /// Prints in the given format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format, waiting: Vec::new(), view: View::default() }
    }

    /// An event of before, which is not printed.
    pub(crate) fn knows(&mut self, at: UnixMs, event: &Event) {
        self.view.apply(at, event);
    }
}

impl Watcher for Lines {
    fn event(&mut self, seq: u64, at: UnixMs, event: &Event) {
        self.waiting.clear();
        self.view.apply(at, event);
        match self.format {
            Format::Text => render::log::event(seq, at, event, &self.view).print(),
            Format::Json => print_json(&json!({ "kind": "event", "seq": seq, "at": at, "what": event })),
        }
    }

    fn waiting(&mut self, at: UnixMs, on: &[String]) {
        if self.format == Format::Json || self.waiting == on {
            return;
        }
        let names = Names::of(&self.view.names);
        let mut page = Page::default();
        for line in on.iter().filter(|line| !self.waiting.contains(line)) {
            page.line(format!("{}     ..  waiting: {}", time_of_day(at), names.in_text(line)));
        }
        page.print();
        self.waiting = on.to_vec();
    }
}
