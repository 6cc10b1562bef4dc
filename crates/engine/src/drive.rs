//! A driver: how it starts or continues a run, what it holds, and how it decides and records.
//!
//! Everything is in the journal before it happens: a step is recorded before its command is sent, its end once the
//! effect was seen. A driver that is killed leaves a journal from which the next driver continues.

use std::sync::Arc;

use quorate_core::ids::{NodeName, RunId, UnixMs};
#[cfg(feature = "without-rules")]
use quorate_core::invariants::RuleId;
use quorate_core::invariants::guard;
use quorate_core::migration_throttle;
use quorate_core::plan::Plan;
use quorate_core::policy::Policy;
use quorate_core::run::{Action, Asked, Event, Objection, Pause, Request, RunKind, RunOutcome, RunState, Seen, decide};
use quorate_core::snapshot::{OlderJournal, Snapshot};
use quorate_core::steps::Step;
use quorate_journal::{Holder, Journal, JournalError};
use quorate_pve::ports::Ports;

use crate::cluster_lock::ClusterLock;
use crate::lease::{LEASE_TTL_S, Lease};
use crate::look::Looker;
use crate::looked::Looked;
use crate::prepare::Beginning;
use crate::renewing::renewing;
use crate::resting::resting;
#[cfg(feature = "without-rules")]
use crate::switched_off::SwitchedOff;
use crate::telling::Telling;
use crate::wall::wall_now;
use crate::watcher::Watcher;

/// What to do while a run is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenPaused {
    /// Keep the lease and wait for `resume`, `approve` or `abort`.
    Stay,
    /// End the process; `resume` continues the run.
    Leave,
}

/// How driving ended.
#[allow(clippy::large_enum_variant, reason = "there is one of it per run")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is over.
    Over(RunOutcome),
    /// The run is paused, and the driver was told to leave then.
    Paused(Pause),
}

/// Driving had to stop. The cluster is left as it is; what is under way there continues by itself.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal cannot be read or written, or another driver holds the lease.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another driver is working on the same cluster, from another journal.
    #[error("{0} is already upgrading this cluster; nothing was changed. Wait for it to end, or stop it there")]
    OtherDriver(String),
    /// The cluster's lock names an event that the journal does not have.
    #[error("{0}")]
    OlderJournal(Box<OlderJournal>),
    /// The journal has no such run.
    #[error("the journal has no run {0}: start one with `quorate run`")]
    NoRun(RunId),
}

/// Why nothing may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOurs {
    /// The lease in the journal was not renewed for too long: this process or its disk stood still.
    #[error("not sent: the lease in the journal was not renewed for too long, so another driver may have it")]
    Lease,
    /// The lock in the cluster was not renewed for too long, or does not name the journal's last event.
    #[error("not sent: the lock in the cluster could not be renewed, so another driver may have it")]
    Lock,
}

/// Drives one run.
pub struct Driver<'a> {
    pub(crate) ports: Ports,
    pub(crate) journal: &'a Journal,
    pub(crate) run: RunId,
    pub(crate) state: RunState,
    pub(crate) looker: Looker,
    pub(crate) watcher: &'a mut dyn Watcher,
    #[cfg(feature = "without-rules")]
    switched_off: SwitchedOff,
    lease: Lease,
    pub(crate) lock: Arc<ClusterLock>,
    /// What it has read.
    pub(crate) seen: Seen,
    /// When the last look was made.
    pub(crate) looked: Looked,
    /// What readers of the journal are told meanwhile.
    pub(crate) telling: Telling,
}

impl<'a> Driver<'a> {
    /// Starts a run: the lease is taken, and the plan is in the journal before anything is done.
    ///
    /// # Errors
    /// Another driver holds the lease, or the journal cannot be written.
    pub fn begin(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        beginning: Beginning,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        let Beginning { run, cluster, policy, plan } = beginning;
        let mut driver = Self::open(ports, journal, holder, (run, cluster, policy), watcher)?;
        driver.follow(plan, &holder.text)?;
        Ok(driver)
    }

    /// Starts a run that has no plan yet: so that all that is done for a plan is done with lease and lock held.
    ///
    /// # Errors
    /// Another driver holds the lease, or the journal cannot be written.
    pub fn open(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        (run, cluster, policy): (RunId, String, Policy),
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        Self::start(ports, journal, holder, run, (RunKind::Upgrade, cluster, policy), watcher)
    }

    /// Starts a run that drains one node and upgrades nothing; it has no plan yet.
    ///
    /// # Errors
    /// Another driver holds the lease, or the journal cannot be written.
    pub fn open_drain(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        node: NodeName,
        (run, cluster, policy): (RunId, String, Policy),
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        Self::start(ports, journal, holder, run, (RunKind::Drain { node }, cluster, policy), watcher)
    }

    /// Follows the first plan, and agrees to the downtime that it names.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn follow(&mut self, plan: Plan, by: &str) -> Result<(), DriveError> {
        self.append(self.state.agreement(&plan, by, self.ports.clock.now()))?;
        self.append(Event::PlanAdopted { plan, why: "first plan".to_owned() })
    }

    /// Starts a run that only undoes what it changes: for a cluster that lost quorum outside of a run.
    ///
    /// # Errors
    /// Another driver holds the lease, or the journal cannot be written.
    pub fn begin_recovery(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        policy: Policy,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        // Without quorum no node is a reliable source for the cluster's name.
        let cluster = "without quorum".to_owned();
        Self::start(ports, journal, holder, run, (RunKind::Recovery, cluster, policy), watcher)
    }

    /// Starts a run that only undoes what was found set in a cluster whose journal is lost or too old. Whatever the lock
    /// in the cluster says of that journal, it is given up.
    ///
    /// # Errors
    /// Another driver holds the lease, or the journal cannot be written.
    pub fn begin_undoing(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        (run, cluster, policy): (RunId, String, Policy),
        found: Vec<Step>,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        let mut driver = Self::start(ports, journal, holder, run, (RunKind::Recovery, cluster, policy), watcher)?;
        driver.lock.give_up_other_journals();
        for undo in found {
            driver.append(Event::FoundSet { undo, by: holder.text.clone() })?;
        }
        Ok(driver)
    }

    fn start(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        (kind, cluster, policy): (RunKind, String, Policy),
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        let mut driver = Self::new(ports, journal, holder, run, watcher)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        driver.append(Event::RunStarted { run: driver.run.clone(), kind, cluster, policy, version })?;
        driver.append(Event::DriverTookOver { driver: holder.text.clone(), id: Some(holder.id.clone()) })?;
        Ok(driver)
    }

    /// Continues a run that the journal has: after a crash, after a pause, or from another machine.
    ///
    /// # Errors
    /// Another driver holds the lease, there is no such run, or the journal cannot be read or written.
    pub fn take_up(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        let mut driver = Self::new(ports, journal, holder, run, watcher)?;
        let entries = journal.events(&driver.run)?;
        if entries.is_empty() {
            return Err(DriveError::NoRun(driver.run));
        }
        driver.state = RunState::of(entries.iter().map(|entry| (entry.at, &entry.event)));
        driver.append(Event::DriverTookOver { driver: holder.text.clone(), id: Some(holder.id.clone()) })?;
        Ok(driver)
    }

    /// With the lease, which from now on is renewed by itself.
    fn new(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        let gone = journal.acquire_lease(holder, &run, wall_now(), LEASE_TTL_S)?;
        let lease = Lease::keep(journal)?;
        let ports = resting(ports);
        let lock = Arc::new(ClusterLock::new(ports.clone(), run.clone(), holder.clone(), gone));
        // Each is written down after the look in which it happens.
        ports.api.let_members_vouch();
        Ok(Self {
            ports: renewing(ports, lock.clone()),
            journal,
            run,
            state: RunState::default(),
            looker: Looker::default(),
            watcher,
            #[cfg(feature = "without-rules")]
            switched_off: SwitchedOff::default(),
            lease,
            lock,
            seen: Seen::default(),
            looked: Looked::at(UnixMs(0)),
            telling: Telling::default(),
        })
    }

    /// What to do while the run is paused; without this it stays.
    #[must_use]
    pub fn when_paused(mut self, when_paused: WhenPaused) -> Self {
        self.seen.leaves_when_paused = when_paused == WhenPaused::Leave;
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

    /// Switches safety rules off, and the migration throttle if asked to, so that a test can show what they are for.
    #[cfg(feature = "without-rules")]
    #[must_use]
    pub fn without_rules(mut self, rules: std::collections::BTreeSet<RuleId>, without_corosync_watch: bool) -> Self {
        self.switched_off = SwitchedOff { rules, without_corosync_watch };
        self
    }

    /// The run's id.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The run's state.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Records what the operator said with the command that started this driver: a resume, an approval, an abort.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn say(&mut self, request: Request, by: &str) -> Result<(), DriveError> {
        self.seen.asked.push_back(Asked { seq: None, request, by: by.to_owned() });
        while let (false, Action::Hear { events }) = (self.seen.asked.is_empty(), self.decide()) {
            self.hear(events)?;
        }
        Ok(())
    }

    /// Ends driving without ending the run: the lease is released.
    pub fn leave(&mut self) {
        // A lease that cannot be released expires by itself.
        let _ = self.journal.release_lease();
    }

    /// Nodes for cluster-wide commands: the current one last.
    pub(crate) fn nodes_to_ask(&self) -> Vec<NodeName> {
        let mut nodes = self.looker.known_nodes();
        let current = self.state.current_node.as_ref();
        nodes.sort_by_key(|node| current == Some(node));
        nodes
    }

    /// The next action, for what was seen up to now.
    pub(crate) fn decide(&self) -> Action {
        let context = self.state.context();
        let guard = |step: &Step, in_flight: &[&Step], seen: &Snapshot| {
            let refusals = guard(step, in_flight, seen, &context).err().unwrap_or_default();
            let mut objections: Vec<Objection> = refusals.into_iter().map(Objection::from).collect();
            objections.extend(migration_throttle::against(&self.state, step, seen).into_iter().map(Objection::from));
            #[cfg(feature = "without-rules")]
            objections.retain(|objection| !self.switched_off.has(objection));
            if objections.is_empty() { Ok(()) } else { Err(objections) }
        };
        decide(&self.state, &self.seen, self.ports.clock.now(), &guard)
    }

    /// Are the lease and the lock in the cluster surely this driver's? To be asked directly before each order is sent: the
    /// journal's last event is in the cluster's lock by then, so that nobody can come with a journal that does not know
    /// of the order.
    ///
    /// # Errors
    /// They are not, or that is not known: nothing may be sent.
    pub(crate) async fn surely_ours(&mut self) -> Result<(), NotOurs> {
        self.lock.write_down().await;
        match self.not_ours() {
            Some(why) => Err(why),
            None if !self.lock.is_written_down() => Err(NotOurs::Lock),
            None => Ok(()),
        }
    }

    /// Which of the two another driver may have by now.
    pub(crate) fn not_ours(&self) -> Option<NotOurs> {
        if self.lease.sure_for().is_none() {
            return Some(NotOurs::Lease);
        }
        (!self.lock.is_surely_ours()).then_some(NotOurs::Lock)
    }

    /// The oldest request is handled: what follows from it is written first, so that none is lost.
    pub(crate) fn hear(&mut self, events: Vec<Event>) -> Result<(), DriveError> {
        events.into_iter().try_for_each(|event| self.append(event))?;
        self.heard()
    }

    pub(crate) fn heard(&mut self) -> Result<(), DriveError> {
        match self.seen.heard().and_then(|asked| asked.seq) {
            Some(seq) => Ok(self.journal.request_heard(seq, wall_now())?),
            None => Ok(()),
        }
    }

    /// Writes an event, then applies it to the state, then reports it to the watcher: in this order.
    pub(crate) fn append(&mut self, event: Event) -> Result<(), DriveError> {
        let at = self.ports.clock.now();
        let seq = self.journal.append(&self.run, at, &event)?;
        self.state.apply(at, &event);
        self.lock.note(self.journal, self.state.ended.is_some())?;
        self.watcher.event(seq, at, &event);
        self.tell_waiting(&[]);
        Ok(())
    }
}
