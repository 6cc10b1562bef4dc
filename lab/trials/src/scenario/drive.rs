//! The `quorate …` lines of a script: the real engine over the same world, and what its journal says, in few words.

use std::time::Duration;

use quorate_core::ids::{DriverId, NodeName, StepId, UnixMs};
use quorate_core::policy::Policy;
use quorate_core::recovery::{RunFacts, diagnose};
use quorate_core::run::{Event, RunOutcome, RunState, StepOutcome};
use quorate_engine::{Driver, Ended, Lowered, Silent, new_run_id};
use quorate_journal::{Holder, Journal};
use quorate_pve::observe::quorum_views;

use super::log::Log;
use super::script::{AtStep, Verb};
use crate::ports::SimPorts;
use crate::simulated_run::{AfterStep, OperatorAt, Outcome, SimulatedRun, SimulatedRunError};

/// A line of the log is broken before it gets longer.
const WIDTH: usize = 110;

/// An operator with Quorate.
pub(super) struct Quorate {
    simulated_run: SimulatedRun,
    /// Made with the first line that needs it.
    journal: Option<Journal>,
}

impl Quorate {
    pub(super) fn new(policy: Policy) -> Self {
        Self { simulated_run: SimulatedRun { policy, ..SimulatedRun::default() }, journal: None }
    }

    /// Something will happen at a step of the next lines.
    pub(super) fn at_step(&mut self, step: &StepId, after: Duration, what: &AtStep) {
        let step = step.clone();
        match what {
            AtStep::Fault(fault) => {
                self.simulated_run.after_step.push(AfterStep { step, seconds: after.as_secs(), fault: fault.clone() });
            }
            AtStep::Operator(request) => {
                self.simulated_run.operator.push(OperatorAt { step, request: request.clone() })
            }
        }
    }

    /// Does what a `quorate` line says, until Quorate ends or pauses.
    pub(super) fn perform(&mut self, verb: &Verb, sim: &SimPorts, log: &mut Log) {
        if let Verb::Recover(words) = verb {
            return match self.recovered(words, sim, log) {
                Ok(()) => {}
                Err(error) => log.more(&format!("quorate: {error}")),
            };
        }
        match self.held(verb, sim) {
            Ok(outcome) => tell(&outcome, sim.world().now_ms, log),
            Err(error) => log.more(&format!("quorate: {error}")),
        }
    }

    /// What `quorate recover` says, and does.
    fn recovered(&mut self, words: &[String], sim: &SimPorts, log: &mut Log) -> Result<(), SimulatedRunError> {
        let journal = match &mut self.journal {
            Some(journal) => &*journal,
            none => none.insert(Journal::in_memory()?),
        };
        let state = match journal.latest_run()? {
            Some(run) => RunState::of(journal.events(&run)?.iter().map(|entry| (entry.at, &entry.event))),
            None => RunState::default(),
        };
        let state = Some(state).filter(|state| state.run.is_some() && state.ended.is_none());
        let policy = &self.simulated_run.policy;
        let facts = match &state {
            Some(state) => state.facts(),
            None => RunFacts::without_a_run(&policy.deadlines),
        };
        let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O can be made");
        runtime.block_on(async {
            let ports = sim.ports();
            let seen = quorum_views(&ports, &nodes).await;
            let lines = diagnose(&seen, &facts).lines();
            log.entry(sim.world().now_ms, "quorate: asks each node for its own view");
            lines.iter().for_each(|line| wrapped(log, line));
            if words.is_empty() {
                return Ok(());
            }
            let (mut silent, holder) =
                (Silent, Holder::this_process("rehearsal", DriverId::drawn(journal.head()?.seq)));
            let driver = match state.and_then(|state| state.run) {
                Some(run) => Driver::take_up(ports, journal, &holder, run, &mut silent)?,
                None => {
                    let run = new_run_id(ports.clock.now(), "recover");
                    Driver::begin_recovery(ports, journal, &holder, run, policy.clone(), &mut silent)?
                }
            };
            let mut driver = driver.known_nodes(nodes);
            let lowered = driver.lower_votes(words.to_vec(), "the operator of the scenario".to_owned()).await?;
            driver.leave();
            match lowered {
                Lowered::Yes => {
                    log.entry(sim.world().now_ms, "quorate: the expected votes are lowered; that is still to undo")
                }
                Lowered::Not(why) => {
                    log.entry(sim.world().now_ms, "quorate: the expected votes are NOT lowered:");
                    why.iter().for_each(|line| wrapped(log, line));
                }
            }
            Ok(())
        })
    }

    fn held(&mut self, verb: &Verb, sim: &SimPorts) -> Result<Outcome, SimulatedRunError> {
        let journal = match &mut self.journal {
            Some(journal) => &*journal,
            none => none.insert(Journal::in_memory()?),
        };
        let last_run = journal.latest_run()?;
        // The engine only ever waits for the world's clock, which needs no timers.
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O can be made");
        runtime.block_on(async {
            match (verb, last_run) {
                (Verb::Resume, Some(run)) => self.simulated_run.resume(sim, journal, &run).await,
                (Verb::Abort, Some(run)) => self.simulated_run.abort(sim, journal, &run).await,
                _ => self.simulated_run.begin_within(sim, journal).await,
            }
        })
    }
}

fn tell(outcome: &Outcome, now_ms: u64, log: &mut Log) {
    if !outcome.refused.is_empty() {
        log.entry(now_ms, "quorate: refused, nothing was changed");
        for line in &outcome.refused {
            wrapped(log, line);
        }
        return;
    }
    let mut done: Option<Done> = None;
    for (at, event) in &outcome.events {
        if let Event::StepEnded { id, outcome, .. } = event
            && outcome.is_done()
        {
            let (node, step) = id.as_str().split_once('.').unwrap_or(("cluster", id.as_str()));
            match &mut done {
                Some(done) if done.node == node => done.add(*at, step),
                _ => {
                    let before = done.replace(Done { at: *at, node: node.to_owned(), steps: vec![step.to_owned()] });
                    flush(log, before);
                }
            }
            continue;
        }
        if let Some(text) = in_words(event) {
            flush(log, done.take());
            let mut lines = text.into_iter();
            log.entry(at.0, &format!("quorate: {}", lines.next().unwrap_or_default()));
            lines.for_each(|line| wrapped(log, &line));
        }
    }
    flush(log, done);
    if outcome.ended.is_none() {
        log.entry(now_ms, "quorate: ended without a message");
    }
    if let Some(Ended::Paused(_)) = outcome.ended {
        log.more("(it is paused and waits for its operator)");
    }
}

/// Steps of one node that were done one after the other.
struct Done {
    at: UnixMs,
    node: String,
    steps: Vec<String>,
}

impl Done {
    /// Moves are written together: `migrate vm:101 vm:102`.
    fn add(&mut self, at: UnixMs, step: &str) {
        self.at = at;
        let (verb, subject) = step.split_once('.').unwrap_or((step, ""));
        match self.steps.last_mut() {
            Some(last) if !subject.is_empty() && last.split(['.', ' ']).next() == Some(verb) => {
                last.push(' ');
                last.push_str(subject);
            }
            _ => self.steps.push(step.to_owned()),
        }
    }
}

fn flush(log: &mut Log, done: Option<Done>) {
    let Some(done) = done else { return };
    log.entry(done.at.0, &format!("quorate: done on {}:", done.node));
    wrapped(log, &done.steps.join(", ").replace(".vm:", " vm:").replace(".ct:", " ct:"));
}

fn wrapped(log: &mut Log, text: &str) {
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + word.chars().count() >= WIDTH {
            log.more(&line);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    log.more(&line);
}

/// What is worth a line: the first is the headline.
fn in_words(event: &Event) -> Option<Vec<String>> {
    match event {
        Event::PlanAdopted { plan, why } => {
            let order: Vec<&str> = plan.node_steps.iter().filter_map(|w| Some(w.node.as_ref()?.as_str())).collect();
            let costs = &plan.costs;
            Some(vec![format!("plan ({why}): {}; {} moves, {} reboots", order.join(", "), costs.moves, costs.reboots)])
        }
        Event::StepStarted { id, attempt: attempt @ 2.., .. } => Some(vec![format!("{id} again, attempt {attempt}")]),
        Event::CommandNotDone { id, why } => Some(vec![format!("{id} was not done: {why}")]),
        Event::StepEnded { id, outcome, .. } => {
            let how = match outcome {
                StepOutcome::Done | StepOutcome::FoundDone => return None,
                StepOutcome::DoneWithout(_) => "is done",
                StepOutcome::NoEffect(_) => "had no effect",
                StepOutcome::Abandoned(_) => "is given up",
                StepOutcome::HandedOver(_) => "is left to the operator",
            };
            Some(vec![format!("{id} {how}:"), outcome.why()])
        }
        Event::Paused { pause } => {
            let mut lines = vec!["PAUSED".to_owned()];
            lines.extend(pause.lines());
            Some(lines)
        }
        Event::Consented { kinds, .. } => {
            let kinds: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
            Some(vec![format!("the operator agrees to {}", kinds.join(", "))])
        }
        Event::Waived { waiver, .. } => Some(vec![format!("the operator waives {waiver}: {}", waiver.reason)]),
        Event::ThrottleChanged { throttle, why } => {
            let mut lines = vec![format!("corosync watch: {throttle}")];
            lines.extend(why.iter().cloned());
            Some(lines)
        }
        Event::ConfirmedOff { by, words, .. } => {
            let mut lines = vec![format!("{by} confirms")];
            lines.extend(words.iter().cloned());
            Some(lines)
        }
        Event::FinalCheck { node, findings } => {
            let mut lines = vec![format!("final check after the last node, {node}: {} found", findings.len())];
            lines.extend(findings.iter().map(|finding| format!("{}: {}", finding.subject, finding.problem)));
            Some(lines)
        }
        Event::ChangedOutside { change } => Some(vec!["outside change:".to_owned(), change.to_string()]),
        Event::Resumed { .. } => Some(vec!["continues".to_owned()]),
        Event::AbortBegun { .. } => Some(vec!["undoes what is still to undo".to_owned()]),
        Event::RunEnded { outcome: RunOutcome::Completed } => {
            Some(vec!["completed: every node is done and nothing is left to undo".to_owned()])
        }
        Event::RunEnded { outcome: RunOutcome::Aborted } => Some(vec!["aborted: nothing is left to undo".to_owned()]),
        Event::RunEnded { outcome: RunOutcome::Recovered } => {
            Some(vec!["recovered: the configured votes are expected again, and nothing is left to undo".to_owned()])
        }
        Event::RunEnded { outcome: RunOutcome::NothingDone(_) } => Some(vec!["ended before it began".to_owned()]),
        Event::FoundSet { undo, .. } => Some(vec![format!("found set, to undo: {}", undo.kind().title())]),
        Event::RunStarted { .. }
        | Event::ListsRefreshBegun { .. }
        | Event::ListsRefreshed { .. }
        | Event::PauseAsked { .. }
        | Event::DriverTookOver { .. }
        | Event::DowntimeAgreed { .. }
        | Event::StepStarted { .. }
        | Event::CommandAnswered { .. }
        | Event::GuestRanSince { .. }
        | Event::FirstSeen { .. }
        | Event::CommandInDoubt { .. }
        | Event::CertificateTakenOver { .. }
        | Event::OutputKept { .. } => None,
    }
}
