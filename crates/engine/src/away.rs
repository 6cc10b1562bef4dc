//! How long a guest was really down.
//!
//! A guest's downtime is counted from the command. The proof that it runs again comes with the next look, and hours
//! later where the driver is gone in between; so the guest itself is asked since when it runs. Where that cannot be read,
//! the outage is counted up to now: never less than it was.

use quorate_core::ids::{GuestId, UnixMs};
use quorate_core::run::Event;
use quorate_core::steps::Step;
use quorate_pve::ports::ApiRequest;
use quorate_pve::wire::guest::Current;
use quorate_pve::wire::lenient;

use crate::drive::{DriveError, Driver};

impl Driver<'_> {
    /// Before a step ends an outage, or begins another one: records when the outage really ended, if the guest runs.
    pub(crate) async fn count_only_real_downtime(&mut self, step: &Step) -> Result<(), DriveError> {
        let Some(guest) = self.state.outage_of(step) else { return Ok(()) };
        match self.runs_since(guest).await {
            Some(since) => self.append(Event::GuestRanSince { guest, since }),
            None => Ok(()),
        }
    }

    /// From the uptime of its process. Read before the clock is: the moment is the real one or a little later.
    async fn runs_since(&self, guest: GuestId) -> Option<UnixMs> {
        let node = &self.seen.look.as_ref()?.snapshot.guests.get(&guest)?.node;
        let path = format!("/nodes/{node}/{}/{}/status/current", guest.kind.api(), guest.vmid);
        let answer = self.ports.api.call(ApiRequest::get(path)).await.ok()?;
        let current: Current = lenient::read(answer).ok()?;
        let uptime_s = current.uptime?.unsigned();
        let runs = current.status.is_some_and(|status| status.0 == "running") && uptime_s > 0;
        runs.then(|| UnixMs(self.ports.clock.now().0.saturating_sub(uptime_s.saturating_mul(1000))))
    }
}
