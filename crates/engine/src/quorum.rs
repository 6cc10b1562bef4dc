//! A run without quorum: it stands still, says why, and goes on by itself when quorum is back.
//!
//! Nothing of the cluster is changed here, with one exception: expected votes are lowered if somebody asks for it and
//! [`lowering`] has nothing against it. That is written down before it is done, as a thing that is owed.

use std::time::Duration;

use quorate_core::heartbeat::{self, Pace, Restraint};
use quorate_core::ids::{NodeName, RunId, StepId};
use quorate_core::policy::Policy;
use quorate_core::recovery::{RunFacts, Survey, diagnose, lowering};
use quorate_core::run::{Event, PauseCause, StepOutcome, StepRecord};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{ExpectedVotes, Why, set};
use quorate_journal::{Holder, Journal};
use quorate_pve::observe::survey;
use quorate_pve::ports::Ports;

use crate::drive::{DriveError, Driver, LEASE_TTL_S};
use crate::perform;
use crate::wall::wall_now;
use crate::watcher::Watcher;

/// Between two looks while there is no quorum: a node with active HA has a minute.
const POLL: Duration = Duration::from_secs(5);

/// So long after the command the views are asked whether it took: corosync tells its members at once.
const SETTLE: Duration = Duration::from_secs(3);

/// Does somebody tell his view, and nobody's has quorum?
pub(crate) fn is_lost(snapshot: &Snapshot) -> bool {
    let views = || snapshot.quorum.values().filter_map(|view| view.known());
    views().next().is_some() && !views().any(|view| view.quorate)
}

impl Driver<'_> {
    /// Nodes for cluster-wide commands: those not under work first.
    pub(crate) fn nodes_to_ask(&self) -> Vec<NodeName> {
        let mut nodes = self.looker.known_nodes();
        let under_work = self.state.under_work.as_ref();
        nodes.sort_by_key(|node| under_work == Some(node));
        nodes
    }

    /// Has the run waited for quorum as long as a boot and a return may take? Then a person has to look.
    pub(crate) fn waited_for_quorum(&self) -> bool {
        let deadlines = &self.state.policy.deadlines;
        let waited_s = self.ports.clock.now().since_s(self.state.last_event);
        waited_s > deadlines.boot_s + deadlines.rejoin_s
    }

    /// Nobody has quorum: the run stands still, with the diagnosis. False if that is not so.
    pub(crate) async fn stands_still_without_quorum(&mut self) -> Result<bool, DriveError> {
        if self.state.paused.is_some() {
            return Ok(false);
        }
        let seen = survey(&self.ports, &self.nodes_to_ask()).await;
        if !seen.lost_quorum() {
            return Ok(false);
        }
        let mut why = diagnose(&seen, &RunFacts::of(&self.state)).lines();
        why.push(
            "nothing is begun; the run goes on by itself when quorum is back. `quorate recover` tells more".into(),
        );
        self.pause(PauseCause::LostQuorum, why)?;
        Ok(true)
    }

    /// Writes down when the corosync watch lets more or fewer guests travel. Signs matter only while some do.
    pub(crate) fn watch_corosync(&mut self, snapshot: &Snapshot) -> Result<(), DriveError> {
        let travels = |record: &StepRecord| record.step.is_move();
        let mut seen = heartbeat::restraint(snapshot, self.state.current_node());
        if seen.pace != Pace::AsPlanned && !self.state.under_way().any(|(_, record)| travels(record)) {
            seen = Restraint { pace: Pace::AsPlanned, why: Vec::new() };
        }
        if seen.pace == self.state.pace.0 {
            return Ok(());
        }
        self.append(Event::PaceChanged { pace: seen.pace, why: seen.why })
    }

    /// While the run stands still for want of quorum: is it back? Then the run goes on. True where it does not stand
    /// still for that.
    pub(crate) async fn quorum_is_back(&mut self) -> Result<bool, DriveError> {
        if let Some((words, by)) = self.to_lower.take() {
            self.lower_votes(words, by).await?;
        }
        if !matches!(self.state.paused, Some((PauseCause::LostQuorum, _))) {
            return Ok(true);
        }
        let seen = survey(&self.ports, &self.nodes_to_ask()).await;
        if seen.views().any(|(_, view)| view.quorate) {
            self.append(Event::Resumed { by: "Quorate itself: quorum is back".to_owned() })?;
            return Ok(true);
        }
        let now = self.ports.clock.now();
        self.watcher.waiting(now, &["no quorum; the run goes on by itself when it is back".to_owned()]);
        self.ports.clock.sleep(POLL).await;
        Ok(false)
    }

    /// Lowers expected votes, if nothing at all speaks against it; every reason is written down otherwise.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn lower_votes(&mut self, words: Vec<String>, by: String) -> Result<Lowered, DriveError> {
        let seen = survey(&self.ports, &self.nodes_to_ask()).await;
        let step = match lowering(&seen, &RunFacts::of(&self.state), &words) {
            Ok(step) => step,
            Err(refusals) => {
                let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                let mut why = vec![format!("{by} asked to lower the expected votes, and that is refused:")];
                why.extend(reasons.iter().cloned());
                self.watcher.waiting(seen.taken, &why);
                // Another pause has a reason of its own, which must not end when quorum is back.
                if matches!(self.state.paused, Some((PauseCause::LostQuorum, _))) {
                    self.pause(PauseCause::LostQuorum, why)?;
                }
                return Ok(Lowered::Not(reasons));
            }
        };
        self.append(Event::Attested { off: step.off.clone(), words, by })?;
        let id = StepId::new(format!("recover.lower-votes.{}", seen.taken.seconds()));
        let kind = set(step.clone());
        let command = kind.kind().command(&Snapshot::empty(seen.taken));
        let owes = kind.undone_later_by();
        let started =
            Event::StepStarted { id: id.clone(), step: kind.clone(), attempt: 1, command: command.clone(), owes };
        self.append(started)?;
        let command = command.expect("lowering votes is a command");
        let answer = perform::send(&self.ports, &command, None).await;
        self.append(Event::CommandAnswered { id: id.clone(), answer: answer.text.clone(), job: answer.job })?;
        self.ports.clock.sleep(SETTLE).await;
        let outcome = outcome(&survey(&self.ports, &self.nodes_to_ask()).await, &step, &answer.text);
        let lowered = match &outcome {
            StepOutcome::NoEffect(why) => Lowered::Not(why.iter().map(ToString::to_string).collect()),
            _ => Lowered::Yes,
        };
        self.append(Event::StepEnded { id, step: kind, outcome })?;
        Ok(lowered)
    }
}

impl<'a> Driver<'a> {
    /// Begins a run that does nothing but to pay back what it changes: for a cluster that lost quorum outside of a run.
    ///
    /// # Errors
    /// Somebody else drives, or the journal cannot be written.
    pub fn begin_recovery(
        ports: Ports,
        journal: &'a Journal,
        holder: &Holder,
        run: RunId,
        policy: Policy,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, DriveError> {
        journal.acquire_lease(holder, &run, wall_now(), LEASE_TTL_S)?;
        let mut driver = Self::new(ports, journal, holder, run, watcher);
        // First of all: whoever takes this run up after the next event must not take it for an upgrade without a plan.
        driver.append(Event::AbortBegun { by: "Quorate itself: this run only gives back".to_owned() })?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let cluster = "without quorum".to_owned();
        driver.append(Event::RunStarted { run: driver.run.clone(), cluster, policy, version })?;
        driver.append(Event::DriverTookOver { driver: holder.text.clone() })?;
        Ok(driver)
    }

    /// Ends driving without an end of the run: the lease is given back.
    pub fn leave(&mut self) {
        // A lease that cannot be given back runs out by itself.
        let _ = self.journal.release_lease();
    }
}

/// Were the expected votes lowered?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lowered {
    /// Yes, and that is owed back.
    Yes,
    /// No, for these reasons.
    Not(Vec<String>),
}

/// Do the members expect so few votes now? A node that does not tell leaves the debt open.
fn outcome(seen: &Survey, step: &ExpectedVotes, answer: &str) -> StepOutcome {
    match seen.nodes.get(&step.node).and_then(|node| node.view.known()) {
        Some(view) if view.expected_votes > step.expected => {
            let (node, expected) = (step.node.clone(), view.expected_votes);
            StepOutcome::NoEffect(vec![Why::StillExpects { node, expected, answer: answer.to_owned() }])
        }
        Some(_) => StepOutcome::Done,
        None => StepOutcome::Abandoned(vec![Why::NoViewAnyMore(step.node.clone())]),
    }
}
