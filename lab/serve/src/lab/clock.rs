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
    /// A clock that starts at `start`, `factor` times as fast as the wall clock; 1 is real time.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that all other code must use")]
    pub fn new(start: UnixMs, factor: u32) -> Self {
        Self { started: Instant::now(), start, factor: factor.max(1) }
    }

    /// The current virtual time.
    pub fn now(&self) -> UnixMs {
        let elapsed = self.started.elapsed().saturating_mul(self.factor);
        UnixMs(self.start.0.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Waits for this duration of the lab's time.
    #[allow(clippy::disallowed_methods, reason = "this is the clock that all other code must use")]
    pub async fn sleep(&self, virtual_time: Duration) {
        tokio::time::sleep(virtual_time / self.factor).await;
    }

    /// How many times faster than the wall clock it runs.
    pub fn factor(&self) -> u32 {
        self.factor
    }

    /// The virtual time at which the lab started.
    pub fn start(&self) -> UnixMs {
        self.start
    }
}
