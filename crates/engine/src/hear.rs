//! What another process, or the operator on the way here, asks of the driver.

use quorate_core::plan::Plan;
use quorate_core::run::{Event, PauseCause, Request};

use crate::drive::{DriveError, Driver};
use crate::wall::wall_now;

impl Driver<'_> {
    pub(crate) fn hear_requests(&mut self) -> Result<(), DriveError> {
        for posted in self.journal.pending_requests(&self.run)? {
            self.hear(posted.request, &posted.by)?;
            self.journal.request_heard(posted.seq, wall_now())?;
        }
        Ok(())
    }

    pub(crate) fn hear(&mut self, request: Request, by: &str) -> Result<(), DriveError> {
        let by = by.to_owned();
        match request {
            Request::Pause if self.state.paused.is_none() => {
                self.pause(PauseCause::Operator, vec![format!("{by} asked for it; `quorate resume` goes on")])
            }
            Request::Pause => Ok(()),
            Request::Resume => {
                // Somebody has mended something: what is there now may want another plan.
                self.looker.look_anew();
                self.reviewed = false;
                self.append(Event::Resumed { by })
            }
            Request::Waive { waiver, findings } => self.append(Event::Waived { waiver, findings, by }),
            Request::Approve { kinds } => {
                self.append(Event::Consented { kinds, by: by.clone() })?;
                if let Some(plan) = self.state.plan.clone() {
                    self.agree_to_downtime_of(&plan, &by)?;
                }
                if matches!(self.state.paused, Some((PauseCause::NeedsConsent, _))) {
                    self.append(Event::Resumed { by })?;
                }
                Ok(())
            }
            Request::LowerVotes { words } => {
                self.to_lower = Some((words, by));
                Ok(())
            }
            Request::Abort => self.append(Event::AbortBegun { by }),
        }
    }

    /// Whoever begins a run or approves its plan agrees to the downtime that it names, with the stated margin.
    pub(crate) fn agree_to_downtime_of(&mut self, plan: &Plan, by: &str) -> Result<(), DriveError> {
        let policy = &self.state.policy;
        let allowed_s = self.state.budget_for(plan, policy, self.ports.clock.now());
        let margin_percent = policy.downtime_margin_percent;
        self.append(Event::DowntimeAgreed { allowed_s, margin_percent, by: by.to_owned() })
    }
}
