//! One guest's downtime because of us, and what is left of what was agreed to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, UnixMs};

/// One guest's downtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Milliseconds of the outages that have ended.
    pub ended_ms: u64,
    /// When the outage began that has not ended.
    pub since: Option<UnixMs>,
}

impl Spent {
    /// The downtime up to a moment, in seconds, rounded up.
    pub fn seconds(&self, now: UnixMs) -> u64 {
        let running = self.since.map_or(0, |since| now.0.saturating_sub(since.0));
        self.ended_ms.saturating_add(running).div_ceil(1000)
    }

    /// An outage begins, unless one is going on.
    pub(super) fn begin(&mut self, at: UnixMs) {
        self.since.get_or_insert(at);
    }

    /// The outage has ended.
    pub(super) fn end(&mut self, at: UnixMs) {
        let lasted = self.since.take().map_or(0, |since| at.0.saturating_sub(since.0));
        self.ended_ms = self.ended_ms.saturating_add(lasted);
    }

    /// The guest has been running since then, whether or not a driver saw it.
    pub(super) fn ran_since(&mut self, at: UnixMs) {
        match self.since {
            Some(began) if at > began => self.end(at),
            _ => self.cancel(),
        }
    }

    /// There was no outage after all: the command had no effect.
    pub(super) fn cancel(&mut self) {
        self.since = None;
    }
}

/// A plan or a step needs more downtime of a guest than is left of what was agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The guest.
    pub guest: GuestId,
    /// How long it was down because of us, in seconds.
    pub spent_s: u64,
    /// How long it may be down in the whole run, in seconds.
    pub allowed_s: u64,
    /// How much longer it would be down, in seconds.
    pub more_s: u64,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guest, spent_s, allowed_s, more_s } = self;
        write!(
            f,
            "{guest} was down for {spent_s} s of the {allowed_s} s agreed to, and would be for about {more_s} s more"
        )
    }
}
