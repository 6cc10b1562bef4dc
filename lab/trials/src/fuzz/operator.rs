//! A scripted operator makes a seed's run: starts it, starts the tool again when it died, repairs the cluster when the
//! run pauses, agrees to what is asked, and checks at the end that all is well.

use std::collections::BTreeSet;

use quorate_core::checks::Severity;
use quorate_core::ids::{RunId, StepId, UnixMs};
use quorate_core::plan::Plan;
use quorate_core::policy::ConsentKind;
use quorate_core::run::{Event, Pause, PauseCause, Request, RunOutcome};
use quorate_engine::{Beginning, Driver, Ended, Lists, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal, JournalError};
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::impact::Impact;

use super::planned_faults::{self, FaultDrawn, PlannedFault};
use super::seed_outcome::{self, Ending, SeedOutcome, Story};
use super::{Case, Events};
use crate::judge::Judge;
use crate::ports::{Kill, SimPorts};
use crate::simulated_run::{SimulatedRunError, consented_seconds, unless_it_dies};

/// From the operator's repair to the `resume`: nodes boot, HA recovers, Ceph recovers.
const MENDING_MS: u64 = 900_000;

/// A run that has paused so often will not come to an end.
const PAUSES: u32 = 10;

/// Repairs and resumes so often where a guest was moved without Quorate's knowledge; then aborts.
const GIVES_UP_AFTER: u32 = 4;

/// Hours that a run may take: deadlines of each kind may run out once, and every node has its node step.
const HOURS: u64 = 12;
const HOURS_PER_NODE: u64 = 2;

/// After the end: HA and Ceph become idle, and only then the guests are counted.
const REST_MS: u64 = 900_000;

/// A guest that takes its time to shut down is down for longer than a plan says, and that is no harm.
const SLOW_GUEST_S: u64 = 30;

/// A guest that was shut down with consent waits for its node, and whatever delays the run delays it as well.
const HELD_UP_S: u64 = 24 * 3_600;

/// Makes one seed's run.
pub(super) struct Operator {
    case: Case,
    sim: SimPorts,
    judge: Judge,
    planned_faults: Vec<PlannedFault>,
    events: Events,
    struck: BTreeSet<StepId>,
    back_after_s: u64,
    deadline_ms: u64,
    overtime: bool,
    pauses: u32,
    repaired: bool,
    begins_anew: bool,
}

/// Receives the events of one driver.
struct Stage<'a> {
    operator: &'a mut Operator,
    journal: &'a Journal,
    run: RunId,
}

impl Watcher for Stage<'_> {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        let Self { operator, journal, run } = self;
        operator.events.push((at, event.clone()));
        let world = operator.sim.world();
        match event {
            Event::StepStarted { step, command: Some(_), .. } => operator.judge.sends(&world, step),
            _ => operator.judge.look(&world),
        }
        drop(world);
        let Event::StepStarted { id, .. } = event else { return };
        if operator.struck.insert(id.clone()) {
            operator.planned_fault(id, at, journal, run);
        }
    }

    fn waiting(&mut self, at: UnixMs, _on: &[String]) {
        let operator = &mut *self.operator;
        operator.judge.look(&operator.sim.world());
        if at.0 > operator.deadline_ms {
            operator.overtime = true;
            operator.sim.kill(Kill::Before(0));
        }
    }
}

impl Operator {
    pub(super) fn new(case: Case, sim: SimPorts) -> Self {
        let hours = HOURS + HOURS_PER_NODE * case.file.nodes.len() as u64;
        let deadline_ms = sim.world().now_ms + hours * 3_600_000;
        Self {
            case,
            sim,
            judge: Judge::default(),
            planned_faults: Vec::new(),
            events: Vec::new(),
            struck: BTreeSet::new(),
            back_after_s: 0,
            deadline_ms,
            overtime: false,
            pauses: 0,
            repaired: false,
            begins_anew: false,
        }
    }

    pub(super) async fn hold(mut self) -> Result<SeedOutcome, SimulatedRunError> {
        let journal = Journal::in_memory()?;
        Impact::begin(&mut self.sim.world());
        let (run, plan) = match self.plans("swarm").await {
            Ok(planned) => planned,
            Err(refused) => return Ok(seed_outcome::refused(self.case, &self.sim, refused)),
        };
        let mut rng = self.case.rng.clone();
        self.planned_faults = planned_faults::draw(&mut rng, &self.sim.world(), &plan);
        let mut ending = self.drive_to_the_end(&journal, run, plan).await?;
        if matches!(ending, Ending::Aborted) && self.begins_anew {
            // A refusal of another run is an end too: what was begun has been undone.
            if let Ok((run, plan)) = self.plans("again").await {
                ending = self.drive_to_the_end(&journal, run, plan).await?;
            }
        }
        // A fault after the end does not make it untrue.
        let upgraded = Impact::report(&self.sim.world(), 0, 0.0).nodes_upgraded;
        let now_ms = self.sim.world().now_ms;
        self.sim.world().advance_to(now_ms + REST_MS);
        let Self { case, sim, planned_faults, judge, events, pauses, .. } = self;
        Ok(seed_outcome::of(
            case,
            &sim,
            Story { ending, upgraded, planned_faults, wrongs: judge.wrongs, events, pauses },
        ))
    }

    /// Looks and plans as `quorate run` does before it begins; the errors say why it would not.
    async fn plans(&self, name: &str) -> Result<(RunId, Plan), Vec<String>> {
        let ports = self.sim.ports();
        let run = new_run_id(ports.clock.now(), name);
        let nodes = self.sim.world().nodes.keys().cloned().collect();
        let prepared = prepare(&ports, nodes, &self.case.policy, &run, Lists::Refresh).await;
        let blocking = prepared.findings.iter().filter(|finding| finding.severity == Severity::Blocking);
        let mut refused: Vec<String> =
            blocking.map(|finding| format!("{}: {}: {}", finding.check, finding.subject, finding.problem)).collect();
        match prepared.plan {
            Ok((plan, _)) if refused.is_empty() => Ok((run, plan)),
            Ok(_) => Err(refused),
            Err(no_plan) => {
                let findings = no_plan.findings.iter();
                refused.extend(findings.map(|finding| format!("{}: {}", finding.check, finding.problem)));
                Err(refused)
            }
        }
    }

    async fn drive_to_the_end(
        &mut self,
        journal: &Journal,
        run: RunId,
        plan: Plan,
    ) -> Result<Ending, SimulatedRunError> {
        let margin_s = if self.planned_faults.is_empty() { SLOW_GUEST_S } else { HELD_UP_S };
        for (guest, seconds) in consented_seconds(&plan, &self.case.policy) {
            self.sim.world().impact.consent(guest, seconds + margin_s);
        }
        let policy = self.case.policy.clone();
        let mut first = Some(Beginning { run: run.clone(), cluster: "swarm".to_owned(), policy, plan });
        let mut say = None;
        loop {
            let ended = self.drive(journal, &run, first.take(), say.take()).await?;
            match ended {
                _ if self.overtime => return Ok(Ending::Overtime),
                None => self.starts_the_tool_again(),
                Some(Ended::Over(RunOutcome::Completed | RunOutcome::Recovered)) => return Ok(Ending::Completed),
                Some(Ended::Over(RunOutcome::Aborted)) => return Ok(Ending::Aborted),
                Some(Ended::Paused(pause)) => {
                    self.pauses += 1;
                    if self.pauses > PAUSES {
                        return Ok(Ending::Stuck(pause.lines()));
                    }
                    say = Some(self.answers(&pause));
                }
            }
        }
    }

    /// Drives until the end, a pause, or the death of the tool (none).
    async fn drive(
        &mut self,
        journal: &Journal,
        run: &RunId,
        beginning: Option<Beginning>,
        say: Option<Request>,
    ) -> Result<Option<Ended>, SimulatedRunError> {
        let sim = self.sim.clone();
        let ports = sim.ports();
        let nodes = sim.world().nodes.keys().cloned().collect();
        let holder = Holder::this_process("swarm");
        let mut stage = Stage { operator: self, journal, run: run.clone() };
        let driver = match beginning {
            Some(beginning) => Driver::begin(ports, journal, &holder, beginning, &mut stage)?,
            None => Driver::take_up(ports, journal, &holder, run.clone(), &mut stage)?,
        };
        let mut driver = driver.known_nodes(nodes).when_paused(WhenPaused::Leave);
        if let Some(say) = say {
            driver.say(say, "the operator of the fuzz run")?;
        }
        Ok(unless_it_dies(&sim, driver.drive()).await.transpose()?)
    }

    fn planned_fault(&mut self, id: &StepId, at: UnixMs, journal: &Journal, run: &RunId) {
        let struck: Vec<PlannedFault> =
            self.planned_faults.iter().filter(|planned_fault| planned_fault.step == *id).cloned().collect();
        for PlannedFault { delay_s, what, .. } in struck {
            match what {
                FaultDrawn::Fault(kind) if !self.repaired => {
                    let mut world = self.sim.world();
                    let at_s = world.now_ms.saturating_sub(world.started_ms) / 1000 + delay_s;
                    world.inject(Fault { at_s, kind });
                }
                FaultDrawn::Fault(_) => {}
                FaultDrawn::Dies { after_calls, back_after_s } => {
                    self.back_after_s = back_after_s;
                    self.sim.kill(Kill::Before(self.sim.calls() + 1 + after_calls));
                }
                FaultDrawn::Wire { calls, trouble } => self.sim.trouble(calls, trouble),
                FaultDrawn::ClockSet { seconds } => self.sim.set_clock_off(seconds),
                FaultDrawn::Says(request) => {
                    let posted: Result<(), JournalError> = journal.post_request(run, at, "the operator", &request);
                    posted.expect("a journal in memory can be written");
                }
            }
        }
    }

    fn starts_the_tool_again(&mut self) {
        let until_ms = self.sim.world().now_ms + self.back_after_s * 1000;
        self.sim.world().advance_to(until_ms);
        self.sim = self.sim.reborn();
    }

    fn somebody_brings_guests(&self) -> bool {
        let brings = |kind: &FaultKind| matches!(kind, FaultKind::AdminMoves { .. } | FaultKind::AdminStarts { .. });
        self.planned_faults
            .iter()
            .any(|planned_fault| matches!(&planned_fault.what, FaultDrawn::Fault(kind) if brings(kind)))
    }

    /// What the operator does when the run pauses.
    fn answers(&mut self, pause: &Pause) -> Request {
        match pause.cause() {
            // The operator does what the pause says: aborts the run, and starts another one with the other nodes.
            PauseCause::Stuck if pause.way_by_abort().is_some() => {
                self.mends();
                self.begins_anew = true;
                Request::Abort
            }
            PauseCause::NeedsConsent => Request::Approve {
                kinds: BTreeSet::from([
                    ConsentKind::RestartContainers,
                    ConsentKind::ShutdownGuests,
                    ConsentKind::EjectMedia,
                ]),
            },
            // A VM that an administrator has sent to a node with newer packages cannot go back live. The pause says so,
            // and what could be agreed to; this operator aborts the run instead, and nothing may be left behind.
            PauseCause::Stuck if self.pauses > GIVES_UP_AFTER && self.somebody_brings_guests() => Request::Abort,
            PauseCause::Operator | PauseCause::Findings | PauseCause::Stuck | PauseCause::LostQuorum => {
                self.mends();
                Request::Resume
            }
        }
    }

    fn mends(&mut self) {
        let mut world = self.sim.world();
        super::repair::repair(&mut world);
        let until_ms = world.now_ms + MENDING_MS;
        world.advance_to(until_ms);
        super::repair::takes_up_again(&mut world);
        drop(world);
        self.repaired = true;
    }
}
