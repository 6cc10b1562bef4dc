//! The loop: decide, perform, record, until the run is over or this process has to leave it.

use std::sync::Arc;

use quorate_core::ids::NodeName;
use quorate_core::run::{Action, Asked, Event, NotBegun, Pause, Request, RunOutcome};
use quorate_core::snapshot::Snapshot;

use crate::act::Lowered;
use crate::drive::{DriveError, Driver, Ended};
use crate::prepare::{Prepared, not_refreshed};
use crate::refresh::{Refreshed, refresh, stale};

impl Driver<'_> {
    /// Drives until the run is over, or paused and told to leave then.
    ///
    /// # Errors
    /// The journal cannot be written, or the lease was lost. The run stops where it is.
    pub async fn drive(&mut self) -> Result<Ended, DriveError> {
        let ended = self.drive_on().await;
        self.let_go().await;
        ended
    }

    /// The same until `stop` is ready. Then it lets go of the run wherever that is, as a crash would, but at once for the
    /// next driver: none is returned.
    ///
    /// # Errors
    /// The journal cannot be written, or the lease was lost. The run stops where it is.
    pub async fn drive_until(&mut self, stop: impl Future<Output = ()>) -> Result<Option<Ended>, DriveError> {
        let ended = tokio::select! {
            ended = self.drive_on() => Some(ended),
            () = stop => None,
        };
        self.let_go().await;
        ended.transpose()
    }

    /// Keeps the lock in the cluster while nothing is done, for as long as somebody thinks about the plan.
    pub async fn keep_lock(&self) {
        self.lock.renew_if_due().await;
    }

    /// Lets go of the run: the lock in the cluster and the lease are free for the next driver.
    pub async fn let_go(&mut self) {
        self.lock.ask(self.nodes_to_ask());
        self.lock.release().await;
        self.leave();
    }

    /// Takes the lock in the cluster, before anything is done for a plan. Returns how the run ended, if it ends here.
    ///
    /// # Errors
    /// Another driver has it, or it names an event that the journal does not have; the journal cannot be written.
    pub async fn take_lock(&mut self) -> Result<Option<Ended>, DriveError> {
        let taken = self.up_to_the_look().await;
        if !matches!(taken, Ok(None)) {
            self.let_go().await;
        }
        taken
    }

    async fn up_to_the_look(&mut self) -> Result<Option<Ended>, DriveError> {
        loop {
            self.journal.check_lease()?;
            match self.decide() {
                _ if self.state.aborting => return self.finish(RunOutcome::NothingDone(NotBegun::Aborted)).map(Some),
                Action::Look(_) => return Ok(None),
                action => {
                    if let Some(ended) = self.act(action).await? {
                        return Ok(Some(ended));
                    }
                }
            }
        }
    }

    /// Refreshes old package lists, looks and plans. `before` says which lists are old.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn prepare(&mut self, before: &Snapshot) -> Result<Prepared, DriveError> {
        let begun = self.ports.clock.now();
        let refreshed = self.refresh(before).await?;
        let lists = refreshed.as_read(self.ports.clock.now().since_s(begun));
        let snapshot = self.looker.look_before_a_run(&self.ports).await;
        self.note_certificates()?;
        self.seen.turn();
        let mut prepared = Prepared::of(Arc::unwrap_or_clone(snapshot), &self.state.policy, &self.run);
        prepared.findings.splice(0..0, not_refreshed(refreshed, &self.state.policy));
        Ok(Prepared { lists: Some(lists), ..prepared })
    }

    /// Looks and plans a drain. Package lists are left as they are: nothing is upgraded.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn prepare_drain(&mut self, node: &NodeName) -> Result<Prepared, DriveError> {
        let snapshot = self.looker.look_before_a_run(&self.ports).await;
        self.note_certificates()?;
        self.seen.turn();
        Ok(Prepared::of_drain(Arc::unwrap_or_clone(snapshot), &self.state.policy, &self.run, node))
    }

    async fn refresh(&mut self, before: &Snapshot) -> Result<Refreshed, DriveError> {
        let nodes = stale(before);
        if nodes.is_empty() {
            return Ok(Refreshed::default());
        }
        self.append(Event::ListsRefreshBegun { nodes: nodes.clone() })?;
        let refreshed = match self.surely_ours().await {
            Ok(_) => refresh(&self.ports, &nodes).await,
            Err(why) => {
                let failed = nodes.iter().map(|node| (node.clone(), why.to_string())).collect();
                Refreshed { nodes: nodes.len(), failed, ..Refreshed::default() }
            }
        };
        self.append(Event::ListsRefreshed { failed: refreshed.failed.clone() })?;
        Ok(refreshed)
    }

    /// Ends a run that has followed no plan, and lets go of everything.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn end_before_it_began(&mut self, why: NotBegun) -> Result<(), DriveError> {
        let ended = self.finish(RunOutcome::NothingDone(why));
        self.let_go().await;
        ended.map(drop)
    }

    async fn drive_on(&mut self) -> Result<Ended, DriveError> {
        loop {
            self.journal.check_lease()?;
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
                Action::LowerVotes { step, command, words, by } => return self.lower((step, command), words, by).await,
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
