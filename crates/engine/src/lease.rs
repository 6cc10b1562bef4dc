//! The lease in the journal, renewed by a thread of its own: a look or an order that takes minutes does not lose it.
//!
//! It is about processes, so it runs by the real clock, also where the lab's runs faster. Whether it is surely still
//! ours is measured by a clock that counts the time for which this machine slept.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use quorate_journal::{Journal, JournalError};
use quorate_pve::live::since_boot;

use crate::wall::wall_now;

/// A driver that is silent for longer does not hold the journal any more, in seconds of the wall clock.
pub(crate) const LEASE_TTL_S: u64 = 120;

/// It is renewed this often.
const RENEW: Duration = Duration::from_secs(20);

/// After a renewal that failed it is tried again this soon.
const AGAIN: Duration = Duration::from_secs(2);

/// After this long without a renewal another driver may have it: nothing is started then.
const SURE: Duration = Duration::from_secs(100);

/// Renews the lease until it is dropped, or the lease is lost. Whoever appends to the journal sees that it is lost.
pub(crate) struct Lease {
    /// When the last renewal that succeeded was begun; none for a journal that no one else can take.
    renewed: Option<Arc<Mutex<Duration>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Of the driver that has just acquired it with this journal.
    pub(crate) fn keep(journal: &Journal) -> Result<Self, JournalError> {
        Self::keep_every(journal, RENEW)
    }

    fn keep_every(journal: &Journal, every: Duration) -> Result<Self, JournalError> {
        let begun = since_boot();
        let Some(renewals) = journal.for_renewals()? else {
            return Ok(Self { renewed: None, stop: None, thread: None });
        };
        let renewed = Arc::new(Mutex::new(begun));
        let (stop, stopped) = channel();
        let shared = renewed.clone();
        let thread = std::thread::spawn(move || renew(&renewals, every, &shared, &stopped));
        Ok(Self { renewed: Some(renewed), stop: Some(stop), thread: Some(thread) })
    }

    /// For how long it is surely ours; none if it is not now.
    pub(crate) fn sure_for(&self) -> Option<Duration> {
        let Some(renewed) = &self.renewed else { return Some(SURE) };
        let renewed = *renewed.lock().unwrap_or_else(PoisonError::into_inner);
        (renewed + SURE).checked_sub(since_boot()).filter(|left| !left.is_zero())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It waits for nothing but the end of a renewal, which is bounded.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn renew(journal: &Journal, every: Duration, renewed: &Mutex<Duration>, stopped: &Receiver<()>) {
    let mut wait = every;
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let begun = since_boot();
        wait = match journal.renew_lease(wall_now(), LEASE_TTL_S) {
            Ok(()) => {
                *renewed.lock().unwrap_or_else(PoisonError::into_inner) = begun;
                every
            }
            Err(JournalError::LeaseLost { .. }) => return,
            Err(_) => AGAIN,
        };
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::{DriverId, RunId, UnixMs};
    use quorate_journal::{Holder, Mode};

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test waits for a thread, and makes a file")]
    fn a_thread_renews_it_while_the_driver_is_busy_and_stops_with_the_driver() {
        let dir = std::env::temp_dir().join(format!("quorate-lease-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let journal = Journal::open(&dir.join("run.db"), Mode::Drive).unwrap();
        let holder = Holder::this_process("anna", DriverId::drawn(1));
        journal.acquire_lease(&holder, &RunId::new("r1"), UnixMs(0), 1).unwrap();
        let renewed = || journal.last_lease().unwrap().unwrap().renewed;
        let lease = Lease::keep_every(&journal, Duration::from_millis(5)).unwrap();
        let busy = || std::thread::sleep(Duration::from_millis(5));
        assert!((0..2000).any(|_| {
            busy();
            renewed() > UnixMs(0)
        }));
        assert!(lease.sure_for().is_some_and(|left| left > Duration::from_secs(90)));
        drop(lease);
        let last = renewed();
        (0..10).for_each(|_| busy());
        assert_eq!(renewed(), last, "nothing renews it any more");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_lease_that_was_not_renewed_for_100_s_is_not_surely_ours() {
        let ago = |seconds: u64| Lease {
            renewed: Some(Arc::new(Mutex::new(since_boot().saturating_sub(Duration::from_secs(seconds))))),
            stop: None,
            thread: None,
        };
        assert!(ago(99).sure_for().is_some());
        assert_eq!(ago(101).sure_for(), None);
    }
}
