//! Drives one run until it is over, paused or interrupted.
//!
//! What happens is in the journal before it happens: a step is recorded before its command is sent, its end after
//! the cluster was seen to be so. Whoever is killed here leaves a journal from which the next driver goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::ids::{NodeName, RunId, StepId, UnixMs};
use quorate_core::invariants::guard;
use quorate_core::run::{Action, Event, PauseCause, Request, RunOutcome, RunState, Start, StepOutcome, decide};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{OnNode, Step};
use quorate_journal::{Holder, Journal, JournalError};
use quorate_pve::ports::Ports;

use crate::cluster_lock::ClusterLock;
use crate::look::{Depth, Looker};
use crate::perform;
use crate::prepare::Beginning;
use crate::quorum::is_lost;
use crate::wall::wall_now;
use crate::watcher::Watcher;

/// A driver that is silent for longer does not hold the journal any more, in seconds of the wall clock.
pub(crate) const LEASE_TTL_S: u64 = 120;

/// The lease is renewed when it is older than this, in seconds of the wall clock.
const LEASE_RENEW_S: u64 = 20;

/// From one look for something that is missing to the next.
const REST_S: u64 = 10;

/// Steps that can end, and plans that can change, on one and the same snapshot. More is a fault of ours.
const DECISIONS_PER_LOOK: u32 = 1000;

/// What to do while a run is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenPaused {
    /// Keep the lease and wait for `resume`, `approve` or `abort`.
    Stay,
    /// End the process; `resume` takes the run up.
    Leave,
}

/// How driving ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is over.
    Over(RunOutcome),
    /// It stands still, and the driver was told to leave then.
    Paused {
        /// What kind of pause.
        cause: PauseCause,
        /// Why, line by line.
        why: Vec<String>,
    },
}

/// Driving had to stop. The cluster is left as it is; what is under way there goes on by itself.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal cannot be read or written, or somebody else drives.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another driver is at work on the same cluster, from another journal.
    #[error("{0} drives this cluster already; nothing was changed. Wait for it to end, or stop it there")]
    OtherDriver(String),
    /// The journal has no such run.
    #[error("the journal has no run {0}: begin one with `quorate run`")]
    NoRun(RunId),
}

/// Drives one run.
pub struct Driver<'a> {
    pub(crate) ports: Ports,
    pub(crate) journal: &'a Journal,
    pub(crate) run: RunId,
    pub(crate) state: RunState,
    pub(crate) looker: Looker,
    pub(crate) watcher: &'a mut dyn Watcher,
    when_paused: WhenPaused,
    without_rules: BTreeSet<String>,
    lease_renewed: UnixMs,
    /// When this driver came, by the run's clock.
    pub(crate) came: UnixMs,
    pub(crate) lock: ClusterLock,
    pub(crate) unsure_since: Option<UnixMs>,
    /// Was the plan held against the first look of this driver?
    pub(crate) reviewed: bool,
    pub(crate) to_lower: Option<(Vec<String>, String)>,
    /// Since when there is no plan because something cannot be read.
    pub(crate) unread_since: Option<UnixMs>,
}

/// What a decision led to.
pub(crate) enum Turn {
    /// Something was written: decide again on the same snapshot.
    Again,
    /// Something was sent, or it was waited: look again.
    Look,
    /// Wait a little, then look at everything again.
    Rest,
    /// It is over.
    Ended(Ended),
}

impl<'a> Driver<'a> {
    /// Begins a run: the lease is taken, and the plan is in the journal before anything is done.
    ///
    /// # Errors
    /// Somebody else drives, or the journal cannot be written.
    pub fn begin(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        beginning: Beginning,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        let Beginning { run, cluster, policy, plan } = beginning;
        journal.acquire_lease(holder, &run, wall_now(), LEASE_TTL_S)?;
        let mut driver = Self::new(ports, journal, holder, run, watcher);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        driver.append(Event::RunStarted { run: driver.run.clone(), cluster, policy, version })?;
        driver.append(Event::DriverTookOver { driver: holder.text.clone() })?;
        driver.agree_to_downtime_of(&plan, &holder.text)?;
        driver.append(Event::PlanAdopted { plan, why: "first plan".to_owned() })?;
        Ok(driver)
    }

    /// Takes up a run that the journal has: after a crash, after a pause, or from another machine.
    ///
    /// # Errors
    /// Somebody else drives, there is no such run, or the journal cannot be read or written.
    pub fn take_up(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        journal.acquire_lease(holder, &run, wall_now(), LEASE_TTL_S)?;
        let entries = journal.events(&run)?;
        if entries.is_empty() {
            return Err(DriveError::NoRun(run));
        }
        let mut driver = Self::new(ports, journal, holder, run, watcher);
        driver.state = RunState::of(entries.iter().map(|entry| (entry.at, &entry.event)));
        driver.append(Event::DriverTookOver { driver: holder.text.clone() })?;
        Ok(driver)
    }

    pub(crate) fn new(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        watcher: &'a mut dyn Watcher,
    ) -> Self {
        let lock = ClusterLock::new(run.clone(), holder.text.clone());
        let came = ports.clock.now();
        Self {
            ports,
            journal,
            run,
            state: RunState::default(),
            looker: Looker::default(),
            watcher,
            when_paused: WhenPaused::Stay,
            without_rules: BTreeSet::new(),
            lease_renewed: wall_now(),
            came,
            lock,
            unsure_since: None,
            reviewed: false,
            to_lower: None,
            unread_since: None,
        }
    }

    /// What to do while the run is paused; without this it stays.
    #[must_use]
    pub fn when_paused(mut self, when_paused: WhenPaused) -> Self {
        self.when_paused = when_paused;
        self
    }

    /// Nodes of the configuration file, for the case that no API answers.
    #[must_use]
    pub fn known_nodes(mut self, nodes: Vec<NodeName>) -> Self {
        self.looker = Looker::new(nodes);
        self
    }

    /// What was seen when the plan was made.
    #[must_use]
    pub fn having_seen(mut self, snapshot: Snapshot) -> Self {
        self.looker.has_seen(snapshot);
        self
    }

    /// Takes safety rules out, to show in the lab what they are for. Never used against a real cluster.
    #[must_use]
    pub fn without_rules(mut self, rules: BTreeSet<String>) -> Self {
        self.without_rules = rules;
        self
    }

    /// The run's state.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Records something that the operator said on the way here: a resume, an approval, an abort.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn say(&mut self, request: Request, by: &str) -> Result<(), DriveError> {
        self.hear(request, by)
    }

    /// Drives until the run is over, or paused and told to leave then.
    ///
    /// # Errors
    /// The journal cannot be written, or the lease was lost. The run stops where it is.
    pub async fn drive(&mut self) -> Result<Ended, DriveError> {
        let ended = self.drive_on().await;
        let nodes = self.nodes_to_ask();
        self.lock.release(&self.ports, &nodes).await;
        // A lease that cannot be given back runs out by itself.
        let _ = self.journal.release_lease();
        ended
    }

    async fn drive_on(&mut self) -> Result<Ended, DriveError> {
        loop {
            self.keep_lease()?;
            self.hear_requests()?;
            if let Some(outcome) = &self.state.ended {
                return Ok(Ended::Over(outcome.clone()));
            }
            if let (WhenPaused::Leave, Some((cause, why))) = (self.when_paused, &self.state.paused)
                && (*cause != PauseCause::LostQuorum || self.waited_for_quorum())
            {
                return Ok(Ended::Paused { cause: *cause, why: why.clone() });
            }
            if !self.quorum_is_back().await? || !self.hold_lock().await? {
                continue;
            }
            let (snapshot, depth) = self.looker.look(&self.ports, &self.state).await;
            if is_lost(&snapshot) && self.stands_still_without_quorum().await? {
                continue;
            }
            self.watch_corosync(&snapshot)?;
            if depth == Depth::WaveBegins {
                self.stop_before_a_node(&snapshot)?;
                if !self.reviewed {
                    if matches!(self.review(&snapshot)?, Turn::Rest) {
                        self.rest().await;
                        continue;
                    }
                    self.reviewed = true;
                }
            }
            if let Some(ended) = self.decide_until_look(&snapshot).await? {
                return Ok(ended);
            }
        }
    }

    /// Decides, again and again on one snapshot, until something was sent or there is nothing to do but to wait.
    async fn decide_until_look(&mut self, snapshot: &Snapshot) -> Result<Option<Ended>, DriveError> {
        for _ in 0..DECISIONS_PER_LOOK {
            let action = self.decide(snapshot);
            match self.act(action, snapshot).await? {
                Turn::Again => {}
                Turn::Look => return Ok(None),
                Turn::Rest => {
                    self.rest().await;
                    return Ok(None);
                }
                Turn::Ended(ended) => return Ok(Some(ended)),
            }
        }
        let why = "the plan changes without end on one and the same picture of the cluster: this is a fault in Quorate";
        self.pause(PauseCause::Stuck, vec![why.to_owned()])?;
        Ok(None)
    }

    pub(crate) async fn rest(&self) {
        self.ports.clock.sleep(Duration::from_secs(REST_S)).await;
    }

    fn decide(&self, snapshot: &Snapshot) -> Action {
        let context = self.state.context();
        let guard = |step: &Step, in_flight: &[&Step], seen: &Snapshot| {
            let mut refusals = guard(step, in_flight, seen, &context).err().unwrap_or_default();
            refusals.extend(quorate_core::heartbeat::against(&self.state, step, seen));
            let ruled_out = |line: &String| !self.without_rules.iter().any(|rule| line.starts_with(rule.as_str()));
            let left: Vec<String> = refusals.into_iter().filter(ruled_out).collect();
            if left.is_empty() { Ok(()) } else { Err(left) }
        };
        decide(&self.state, snapshot, self.ports.clock.now(), &guard)
    }

    async fn act(&mut self, action: Action, snapshot: &Snapshot) -> Result<Turn, DriveError> {
        match action {
            Action::Conclude { id, step, outcome } => {
                if step.on_node() == OnNode::Upgrades || matches!(outcome, StepOutcome::Abandoned(_)) {
                    self.keep_log(&id, snapshot).await?;
                }
                if matches!(outcome, StepOutcome::Done | StepOutcome::FoundDone) {
                    self.count_only_real_downtime(&step, snapshot).await?;
                }
                let in_a_turn = self.state.under_work.is_some();
                self.append(Event::StepEnded { id, step, outcome })?;
                // Between two nodes the cluster is looked at as a whole before the next one is touched.
                let turn_is_over = in_a_turn && self.state.under_work.is_none();
                Ok(if turn_is_over { Turn::Look } else { Turn::Again })
            }
            Action::Perform(start) => self.perform(start, snapshot).await,
            Action::Wait { on, poll_s } => {
                self.watcher.waiting(self.ports.clock.now(), &on);
                self.ports.clock.sleep(Duration::from_secs(poll_s)).await;
                Ok(Turn::Look)
            }
            Action::Replan { why, else_start } => self.replan(why, else_start).await,
            Action::Pause { cause, why } => {
                let stuck: Vec<StepId> = self.state.under_way().map(|(id, _)| id.clone()).collect();
                for id in stuck {
                    self.keep_log(&id, snapshot).await?;
                }
                self.pause(cause, why)?;
                Ok(Turn::Look)
            }
            Action::Finish(RunOutcome::Completed) if self.stopped_at_the_end().await? => Ok(Turn::Look),
            Action::Finish(outcome) => {
                self.append(Event::RunEnded { outcome: outcome.clone() })?;
                Ok(Turn::Ended(Ended::Over(outcome)))
            }
        }
    }

    async fn perform(&mut self, start: Start, snapshot: &Snapshot) -> Result<Turn, DriveError> {
        let Start { id, step, attempt, command, owes } = start;
        if attempt > 1 {
            self.keep_log(&id, snapshot).await?;
        }
        if command.is_some() && step.takes_down().is_some() {
            self.count_only_real_downtime(&step, snapshot).await?;
        }
        let avoid = self.state.current_node().cloned();
        self.append(Event::StepStarted { id: id.clone(), step, attempt, command: command.clone(), owes })?;
        let Some(command) = command else { return Ok(Turn::Again) };
        let answer = perform::send(&self.ports, &command, avoid.as_ref()).await;
        self.append(Event::CommandAnswered { id, answer: answer.text, job: answer.job })?;
        Ok(Turn::Look)
    }

    pub(crate) fn pause(&mut self, cause: PauseCause, why: Vec<String>) -> Result<(), DriveError> {
        self.append(Event::Paused { cause, why })
    }

    async fn keep_log(&mut self, id: &StepId, snapshot: &Snapshot) -> Result<(), DriveError> {
        let Some(record) = self.state.steps.get(id) else { return Ok(()) };
        match perform::log_of(&self.ports, snapshot, record).await {
            Some((node, lines)) => self.append(Event::OutputKept { id: id.clone(), node, lines }),
            None => Ok(()),
        }
    }

    fn keep_lease(&mut self) -> Result<(), DriveError> {
        let now = wall_now();
        if now.since_s(self.lease_renewed) >= LEASE_RENEW_S {
            self.journal.renew_lease(now, LEASE_TTL_S)?;
            self.lease_renewed = now;
        }
        Ok(())
    }

    /// Writes an event, then takes it into the state, then tells whoever watches: in this order.
    pub(crate) fn append(&mut self, event: Event) -> Result<(), DriveError> {
        let at = self.ports.clock.now();
        let seq = self.journal.append(&self.run, at, &event)?;
        self.state.apply(at, &event);
        self.watcher.event(seq, at, &event);
        Ok(())
    }
}
