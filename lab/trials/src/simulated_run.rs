//! A whole run of the real engine over a world, in virtual time: what tests, scenarios and fuzzing are made of.
//!
//! Everything above the ports is the code that ships: observation, rules, planner, decision, journal. The world below
//! is ground truth, and its impact report decides about a simulated run, never the tool's own opinion.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use quorate_core::checks::Severity;
use quorate_core::ids::{DriverId, GuestId, NodeName, RunId, StepId, UnixMs};
use quorate_core::invariants::RuleId;
use quorate_core::plan::Plan;
use quorate_core::policy::Policy;
use quorate_core::run::{Event, NotBegun, Request, RunState};
use quorate_engine::{DriveError, Driver, Ended, Prepared, Watcher, WhenPaused, look_before_a_run, new_run_id};
use quorate_journal::{Holder, Journal, JournalError, Mode};
use quorate_world::World;
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::impact::{Impact, ImpactReport};
use serde::{Deserialize, Serialize};

use crate::ports::{SimPorts, Stop};

/// How a simulated run is set up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SimulatedRun {
    /// What the operator allows.
    pub policy: Policy,
    /// Safety rules that are switched off, to show what they prevent.
    pub without_rules: BTreeSet<RuleId>,
    /// Without the corosync watch, to show what it prevents.
    pub without_corosync_watch: bool,
    /// Faults that happen when a step is begun (its command is about to be sent).
    pub at_step: Vec<AtStep>,
    /// Faults that happen some time after a step was begun.
    pub after_step: Vec<AfterStep>,
    /// Requests of an operator when a step is begun.
    pub operator: Vec<OperatorAt>,
    /// The run drains this node and upgrades nothing.
    pub drain: Option<NodeName>,
    /// The tool dies around the command of a step.
    pub dies: Option<DiesAt>,
}

/// The tool dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiesAt {
    /// The step's id. Its beginning is in the journal by then.
    pub step: StepId,
    /// After so many calls more; 0 is before the step's command is sent.
    pub after_calls: u64,
}

/// A fault at a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtStep {
    /// The step's id: `pve1.reboot`.
    pub step: StepId,
    /// What happens then.
    pub faults: Vec<FaultKind>,
}

/// A fault some time after the beginning of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterStep {
    /// The step's id.
    pub step: StepId,
    /// How much later.
    pub seconds: u64,
    /// What happens then.
    pub fault: FaultKind,
}

/// A request at a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorAt {
    /// The step's id.
    pub step: StepId,
    /// What the operator asks for.
    pub request: Request,
}

/// How a simulated run went.
#[derive(Debug)]
pub struct Outcome {
    /// How driving ended; a refusal before the run began has no end.
    pub ended: Option<Ended>,
    /// Why the run was refused before it began.
    pub refused: Vec<String>,
    /// The first plan.
    pub plan: Option<Plan>,
    /// The impact report: what the lab itself counted.
    pub impact: ImpactReport,
    /// Every event, in order.
    pub events: Vec<(UnixMs, Event)>,
}

/// A simulated run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedRunError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The engine cannot go on.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

/// Makes faults happen when a step begins, and keeps the events.
struct Stage<'a> {
    simulated_run: &'a SimulatedRun,
    sim: SimPorts,
    journal: &'a Journal,
    run: RunId,
    events: Vec<(UnixMs, Event)>,
    struck: BTreeSet<StepId>,
}

impl Watcher for Stage<'_> {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        self.events.push((at, event.clone()));
        let Event::StepStarted { id, attempt: 1, .. } = event else { return };
        if !self.struck.insert(id.clone()) {
            return;
        }
        for planned_fault in self.simulated_run.at_step.iter().filter(|planned_fault| planned_fault.step == *id) {
            for kind in &planned_fault.faults {
                self.sim.world().inject(Fault { at_s: 0, kind: kind.clone() });
            }
        }
        for planned_fault in self.simulated_run.after_step.iter().filter(|planned_fault| planned_fault.step == *id) {
            let mut world = self.sim.world();
            let at_s = world.now_ms.saturating_sub(world.started_ms) / 1000 + planned_fault.seconds;
            world.inject(Fault { at_s, kind: planned_fault.fault.clone() });
        }
        if let Some(dies) = self.simulated_run.dies.as_ref().filter(|dies| dies.step == *id) {
            let made = self.sim.calls();
            self.sim.kill(match dies.after_calls {
                0 => Stop::Before(made + 1),
                more => Stop::After(made + more),
            });
        }
        for asked in self.simulated_run.operator.iter().filter(|asked| asked.step == *id) {
            let posted = self.journal.post_request(&self.run, at, "the operator of the scenario", &asked.request);
            posted.expect("the run's own journal can be written");
        }
    }

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}

impl SimulatedRun {
    /// Simulates a whole run over a world, with a journal at `path`.
    ///
    /// # Errors
    /// The journal cannot be used, or another driver is at work.
    pub async fn hold(&self, world: World, path: &Path) -> Result<Outcome, SimulatedRunError> {
        let sim = SimPorts::new(Arc::new(Mutex::new(world)));
        let journal = Journal::open(path, Mode::Drive)?;
        self.begin(&sim, &journal).await
    }

    /// The same over ports and a journal of the caller.
    ///
    /// # Errors
    /// The journal cannot be used, or another driver is at work.
    pub async fn begin(&self, sim: &SimPorts, journal: &Journal) -> Result<Outcome, SimulatedRunError> {
        Impact::begin(&mut sim.world());
        self.begin_within(sim, journal).await
    }

    /// The same as a part of something longer, whose impact report continues.
    ///
    /// # Errors
    /// The journal cannot be used, or another driver is at work.
    pub async fn begin_within(&self, sim: &SimPorts, journal: &Journal) -> Result<Outcome, SimulatedRunError> {
        let ports = sim.ports();
        let run = new_run_id(ports.clock.now(), "rehearsal");
        let nodes = sim.world().nodes.keys().cloned().collect();
        let before = look_before_a_run(&ports, nodes).await;
        let cluster = before.cluster_name.known().cloned().unwrap_or_default();
        let mut stage = self.stage(sim, journal, &run);
        let holder = Holder::this_process("rehearsal", new_driver(journal)?);
        let this_run = (run, cluster, self.policy.clone());
        let driver = match &self.drain {
            None => Driver::open(ports, journal, &holder, this_run, &mut stage)?,
            Some(node) => Driver::open_drain(ports, journal, &holder, node.clone(), this_run, &mut stage)?,
        };
        let mut driver = driver
            .known_nodes(sim.world().nodes.keys().cloned().collect())
            .when_paused(WhenPaused::Leave)
            .without_rules(self.without_rules.clone(), self.without_corosync_watch);
        if let Some(ended) = driver.take_lock().await? {
            drop(driver);
            let (impact, events) = (report(sim, 0), stage.events);
            return Ok(Outcome { ended: Some(ended), refused: Vec::new(), plan: None, impact, events });
        }
        let prepared = match &self.drain {
            None => driver.prepare(&before).await?,
            Some(node) => driver.prepare_drain(node).await?,
        };
        let (plan, refused) = self.plan_or_why_not(&prepared);
        let bound = plan.as_ref().map_or(0, |plan| plan.bound.moves);
        let (Some(plan), true) = (plan.clone(), refused.is_empty()) else {
            driver.end_before_it_began(NotBegun::Forbidden(prepared.findings)).await?;
            drop(driver);
            return Ok(Outcome { ended: None, refused, plan, impact: report(sim, bound), events: stage.events });
        };
        for (guest, seconds) in consented_seconds(&plan, &self.policy) {
            sim.world().impact.consent(guest, seconds);
        }
        driver.follow(plan.clone(), &holder.text)?;
        let ended = driver.drive().await?;
        drop(driver);
        let events = stage.events;
        Ok(Outcome { ended: Some(ended), refused, plan: Some(plan), impact: report(sim, bound), events })
    }

    /// The plan, and everything that forbids to follow it.
    fn plan_or_why_not(&self, prepared: &Prepared) -> (Option<Plan>, Vec<String>) {
        let blocking = prepared.findings.iter().filter(|finding| finding.severity == Severity::Blocking);
        let mut refused: Vec<String> =
            blocking.map(|finding| format!("{}: {}: {}", finding.check, finding.subject, finding.problem)).collect();
        match &prepared.plan {
            Ok((plan, _)) => {
                let missing = plan.consents.iter().filter(|consent| !self.policy.consents.contains(&consent.kind));
                refused.extend(missing.map(|consent| format!("consent needed: {}: {}", consent.guest, consent.what)));
                (Some(plan.clone()), refused)
            }
            Err(none) => {
                refused.extend(none.findings.iter().map(|finding| format!("{}: {}", finding.check, finding.problem)));
                (None, refused)
            }
        }
    }

    /// Continues a run that a driver left behind, as `resume` does.
    ///
    /// # Errors
    /// The journal cannot be used, or another driver is at work.
    pub async fn resume(&self, sim: &SimPorts, journal: &Journal, run: &RunId) -> Result<Outcome, SimulatedRunError> {
        self.take_up(sim, journal, run, Request::Resume).await
    }

    /// Gives back a node that a run has drained, as `undrain` does.
    ///
    /// # Errors
    /// The journal cannot be used, or another driver is at work.
    pub async fn undrain(&self, sim: &SimPorts, journal: &Journal, run: &RunId) -> Result<Outcome, SimulatedRunError> {
        self.take_up(sim, journal, run, Request::Undrain).await
    }

    /// Undoes what a run changed and ends it, as `abort` does when no process works on the run.
    ///
    /// # Errors
    /// The journal cannot be used, or another driver is at work.
    pub async fn abort(&self, sim: &SimPorts, journal: &Journal, run: &RunId) -> Result<Outcome, SimulatedRunError> {
        self.take_up(sim, journal, run, Request::Abort).await
    }

    async fn take_up(
        &self,
        sim: &SimPorts,
        journal: &Journal,
        run: &RunId,
        said: Request,
    ) -> Result<Outcome, SimulatedRunError> {
        let mut stage = self.stage(sim, journal, run);
        let holder = Holder::this_process("rehearsal", new_driver(journal)?);
        let mut driver = Driver::take_up(sim.ports(), journal, &holder, run.clone(), &mut stage)?
            .known_nodes(sim.world().nodes.keys().cloned().collect())
            .when_paused(WhenPaused::Leave)
            .without_rules(self.without_rules.clone(), self.without_corosync_watch);
        if said == Request::Abort || driver.state().paused.is_some() {
            driver.say(said, "the operator of the simulated run")?;
        }
        let ended = driver.drive().await?;
        let plan = driver.state().plan.clone();
        drop(driver);
        let events = stage.events;
        let bound = plan.as_ref().map_or(0, |plan| plan.bound.moves);
        Ok(Outcome { ended: Some(ended), refused: Vec::new(), plan, impact: report(sim, bound), events })
    }

    fn stage<'a>(&'a self, sim: &SimPorts, journal: &'a Journal, run: &RunId) -> Stage<'a> {
        Stage {
            simulated_run: self,
            sim: sim.clone(),
            journal,
            run: run.clone(),
            events: Vec::new(),
            struck: BTreeSet::new(),
        }
    }
}

/// The impact report counts a guest's downtime as consented up to what was agreed to at the start of the run: what its
/// plan names, with the policy's margin for real machines.
pub fn consented_seconds(plan: &Plan, policy: &Policy) -> BTreeMap<GuestId, u64> {
    plan.downtime_allowed_s(policy)
}

/// An id that no other driver has that worked with this journal, and the same in each repetition.
fn new_driver(journal: &Journal) -> Result<DriverId, JournalError> {
    Ok(DriverId::drawn(journal.head()?.seq))
}

fn report(sim: &SimPorts, moves_bound: u32) -> ImpactReport {
    Impact::report(&sim.world(), moves_bound, 0.0)
}

/// The state that the run's events add up to.
pub fn state_of(events: &[(UnixMs, Event)]) -> RunState {
    RunState::of(events.iter().map(|(at, event)| (*at, event)))
}

/// Lets a simulated run continue until it ends or the tool dies; none if it died.
pub async fn unless_it_dies<T>(sim: &SimPorts, simulated_run: impl Future<Output = T>) -> Option<T> {
    let mut simulated_run = std::pin::pin!(simulated_run);
    std::future::poll_fn(|context| match simulated_run.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if sim.is_dead() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}
