//! The clock: that of this machine, or a faster one for the lab.
#![allow(clippy::disallowed_methods, reason = "this is the clock that everything else takes its time from")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quorate_core::ids::UnixMs;

use crate::ports::{Clock, PortFuture};

/// However fast the lab's time runs, real sockets need real time.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The clock of a live run. It reads the machine's clock once and then adds the elapsed time, so that setting the
/// machine's clock makes no wait longer or shorter, and no lock look older or younger than it is.
#[derive(Clone, Debug)]
pub struct LiveClock {
    start: UnixMs,
    began: Duration,
    factor: f64,
}

impl LiveClock {
    /// A clock that shows the machine's time now.
    pub fn wall() -> Self {
        // A clock before 1970 is as wrong as one that says 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::scaled(UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)), 1.0)
    }

    /// A clock that shows `start` now and runs `factor` times as fast as the wall clock; below 1 counts as 1.
    pub fn scaled(start: UnixMs, factor: f64) -> Self {
        let factor = if factor.is_finite() { factor.max(1.0) } else { 1.0 };
        Self { start, began: since_boot(), factor }
    }

    /// How long a timeout of this clock's time is on the wall clock.
    pub(super) fn timeout(&self, duration: Duration) -> Duration {
        self.on_the_wall(duration).max(SHORTEST_TIMEOUT)
    }

    fn on_the_wall(&self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() / self.factor).unwrap_or(duration)
    }
}

/// Time since the machine was started, including suspend: a laptop that was closed for an hour has lost that hour, and
/// any lock it held.
#[cfg(target_os = "linux")]
pub fn since_boot() -> Duration {
    use nix::time::{ClockId, clock_gettime};

    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).expect("every Linux since 2.6.39 has this clock")
}

/// On other systems, the only portable clock that counts suspend is the adjustable one.
#[cfg(not(target_os = "linux"))]
pub fn since_boot() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Clock for LiveClock {
    fn now(&self) -> UnixMs {
        let passed = since_boot().saturating_sub(self.began);
        // Converts with saturation; a lab does not run for half a billion years.
        UnixMs(self.start.0.saturating_add((passed.as_secs_f64() * self.factor * 1000.0) as u64))
    }

    fn patience(&self, most: Duration) -> Duration {
        let shortest = SHORTEST_TIMEOUT.as_secs_f64() * self.factor;
        most.max(Duration::try_from_secs_f64(shortest).unwrap_or(most))
    }

    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        Box::pin(tokio::time::sleep(self.on_the_wall(duration)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_lab_minute_at_factor_600_takes_a_tenth_of_a_second() {
        let clock = LiveClock::scaled(UnixMs(1_000_000), 600.0);
        let began = Instant::now();
        clock.sleep(Duration::from_secs(60)).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(clock.now().0 >= 1_060_000, "{:?}", clock.now());
        assert_eq!(clock.timeout(Duration::from_secs(60)), SHORTEST_TIMEOUT);
        assert_eq!(clock.patience(Duration::from_secs(60)), Duration::from_secs(1200), "the same in the clock's time");
        assert_eq!(LiveClock::wall().patience(Duration::from_secs(15)), Duration::from_secs(15));
    }

    #[tokio::test]
    async fn the_wall_clock_shows_the_machines_time_and_goes_on() {
        let machine = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let (before, clock) = (machine(), LiveClock::wall());
        let first = clock.now().0;
        assert!((before..=machine()).contains(&first), "{first}");
        clock.sleep(Duration::from_millis(20)).await;
        assert!((first + 10..first + 20_000).contains(&clock.now().0), "{:?} after {first}", clock.now());
    }
}
