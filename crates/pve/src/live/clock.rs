//! Time: the wall clock, or for the lab one that runs faster.
#![allow(clippy::disallowed_methods, reason = "this is the clock that everything else takes its time from")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quorate_core::ids::UnixMs;

use crate::ports::{Clock, PortFuture};

/// However fast the lab's time runs, real sockets need real time.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The clock of a live run.
#[derive(Clone, Debug)]
pub struct LiveClock {
    scale: Option<Scale>,
}

#[derive(Clone, Debug)]
struct Scale {
    began: Instant,
    start: UnixMs,
    factor: f64,
}

impl LiveClock {
    /// The wall clock.
    pub fn wall() -> Self {
        Self { scale: None }
    }

    /// A clock that shows `start` now and runs `factor` times as fast as the wall clock; below 1 counts as 1.
    pub fn scaled(start: UnixMs, factor: f64) -> Self {
        let factor = if factor.is_finite() { factor.max(1.0) } else { 1.0 };
        Self { scale: Some(Scale { began: Instant::now(), start, factor }) }
    }

    /// How long a timeout of this clock's time is on the wall clock.
    pub(super) fn timeout(&self, duration: Duration) -> Duration {
        self.on_the_wall(duration).max(SHORTEST_TIMEOUT)
    }

    fn on_the_wall(&self, duration: Duration) -> Duration {
        match &self.scale {
            None => duration,
            Some(scale) => Duration::try_from_secs_f64(duration.as_secs_f64() / scale.factor).unwrap_or(duration),
        }
    }
}

impl Clock for LiveClock {
    fn now(&self) -> UnixMs {
        match &self.scale {
            // A clock before 1970 is as wrong as one that says 1970.
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Some(scale) => {
                let passed_ms = scale.began.elapsed().as_secs_f64() * scale.factor * 1000.0;
                // Converts with saturation; a lab does not run for half a billion years.
                UnixMs(scale.start.0.saturating_add(passed_ms as u64))
            }
        }
    }

    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        Box::pin(tokio::time::sleep(self.on_the_wall(duration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lab_minute_at_factor_600_takes_a_tenth_of_a_second() {
        let clock = LiveClock::scaled(UnixMs(1_000_000), 600.0);
        let began = Instant::now();
        clock.sleep(Duration::from_secs(60)).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(clock.now().0 >= 1_060_000, "{:?}", clock.now());
        assert_eq!(clock.timeout(Duration::from_secs(60)), SHORTEST_TIMEOUT);
    }
}
