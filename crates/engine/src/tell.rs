//! Tells readers of the journal how far the run is: what it waits for, how far guests and packages are, what was seen
//! last. Nothing is decided upon it, and nothing waits for it: what cannot be read or written is left out.

use std::time::Duration;

use quorate_core::progress::Glance;
use quorate_core::snapshot::Snapshot;
use quorate_pve::live::since_boot;

use crate::drive::Driver;
use crate::telling::{Telling, ToRead, read, travels};
use crate::wall::wall_now;

/// A row is written at most this often, in real time.
const WRITE_EVERY: Duration = Duration::from_millis(400);

/// A guest's migration and a node's upgrade are asked for at most this often, by the clock of the run.
const READ_EVERY_S: u64 = 5;

impl Driver<'_> {
    /// From now on the journal tells readers how far the run is; what an earlier driver told of it is kept.
    #[must_use]
    pub fn telling(mut self) -> Self {
        let before = self.journal.progress(&self.run).ok().flatten();
        let glance = before.and_then(|before| before.glance);
        self.telling = Telling::default();
        (self.telling.is_told, self.telling.progress.glance) = (true, glance);
        self
    }

    /// What the run waits for; nothing while it does something.
    pub(crate) fn tell_waiting(&mut self, waiting: &[String]) {
        self.telling.progress.waiting = waiting.to_vec();
        self.tell();
    }

    /// What a look saw.
    pub(crate) fn tell_look(&mut self, snapshot: &Snapshot) {
        if self.telling.is_told {
            let before = self.telling.progress.glance.as_ref();
            self.telling.progress.glance = Some(Glance::of(snapshot, &self.state, before));
            self.tell();
        }
    }

    /// Tells it, unless that was done just now.
    pub(crate) fn tell(&mut self) {
        let telling = &mut self.telling;
        let is_due = telling.written.is_none_or(|written| since_boot().saturating_sub(written) >= WRITE_EVERY);
        if telling.is_told && is_due {
            telling.progress.at = self.ports.clock.now();
            telling.progress.wall = wall_now();
            telling.progress.moving.retain(|guest, _| travels(&self.state, *guest));
            // It is for people who look on: a disk that is full stops the run at its next event, not here.
            let _ = self.journal.write_progress(&self.run, &telling.progress);
            telling.written = Some(since_boot());
        }
    }

    /// Waits, and reads meanwhile how far guests and packages are: the wait is not longer for that.
    pub(crate) async fn sleep_and_tell(&mut self, time: Duration) {
        let ports = self.ports.clone();
        let mut sleep = ports.clock.sleep(time);
        let Some(to_read) = self.due_to_read() else { return sleep.await };
        let read = tokio::select! {
            biased;
            read = read(&ports, to_read) => read,
            () = &mut sleep => return,
        };
        self.telling.has_read(read);
        self.tell();
        sleep.await;
    }

    fn due_to_read(&mut self) -> Option<ToRead> {
        let now = self.ports.clock.now();
        if !self.telling.is_told || now.since_s(self.telling.read) < READ_EVERY_S {
            return None;
        }
        let snapshot = &self.seen.look.as_ref()?.snapshot;
        let to_read = self.telling.to_read(&self.state, snapshot);
        to_read.is_any().then(|| {
            self.telling.read = now;
            to_read
        })
    }
}
