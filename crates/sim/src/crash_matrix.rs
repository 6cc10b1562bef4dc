//! The engine is killed at every point of a run, and somebody takes the run up: the end is as if nothing had happened.
//!
//! A reference run is held once. After each call of the API or a shell, whether it reads or writes, and after each
//! event that is written to the journal, world and journal are copied as they are at that moment: that is what a
//! killed engine leaves behind. *After the k-th* and *before the next* are the same moment, so all of them together are
//! every point there is. From each copy a new driver goes on to the end, a second, a minute or twenty minutes later.
//!
//! Demanded of each: the run completes, the ledger is clean, every node booted as often as in the reference run and
//! had its packages upgraded once, every guest moved as often and runs where it runs there, and nothing is owed.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::ids::{GuestId, NodeName, RunId, UnixMs};
use quorate_core::policy::{ConsentKind, GuestPolicy, Policy};
use quorate_core::run::{Event, RunOutcome};
use quorate_engine::{Beginning, Driver, Ended, Lists, Silent, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal};

use crate::cluster_file::{ClusterFileError, world_from_toml};
use crate::ledger::Ledger;
use crate::ports::SimPorts;
use crate::rehearsal::{RehearsalError, consented_seconds};
use crate::world::World;

/// The cluster of the reference run: small, and a run over it takes every kind of step.
pub const EVERY_STEP: &str = include_str!("../clusters/every-step.toml");

/// The new driver comes after so many seconds, in turn: at once, when HA has noticed, when deadlines have passed.
const BACK_AFTER_S: [u64; 3] = [1, 60, 1_200];

/// The matrix could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CrashMatrixError {
    /// The reference cluster cannot be built.
    #[error(transparent)]
    Cluster(#[from] ClusterFileError),
    /// The reference run cannot be driven.
    #[error(transparent)]
    Run(#[from] RehearsalError),
    /// The reference run is no reference.
    #[error("the reference run did not complete cleanly: {0}")]
    Reference(String),
}

/// A moment at which the engine is killed.
pub struct Point {
    /// Its number, from 1.
    pub number: u64,
    /// What has just happened: `call 17`, `event step-started pve1.reboot`.
    pub after: String,
    world: World,
    run: RunId,
    events: Vec<(UnixMs, Event)>,
}

/// What a run leaves in the cluster, as far as it must be the same whoever was killed on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Runs of each guest: where.
    pub guests: BTreeMap<GuestId, Vec<NodeName>>,
    /// Boots of each node since the world began.
    pub boots: BTreeMap<NodeName, u32>,
    /// Package upgrades that began on each node.
    pub upgrades: BTreeMap<NodeName, usize>,
    /// Moves of guests.
    pub moves: u32,
    /// Nodes that are up to date now.
    pub nodes_upgraded: u32,
}

/// What the matrix came to.
#[derive(Debug)]
pub struct Matrix {
    /// The reference run's end.
    pub reference: End,
    /// Points at which the engine was killed.
    pub points: u64,
    /// Verbs of the steps that the reference run took.
    pub verbs: Vec<String>,
    /// What was not as it must be: the point, and what.
    pub failures: Vec<String>,
}

/// Which points are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Points {
    /// All.
    All,
    /// After each event of the journal.
    Events,
    /// Only this one.
    Only(u64),
}

/// What the operator of the reference cluster allows.
pub fn policy() -> Policy {
    Policy {
        guests: [(GuestId::vm(103), GuestPolicy::Eject), (GuestId::vm(104), GuestPolicy::Shutdown)].into(),
        consents: [ConsentKind::RestartContainers, ConsentKind::ShutdownGuests, ConsentKind::EjectMedia].into(),
        ..Policy::default()
    }
}

/// Kills and resumes at these points, on so many threads.
///
/// # Errors
/// There is no reference run to kill.
pub fn matrix(points: Points, threads: usize) -> Result<Matrix, CrashMatrixError> {
    // A few wait, so that nobody is idle; a world is too large to keep them all.
    let (send, receive) = sync_channel::<Point>(threads);
    let receive = Mutex::new(receive);
    let fates = Mutex::new(Vec::new());
    let (reference, count, verbs) = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(point) = next(&receive) {
                    let fate = (point.number, point.after.clone(), resume(point));
                    lock(&fates).push(fate);
                }
            });
        }
        hold_reference(points, send)
    })?;
    let mut fates = fates.into_inner().unwrap_or_else(PoisonError::into_inner);
    fates.sort_by_key(|(number, ..)| *number);
    let wrong = |(number, after, fate): (u64, String, Result<End, String>)| {
        let what = match fate {
            Ok(end) if end == reference => return None,
            Ok(end) => difference(&reference, &end),
            Err(why) => why,
        };
        Some(format!("killed at point {number}, after {after}: {what}"))
    };
    let failures = fates.into_iter().filter_map(wrong).collect();
    Ok(Matrix { reference, points: count, verbs, failures })
}

fn next(receive: &Mutex<Receiver<Point>>) -> Option<Point> {
    lock(receive).recv().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without I/O always begins").block_on(future)
}

/// Copies what a killed engine would leave behind, and hands it on.
struct Copier {
    points: Points,
    made: Mutex<u64>,
    run: RunId,
    events: Mutex<Vec<(UnixMs, Event)>>,
    send: SyncSender<Point>,
}

impl Copier {
    fn point(&self, world: &World, after: &str, is_event: bool) {
        // Before the first event there is no run to take up.
        let events = lock(&self.events).clone();
        if events.len() < 3 {
            return;
        }
        let number = {
            let mut made = lock(&self.made);
            *made += 1;
            *made
        };
        let wanted = match self.points {
            Points::All => true,
            Points::Events => is_event,
            Points::Only(only) => only == number,
        };
        if wanted {
            let point = Point { number, after: after.to_owned(), world: world.clone(), run: self.run.clone(), events };
            // Nobody takes points any more only if every thread has panicked; the scope tells of that.
            let _ = self.send.send(point);
        }
    }
}

/// Sees each event once it is written.
struct Stage {
    copier: Arc<Copier>,
    sim: SimPorts,
}

impl Watcher for Stage {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        lock(&self.copier.events).push((at, event.clone()));
        let what = match event {
            Event::StepStarted { id, .. } | Event::StepEnded { id, .. } | Event::CommandAnswered { id, .. } => {
                format!("event {} of {id}", event.kind())
            }
            _ => format!("event {}", event.kind()),
        };
        self.copier.point(&self.sim.world(), &what, true);
    }

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}

fn hold_reference(points: Points, send: SyncSender<Point>) -> Result<(End, u64, Vec<String>), CrashMatrixError> {
    let world = Arc::new(Mutex::new(world_from_toml(EVERY_STEP, 1)?));
    let run = new_run_id(UnixMs(lock(&world).now_ms), "crash-matrix");
    let copier = Copier { points, made: Mutex::new(0), run: run.clone(), events: Mutex::default(), send };
    let copier = Arc::new(copier);
    let tap = {
        let copier = copier.clone();
        Arc::new(move |number, world: &World| copier.point(world, &format!("call {number}"), false))
    };
    let sim = SimPorts::tapped(world, tap);
    let ended = block_on(begin(&sim, &copier, &run))?;
    if ended != Ended::Over(RunOutcome::Completed) {
        return Err(CrashMatrixError::Reference(format!("{ended:?}")));
    }
    let end = end_of(&sim.world()).map_err(CrashMatrixError::Reference)?;
    let mut verbs: Vec<String> = Vec::new();
    for (_, event) in lock(&copier.events).iter() {
        if let Event::StepEnded { step, .. } = event {
            verbs.push(step.kind().verb().to_owned());
        }
    }
    verbs.sort();
    verbs.dedup();
    let count = *lock(&copier.made);
    Ok((end, count, verbs))
}

async fn begin(sim: &SimPorts, copier: &Arc<Copier>, run: &RunId) -> Result<Ended, CrashMatrixError> {
    let journal = Journal::in_memory().map_err(RehearsalError::from)?;
    let ports = sim.ports();
    let policy = policy();
    Ledger::begin(&mut sim.world());
    let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
    let prepared = prepare(&ports, nodes.clone(), &policy, run, Lists::Refresh).await;
    let (plan, _) = prepared.plan.map_err(|no_plan| CrashMatrixError::Reference(format!("{:?}", no_plan.findings)))?;
    for (guest, seconds) in consented_seconds(&plan) {
        // A driver that stays away for twenty minutes leaves a guest down for as long.
        sim.world().ledger.consent(guest, seconds + BACK_AFTER_S[2]);
    }
    let beginning = Beginning { run: run.clone(), cluster: "every-step".to_owned(), policy, plan };
    let mut stage = Stage { copier: copier.clone(), sim: sim.clone() };
    let holder = Holder::this_process("crash matrix");
    let mut driver = Driver::begin(ports, &journal, &holder, beginning, &mut stage)
        .map_err(RehearsalError::from)?
        .known_nodes(nodes)
        .when_paused(WhenPaused::Leave);
    Ok(driver.drive().await.map_err(RehearsalError::from)?)
}

/// Takes a killed run up and drives it to its end.
fn resume(point: Point) -> Result<End, String> {
    let Point { number, world, run, events, .. } = point;
    let back_after_s = BACK_AFTER_S[usize::try_from(number).unwrap_or(0) % BACK_AFTER_S.len()];
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let until_ms = sim.world().now_ms + back_after_s * 1000;
    sim.world().advance_to(until_ms);
    let drive = async {
        let journal = Journal::in_memory()?;
        for (at, event) in &events {
            journal.append(&run, *at, event)?;
        }
        let holder = Holder::this_process("crash matrix");
        let mut silent = Silent;
        let nodes = sim.world().nodes.keys().cloned().collect();
        let mut driver = Driver::take_up(sim.ports(), &journal, &holder, run.clone(), &mut silent)?
            .known_nodes(nodes)
            .when_paused(WhenPaused::Leave);
        let ended = driver.drive().await?;
        Ok::<_, quorate_engine::DriveError>((ended, driver.state().obligations.len()))
    };
    match block_on(drive) {
        Ok((Ended::Over(RunOutcome::Completed), 0)) => end_of(&sim.world()),
        Ok((ended, owed)) => Err(format!("it ended as {ended:?}, and {owed} things are owed")),
        Err(error) => Err(error.to_string()),
    }
}

/// What is in the cluster at the end; harm is an error.
fn end_of(world: &World) -> Result<End, String> {
    let ledger = Ledger::report(world, 0, 0.0);
    if !ledger.clean {
        return Err(format!("the ledger is not clean: {}", ledger.events.join("; ")));
    }
    let upgrades = world.nodes.iter().map(|(name, node)| {
        let lines = node.unit_logs.values().flatten();
        (name.clone(), lines.filter(|line| line.starts_with("Calculating upgrade")).count())
    });
    Ok(End {
        guests: world.guests.values().map(|guest| (guest.id, guest.runs_on.iter().cloned().collect())).collect(),
        boots: world.nodes.iter().map(|(name, node)| (name.clone(), node.boots)).collect(),
        upgrades: upgrades.collect(),
        moves: ledger.moves,
        nodes_upgraded: ledger.nodes_upgraded,
    })
}

fn difference(reference: &End, end: &End) -> String {
    format!("the end is another one: {end:?}, not {reference:?}")
}
