//! What has been read of a run so far.

use std::sync::atomic::{AtomicBool, Ordering};

use quorate_core::ids::RunId;
use quorate_core::progress::Progress;
use quorate_core::view::View;
use quorate_journal::{Entry, Journal};

use super::Left;
use super::facts::Facts;
use super::picture::Picture;
use crate::failure::Failure;
use crate::render::driver::Standing;

/// A driver that starts needs a moment until it works on the run, by the wall clock.
const STARTS_WITHIN_S: u64 = 10;

/// A run, as far as the journal has it.
pub(crate) struct Reading<'a> {
    journal: &'a Journal,
    run: &'a RunId,
    view: View,
    pub(super) entries: Vec<Entry>,
    pub(super) progress: Option<Progress>,
    standing: Standing,
    /// When a process was last seen to work on it, or this began.
    worked_on: quorate_core::ids::UnixMs,
}

impl<'a> Reading<'a> {
    /// All that there is now.
    pub(crate) fn begin(journal: &'a Journal, run: &'a RunId) -> Result<Self, Failure> {
        let standing = Standing::of(journal, run)?;
        let worked_on = standing.now;
        let (view, entries, progress) = (View::default(), Vec::new(), None);
        let mut reading = Self { journal, run, view, entries, progress, standing, worked_on };
        reading.read_on()?;
        Ok(reading)
    }

    /// What has come since; how many events.
    pub(crate) fn read_on(&mut self) -> Result<usize, Failure> {
        // Who works on it is asked first: what it wrote last is then read for certain.
        self.standing = Standing::of(self.journal, self.run)?;
        if self.standing.works.is_some() {
            self.worked_on = self.standing.now;
        }
        self.progress = self.journal.progress(self.run)?;
        let last = self.entries.last().map_or(0, |entry| entry.seq);
        let new = self.journal.events_after(self.run, last)?;
        new.iter().for_each(|entry| self.view.apply(entry.at, &entry.event));
        let count = new.len();
        self.entries.extend(new);
        Ok(count)
    }

    /// The picture of this moment.
    pub(crate) fn picture(&self) -> Picture {
        let (view, entries, standing) = (&self.view, &self.entries[..], &self.standing);
        let starts = standing.works.is_none() && self.may_start();
        Picture::of(&Facts { view, entries, progress: self.progress.as_ref(), standing, starts })
    }

    /// A driver that was started a moment ago may not be at work yet.
    fn may_start(&self) -> bool {
        self.standing.now.since_s(self.worked_on) < STARTS_WITHIN_S
    }

    /// Is the run paused?
    pub(super) fn is_paused(&self) -> bool {
        self.view.state.paused.is_some()
    }

    /// Is there nothing more to come by itself? Who started the driver knows at once that it is gone.
    pub(crate) fn rests(&self, gone: &AtomicBool) -> Option<Left> {
        let works = self.standing.works.is_some();
        if self.view.ended.is_some() {
            Some(Left::RunOver)
        } else if works || (!gone.load(Ordering::Relaxed) && self.may_start()) {
            None
        } else if self.is_paused() {
            Some(Left::Paused)
        } else {
            Some(Left::NoDriver)
        }
    }
}
