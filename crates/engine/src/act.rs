//! Performs one action: reads, sends and records what the action asks for. Nothing is decided here.

use std::time::Duration;

use quorate_core::command::Command;
use quorate_core::ids::{NodeName, StepId};
use quorate_core::run::{
    Action, Asked, Depth, Event, LastLook, Pause, RunOutcome, Start, StepOutcome, replan, review, votes_lowered,
};
use quorate_core::steps::{ExpectedVotes, OnNode, Step, set};
use quorate_pve::observe::quorum_views;
use quorate_pve::ports::Stranger;

use crate::drive::{DriveError, Driver, Ended};
use crate::looked::Looked;
use crate::perform;

/// How long after the command the views are asked whether it took effect: corosync informs its members at once.
const SETTLE: Duration = Duration::from_secs(3);

/// Were the expected votes lowered?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lowered {
    /// Yes, and that is still to undo.
    Yes,
    /// No, for these reasons.
    Not(Vec<String>),
}

impl Driver<'_> {
    /// Performs an action. Returns how driving ended, if it ends here.
    pub(crate) async fn act(&mut self, action: Action) -> Result<Option<Ended>, DriveError> {
        match action {
            Action::Listen => self.listen()?,
            Action::Hear { events } => self.hear(events)?,
            Action::QuorumViews => self.seen.quorum_views = Some(quorum_views(&self.ports, &self.nodes_to_ask()).await),
            Action::HoldLock => {
                self.lock.ask(self.nodes_to_ask());
                let hold = self.lock.hold(self.journal).await?;
                self.seen.held(hold, self.ports.clock.now());
            }
            Action::Look(depth) => {
                let begun = self.ports.clock.now();
                let snapshot = self.looker.look(&self.ports, &self.state, depth).await;
                self.looked = Looked::between(begun, self.ports.clock.now());
                self.note_certificates()?;
                self.tell_look(&snapshot);
                self.seen.looked(&self.state, snapshot, depth);
            }
            Action::LookAtTheEnd { last } => {
                let snapshot = self.looker.look_at_the_end(&self.ports, &self.state).await;
                self.note_certificates()?;
                self.tell_look(&snapshot);
                let look = LastLook::of(snapshot, &self.state.policy);
                self.append(Event::FinalCheck { node: last, findings: look.findings.clone() })?;
                self.seen.last_look = Some(look);
            }
            Action::Review => {
                let planned = self.seen.look.as_ref().and_then(|look| review(&self.state, &look.snapshot));
                self.seen.planned(planned, None, self.ports.clock.now());
            }
            Action::Replan { why, else_start } => {
                let snapshot = self.looker.look_at_everything(&self.ports, &self.state).await;
                self.note_certificates()?;
                let planned = replan(&self.state, &snapshot, why);
                self.seen.planned(Some(planned), else_start, self.ports.clock.now());
            }
            Action::Adopt { plan, why, asks } => {
                self.append(Event::PlanAdopted { plan: plan.plan().clone(), why })?;
                self.seen.turn();
                if let Some(pause) = asks {
                    self.pause(pause).await?;
                }
            }
            Action::Note { events } => events.into_iter().try_for_each(|event| self.append(event))?,
            Action::ChangeThrottle { throttle, why } => self.append(Event::ThrottleChanged { throttle, why })?,
            Action::Conclude { id, step, outcome } => self.conclude(id, step, outcome).await?,
            Action::Perform(start) => self.perform(start).await?,
            Action::LowerVotes { step, command, words, by } => drop(self.lower((step, command), words, by).await?),
            Action::RefuseLowering { pause, record } => self.refuse_lowering(pause, record)?,
            Action::Wait { on, poll_s, then } => {
                self.watcher.waiting(self.ports.clock.now(), &on);
                self.tell_waiting(&on);
                self.sleep_and_tell(Duration::from_secs(poll_s)).await;
                match then {
                    Depth::Everything => self.seen.turn_anew(),
                    Depth::Changes => self.seen.turn(),
                }
            }
            Action::Pause(pause) => self.pause(pause).await?,
            Action::Resume { by } => {
                self.append(Event::Resumed { by })?;
                self.seen.resumed();
            }
            Action::Leave(pause) => return Ok(Some(Ended::Paused(pause))),
            Action::GiveWay { to } => return Err(DriveError::OtherDriver(to)),
            Action::RefuseJournal(older) => return Err(DriveError::OlderJournal(older)),
            Action::Finish(outcome) => return self.finish(outcome).map(Some),
        }
        Ok(None)
    }

    /// Certificates that were taken over in a look, because a member vouched for them.
    pub(crate) fn note_certificates(&mut self) -> Result<(), DriveError> {
        for (Stranger { node, shown, pinned }, by) in self.ports.api.taken_over() {
            self.append(Event::CertificateTakenOver { node, pinned, shown, by })?;
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<(), DriveError> {
        let posted = self.journal.pending_requests(&self.run)?;
        let asked = |posted: quorate_journal::PostedRequest| Asked {
            seq: Some(posted.seq),
            request: posted.request,
            by: posted.by,
        };
        self.seen.listened(posted.into_iter().map(asked));
        Ok(())
    }

    async fn conclude(&mut self, id: StepId, step: Step, outcome: StepOutcome) -> Result<(), DriveError> {
        if step.on_node() == OnNode::Upgrades || matches!(outcome, StepOutcome::Abandoned(_)) {
            self.keep_log(&id).await?;
        }
        if outcome.is_done() {
            self.count_only_real_downtime(&step).await?;
        }
        let in_a_turn = self.state.current_node.is_some();
        self.append(Event::StepEnded { id, step, outcome })?;
        // Between two nodes the cluster is looked at as a whole before the next one is touched.
        if in_a_turn && self.state.current_node.is_none() {
            self.seen.turn();
        }
        Ok(())
    }

    async fn perform(&mut self, start: Start) -> Result<(), DriveError> {
        let Start { id, step, attempt, command, undo } = start;
        if attempt > 1 {
            self.keep_log(&id).await?;
        }
        if command.is_some() && step.takes_down().is_some() {
            self.count_only_real_downtime(&step).await?;
        }
        let avoid = self.state.current_or_next_node().cloned();
        let seen = self.looked;
        // Nothing is begun by a driver that has been frozen: whether it is still the one is asked anew first.
        if command.is_some() && (seen.too_old(self.ports.clock.now()).is_some() || self.not_ours().is_some()) {
            self.seen.turn();
            return Ok(());
        }
        self.append(Event::StepStarted { id: id.clone(), step, attempt, command: command.clone(), undo })?;
        let Some(command) = command else { return Ok(()) };
        let answer = self.send(&command, avoid.as_ref(), seen).await?;
        self.append(answer.event(id))?;
        self.seen.turn();
        Ok(())
    }

    /// Sends an order, if this driver surely holds the journal and the cluster's lock, and what was decided about was
    /// seen just now. In between a process may have stood still for as long as it likes; what comes after this is up to
    /// the order's own condition.
    async fn send(
        &mut self,
        command: &Command,
        avoid: Option<&NodeName>,
        seen: Looked,
    ) -> Result<perform::Answer, DriveError> {
        match self.surely_ours().await {
            Err(why) => Ok(perform::Answer::NotDone(why.to_string())),
            Ok(_) => self.send_unlocked(command, avoid, seen).await,
        }
    }

    /// The same without quorum, where nobody can hold the lock.
    async fn send_unlocked(
        &mut self,
        command: &Command,
        avoid: Option<&NodeName>,
        seen: Looked,
    ) -> Result<perform::Answer, DriveError> {
        self.journal.check_lease()?;
        match seen.too_old(self.ports.clock.now()) {
            Some(why) => Ok(perform::Answer::NotDone(why)),
            None => Ok(perform::send(&self.ports, command, avoid).await),
        }
    }

    async fn pause(&mut self, pause: Pause) -> Result<(), DriveError> {
        if pause.is_about_a_step() {
            let begun: Vec<StepId> = self.state.under_way().map(|(id, _)| id.clone()).collect();
            for id in begun {
                self.keep_log(&id).await?;
            }
        }
        self.append(Event::Paused { pause })?;
        self.seen.paused();
        Ok(())
    }

    pub(crate) fn finish(&mut self, outcome: RunOutcome) -> Result<Ended, DriveError> {
        if self.state.ended.is_none() {
            self.append(Event::RunEnded { outcome: outcome.clone() })?;
        }
        Ok(Ended::Over(outcome))
    }

    async fn keep_log(&mut self, id: &StepId) -> Result<(), DriveError> {
        let (Some(record), Some(look)) = (self.state.steps.get(id), &self.seen.look) else { return Ok(()) };
        match perform::log_of(&self.ports, &look.snapshot, record).await {
            Some((node, lines)) => self.append(Event::OutputKept { id: id.clone(), node, lines }),
            None => Ok(()),
        }
    }

    /// Written down as something to undo before it is done; then the nodes themselves are asked whether it took effect.
    pub(crate) async fn lower(
        &mut self,
        (step, command): (ExpectedVotes, Command),
        words: Vec<String>,
        by: String,
    ) -> Result<Lowered, DriveError> {
        // It is checked at this moment only: a driver that comes later must not find the request again.
        self.heard()?;
        let now = self.ports.clock.now();
        self.append(Event::ConfirmedOff { off: step.off.clone(), words, by })?;
        let taken = self.seen.quorum_views.as_ref().map_or(now, |seen| seen.taken);
        let id = StepId::new(format!("recover.lower-votes.{}", taken.seconds()));
        let kind = set(step.clone());
        let undo = kind.undone_later_by();
        let (started, sent) = (kind.clone(), Some(command.clone()));
        self.append(Event::StepStarted { id: id.clone(), step: started, attempt: 1, command: sent, undo })?;
        let answer = self.send_unlocked(&command, None, Looked::at(taken)).await?;
        let said = answer.words().to_owned();
        self.append(answer.event(id.clone()))?;
        self.ports.clock.sleep(SETTLE).await;
        let outcome = votes_lowered(&quorum_views(&self.ports, &self.nodes_to_ask()).await, &step, &said);
        let lowered = match &outcome {
            StepOutcome::NoEffect(why) => Lowered::Not(why.iter().map(ToString::to_string).collect()),
            _ => Lowered::Yes,
        };
        self.append(Event::StepEnded { id, step: kind, outcome })?;
        self.seen.turn();
        Ok(lowered)
    }

    pub(crate) fn refuse_lowering(&mut self, pause: Pause, record: bool) -> Result<(), DriveError> {
        self.watcher.waiting(self.ports.clock.now(), &pause.lines());
        if record {
            self.append(Event::Paused { pause })?;
        }
        self.seen.turn();
        self.heard()
    }
}
