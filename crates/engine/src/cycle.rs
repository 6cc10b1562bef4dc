//! The loop: decide, perform, record, until the run is over or this process has to leave it.

use quorate_core::run::{Action, Asked, Pause, Request};

use crate::act::Lowered;
use crate::drive::{DriveError, Driver, Ended};

impl Driver<'_> {
    /// Drives until the run is over, or paused and told to leave then.
    ///
    /// # Errors
    /// The journal cannot be written, or the lease was lost. The run stops where it is.
    pub async fn drive(&mut self) -> Result<Ended, DriveError> {
        let ended = self.drive_on().await;
        let nodes = self.nodes_to_ask();
        self.lock.release(&self.ports, &nodes).await;
        self.leave();
        ended
    }

    async fn drive_on(&mut self) -> Result<Ended, DriveError> {
        loop {
            self.keep_lease()?;
            let action = self.decide();
            self.seen.decided();
            if let Some(ended) = self.act(action).await? {
                return Ok(ended);
            }
        }
    }

    /// Lowers expected votes, if there is nothing at all against it, and does nothing else.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn lower_votes(&mut self, words: Vec<String>, by: String) -> Result<Lowered, DriveError> {
        self.seen.asked.push_front(Asked { seq: None, request: Request::LowerVotes { words }, by });
        loop {
            match self.decide() {
                Action::LowerVotes { step, words, by } => return self.lower(step, words, by).await,
                Action::RefuseLowering { pause, record } => {
                    let reasons = match &pause {
                        Pause::LoweringRefused { refusals, .. } => refusals.iter().map(ToString::to_string).collect(),
                        other => other.lines(),
                    };
                    self.refuse_lowering(pause, record)?;
                    return Ok(Lowered::Not(reasons));
                }
                Action::Finish(_) => return Ok(Lowered::Not(vec!["the run is over".to_owned()])),
                action => drop(self.act(action).await?),
            }
        }
    }
}
