//! A run line by line: each event as it comes, what it waits for, and once a minute how far it is.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use quorate_core::ids::{RunId, UnixMs};
use quorate_engine::Watcher;
use quorate_journal::Journal;

use super::reading::Reading;
use super::{Left, Since};
use crate::clock::wall_now;
use crate::commands::watch::Lines;
use crate::context::Format;
use crate::failure::Failure;
use crate::render::page::{Page, is_read, print_json};
use crate::render::units::time_of_day;

/// How often the journal is read.
const EVERY: Duration = Duration::from_millis(500);

/// How often it is told how far the run is, in seconds of the wall clock.
const SUMMARY_EVERY_S: u64 = 60;

/// Prints until the run rests.
pub(crate) async fn watch(
    journal: &Journal,
    run: &RunId,
    format: Format,
    since: Since,
    gone: &AtomicBool,
) -> Result<Left, Failure> {
    let mut reading = Reading::begin(journal, run)?;
    let mut printed = match since {
        Since::Begin => 0,
        Since::Now => reading.entries.len(),
        Since::After(told) => told.min(reading.entries.len()),
    };
    let mut lines = Lines::new(format);
    reading.entries[..printed].iter().for_each(|entry| lines.knows(entry.at, &entry.event));
    let mut told: Option<UnixMs> = None;
    loop {
        for entry in &reading.entries[printed..] {
            lines.event(entry.seq, entry.at, &entry.event);
        }
        printed = reading.entries.len();
        let picture = reading.picture();
        if !picture.waiting.is_empty() {
            lines.waiting(picture.now, &picture.waiting);
        }
        let rests = reading.rests(gone);
        if rests.is_some() || told.is_none_or(|told| wall_now().since_s(told) >= SUMMARY_EVERY_S) {
            tell(&picture, format);
            told = Some(wall_now());
        }
        if let Some(left) = rests.or_else(|| (!is_read()).then_some(Left::Detached)) {
            return Ok(left);
        }
        pause().await;
        reading.read_on()?;
    }
}

fn tell(picture: &super::picture::Picture, format: Format) {
    match format {
        Format::Json => print_json(&picture.json()),
        Format::Text => {
            let mut page = Page::default();
            page.line(format!("{}     --  {}", time_of_day(picture.now), picture.summary()));
            page.print();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "who watches does so in real time")]
async fn pause() {
    tokio::time::sleep(EVERY).await;
}
