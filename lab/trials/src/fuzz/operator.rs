//! A scripted operator makes a seed's run: starts it, starts the tool again when it died, repairs the cluster when the
//! run pauses, agrees to what is asked, and checks at the end that all is well.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_core::checks::Severity;
use quorate_core::ids::{DriverId, NodeName, RunId};
use quorate_core::plan::Plan;
use quorate_core::policy::ConsentKind;
use quorate_core::run::{Pause, PauseCause, Request, RunOutcome};
use quorate_engine::{Beginning, DriveError, Driver, Ended, Lists, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal, JournalError};
use quorate_world::faults::FaultKind;
use quorate_world::impact::Impact;

use super::planned_faults::{self, FaultDrawn};
use super::seed_outcome::{self, Ending, SeedOutcome, Story};
use super::watching::{Stage, Watching};
use super::{Case, later_faults};
use crate::ports::SimPorts;
use crate::simulated_run::{SimulatedRunError, consented_seconds};

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

/// A driver at work, or frozen in it.
type Driving = Pin<Box<dyn Future<Output = Result<Ended, DriveError>>>>;

/// How a driver stopped.
#[allow(clippy::large_enum_variant, reason = "there is one of it per driver")]
enum Stopped {
    Ended(Ended),
    Dead,
    Frozen,
    NoRoom,
}

/// A driver that is frozen, and when it wakes.
struct FrozenDriver {
    sim: SimPorts,
    driving: Driving,
    wakes_ms: u64,
}

/// Makes one seed's run.
pub(super) struct Operator {
    case: Case,
    sim: SimPorts,
    watching: Arc<Mutex<Watching>>,
    journal: Arc<Journal>,
    drivers: u64,
    frozen: Option<FrozenDriver>,
    pauses: u32,
    repairs_ms: Vec<u64>,
    begins_anew: bool,
}

impl Operator {
    pub(super) fn new(case: Case, sim: SimPorts, journal: Journal) -> Self {
        let hours = HOURS + HOURS_PER_NODE * case.file.nodes.len() as u64;
        let deadline_ms = sim.world().now_ms + hours * 3_600_000;
        let watching = Arc::new(Mutex::new(Watching::until(deadline_ms)));
        let journal = Arc::new(journal);
        Self {
            case,
            sim,
            watching,
            journal,
            drivers: 0,
            frozen: None,
            pauses: 0,
            repairs_ms: Vec::new(),
            begins_anew: false,
        }
    }

    fn watching(&self) -> MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn hold(mut self) -> Result<SeedOutcome, SimulatedRunError> {
        Impact::begin(&mut self.sim.world());
        let (run, plan) = match self.plans("swarm").await {
            Ok(planned) => planned,
            Err(refused) => return Ok(seed_outcome::refused(self.case, &self.sim, refused)),
        };
        let mut rng = self.case.rng.clone();
        let mut drawn = planned_faults::draw(&mut rng, &self.sim.world(), &plan);
        drawn.extend(later_faults::draw(self.case.seed, &self.sim.world(), &plan));
        self.watching().planned_faults = drawn;
        let mut ending = self.drive_to_the_end(run, plan).await?;
        if matches!(ending, Ending::Aborted) && self.begins_anew {
            // A refusal of another run is an end too: what was begun has been undone.
            if let Ok((run, plan)) = self.plans("again").await {
                ending = self.drive_to_the_end(run, plan).await?;
            }
        }
        // A fault after the end does not make it untrue.
        let upgraded = Impact::report(&self.sim.world(), 0, 0.0).nodes_upgraded;
        self.wakes_the_frozen_one().await;
        self.sim.pass(Duration::from_millis(REST_MS));
        let Watching { planned_faults, judge, events, went_on, .. } = std::mem::take(&mut *self.watching());
        let Self { case, sim, pauses, repairs_ms, .. } = self;
        let mut wrongs = judge.wrongs;
        wrongs.extend(went_on);
        Ok(seed_outcome::of(case, &sim, Story { ending, upgraded, planned_faults, wrongs, events, pauses, repairs_ms }))
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

    async fn drive_to_the_end(&mut self, run: RunId, plan: Plan) -> Result<Ending, SimulatedRunError> {
        let margin_s = if self.watching().planned_faults.is_empty() { SLOW_GUEST_S } else { HELD_UP_S };
        for (guest, seconds) in consented_seconds(&plan, &self.case.policy) {
            self.sim.world().impact.consent(guest, seconds + margin_s);
        }
        let policy = self.case.policy.clone();
        let mut first = Some(Beginning { run: run.clone(), cluster: "swarm".to_owned(), policy, plan });
        let mut say = None;
        loop {
            let ended = self.drive(&run, first.take(), say.take()).await?;
            match ended {
                _ if self.watching().overtime => return Ok(Ending::Overtime),
                Stopped::Dead => self.starts_the_tool_again(),
                Stopped::NoRoom => {
                    self.journal.set_full(false)?;
                    self.starts_the_tool_again();
                }
                Stopped::Frozen => self.copies_the_journal(&run)?,
                Stopped::Ended(Ended::Over(RunOutcome::Completed | RunOutcome::Recovered)) => {
                    return Ok(Ending::Completed);
                }
                Stopped::Ended(Ended::Over(RunOutcome::Aborted | RunOutcome::NothingDone(_))) => {
                    return Ok(Ending::Aborted);
                }
                Stopped::Ended(Ended::Paused(pause)) => {
                    self.pauses += 1;
                    if self.pauses > PAUSES {
                        return Ok(Ending::Stuck(pause.lines()));
                    }
                    say = Some(self.answers(&pause));
                }
            }
        }
    }

    /// Drives until the end, a pause, or until the driver stops for another reason.
    async fn drive(
        &mut self,
        run: &RunId,
        beginning: Option<Beginning>,
        say: Option<Request>,
    ) -> Result<Stopped, SimulatedRunError> {
        self.drivers += 1;
        let (sim, journal) = (self.sim.clone(), self.journal.clone());
        let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
        let holder = Holder::this_process("swarm", DriverId::drawn(self.drivers));
        let is_current = Arc::new(AtomicBool::new(true));
        let mut stage = Stage {
            watching: self.watching.clone(),
            sim: sim.clone(),
            journal: journal.clone(),
            run: run.clone(),
            is_current: is_current.clone(),
        };
        let run = run.clone();
        let mut driving: Driving = Box::pin(async move {
            let ports = stage.sim.ports();
            let driver = match beginning {
                Some(beginning) => Driver::begin(ports, &journal, &holder, beginning, &mut stage)?,
                None => Driver::take_up(ports, &journal, &holder, run, &mut stage)?,
            };
            let mut driver = driver.known_nodes(nodes).when_paused(WhenPaused::Leave);
            if let Some(say) = say {
                driver.say(say, "the operator of the fuzz run")?;
            }
            driver.drive().await
        });
        let stopped = self.until_it_stops(&sim, &mut driving).await?;
        if matches!(stopped, Stopped::Frozen) {
            is_current.store(false, Ordering::Relaxed);
            let wakes_ms = sim.world().now_ms + self.watching().wakes_after_s * 1000;
            self.frozen = Some(FrozenDriver { sim, driving, wakes_ms });
        }
        Ok(stopped)
    }

    /// Polls the driver, and the frozen one beside it once that is awake.
    async fn until_it_stops(&mut self, sim: &SimPorts, driving: &mut Driving) -> Result<Stopped, DriveError> {
        poll_fn(|context| {
            self.goes_on_beside(context);
            match driving.as_mut().poll(context) {
                Poll::Ready(Err(DriveError::Journal(JournalError::Write { .. }))) => Poll::Ready(Ok(Stopped::NoRoom)),
                Poll::Ready(ended) => Poll::Ready(ended.map(Stopped::Ended)),
                Poll::Pending if sim.is_dead() => Poll::Ready(Ok(Stopped::Dead)),
                Poll::Pending if sim.is_frozen() => Poll::Ready(Ok(Stopped::Frozen)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the driver that was frozen go on, if its time has come. True if it does.
    fn goes_on_beside(&mut self, context: &mut Context<'_>) -> bool {
        let now_ms = self.sim.world().now_ms;
        let Some(frozen) = self.frozen.as_mut().filter(|frozen| now_ms >= frozen.wakes_ms) else { return false };
        frozen.sim.wake();
        // However it ends, it is over for it: what it may not do is checked when it does it.
        if frozen.driving.as_mut().poll(context).is_ready() || frozen.sim.is_dead() {
            self.frozen = None;
        }
        true
    }

    /// The run is over before the frozen driver wakes.
    async fn wakes_the_frozen_one(&mut self) {
        let Some(wakes_ms) = self.frozen.as_ref().map(|frozen| frozen.wakes_ms) else { return };
        let left_ms = wakes_ms.saturating_sub(self.sim.world().now_ms);
        self.sim.pass(Duration::from_millis(left_ms));
        let mut goes_on = |context: &mut Context<'_>| self.goes_on_beside(context) && self.frozen.is_some();
        poll_fn(|context| if goes_on(context) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// Another machine continues with a copy of the journal.
    fn copies_the_journal(&mut self, run: &RunId) -> Result<(), SimulatedRunError> {
        let copy = Journal::in_memory()?;
        for entry in self.journal.events(run)? {
            copy.append(run, entry.at, &entry.event)?;
        }
        self.journal = Arc::new(copy);
        self.starts_the_tool_again();
        Ok(())
    }

    fn starts_the_tool_again(&mut self) {
        let back_after_s = self.watching().back_after_s;
        self.sim.pass(Duration::from_secs(back_after_s));
        self.sim = self.sim.reborn();
    }

    fn somebody_brings_guests(&self) -> bool {
        let brings = |kind: &FaultKind| {
            matches!(
                kind,
                FaultKind::AdminMoves { .. }
                    | FaultKind::AdminStarts { .. }
                    | FaultKind::AdminReboots { .. }
                    | FaultKind::AdminUpgrades { .. }
                    | FaultKind::NewGuest { .. }
            )
        };
        let watching = self.watching();
        let mut planned = watching.planned_faults.iter();
        planned.any(|planned_fault| matches!(&planned_fault.what, FaultDrawn::Fault(kind) if brings(kind)))
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
            PauseCause::Drained => Request::Undrain,
            PauseCause::Operator
            | PauseCause::Findings
            | PauseCause::ChangedOutside
            | PauseCause::Stuck
            | PauseCause::LostQuorum => {
                self.mends();
                Request::Resume
            }
        }
    }

    fn mends(&mut self) {
        let now_ms = self.sim.world().now_ms;
        self.repairs_ms.push(now_ms);
        super::repair::repair(&mut self.sim.world());
        self.sim.pass(Duration::from_millis(MENDING_MS));
        super::repair::takes_up_again(&mut self.sim.world());
        self.watching().repaired = true;
    }
}
