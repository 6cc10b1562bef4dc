//! How long something takes: in real time, however fast the run's clock is.
#![allow(clippy::disallowed_methods, reason = "no decision depends on it")]

use std::time::{Duration, Instant};

pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(super) fn passed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Milliseconds since the start.
    pub(super) fn ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
