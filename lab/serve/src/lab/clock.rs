//! The lab's time: the wall clock, sped up.

use std::time::{Duration, Instant};

use quorate_core::ids::UnixMs;

/// Virtual now = start + elapsed × factor.
#[derive(Clone, Copy, Debug)]
pub struct LabClock {
    started: Instant,
    start: UnixMs,
    factor: u32,
}

impl LabClock {
    /// Begins at `start`, `factor` times as fast as the wall clock; 1 is real time.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that the others are told to ask")]
    pub fn new(start: UnixMs, factor: u32) -> Self {
        Self { started: Instant::now(), start, factor: factor.max(1) }
    }

    /// Virtual now.
    pub fn now(&self) -> UnixMs {
        let elapsed = self.started.elapsed().saturating_mul(self.factor);
        UnixMs(self.start.0.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Waits that long, in the lab's time.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that the others are told to ask")]
    pub async fn sleep(&self, virtual_time: Duration) {
        tokio::time::sleep(virtual_time / self.factor).await;
    }

    /// How many times faster than the wall clock it runs.
    pub fn factor(&self) -> u32 {
        self.factor
    }

    /// Virtual time in which the lab began.
    pub fn start(&self) -> UnixMs {
        self.start
    }
}
