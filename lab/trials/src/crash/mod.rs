//! The engine is killed at every point of a run, and the run is resumed: the end is as if nothing had happened.
//!
//! A reference run is made once. After each call of the API or a shell, whether it reads or writes, and after each
//! event that is written to the journal, the world and the journal are copied as they are at that moment: that is what
//! a killed engine leaves behind. *After the k-th* and *before the next* are the same moment, so all of them together
//! are every point there is. From each copy a new driver continues to the end, a second, a minute or twenty minutes
//! later.
//!
//! Reading changes nothing. What is left behind after each of many reads in a row is, a second later, one and the same
//! world to the last field; that is not assumed, but compared, and the run is resumed once for all that are alike.
//!
//! From the moments after an event a driver that is asked to abort continues as well: it must leave nothing of ours.
//!
//! A second reference run, without quorum, is in `votes.rs`. Demanded of each point of the first: the run completes,
//! the impact report is clean, every node booted as often as in the reference run and had its packages upgraded once,
//! every guest moved as often and runs where it runs there, and nothing is left to undo.

mod freeze;
mod points;
mod votes;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::ids::{DriverId, GuestId, NodeName, RunId, UnixMs};
use quorate_core::policy::{ConsentKind, GuestPolicy, LocalDisks, Policy};
use quorate_core::run::{Event, Request, RunOutcome, RunState, StepOutcome};
use quorate_core::steps::{Act, ChangeSetting, Setting, Step};
use quorate_engine::{Beginning, Driver, Ended, Lists, Silent, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal};
use quorate_world::World;
use quorate_world::cluster_file::{ClusterFileError, EVERY_STEP, world_from_toml};
use quorate_world::impact::Impact;

pub use self::freeze::{Freezes, Wakes, freezes};
pub use self::points::Point;
use self::points::{Copier, Stage, unlike};
use crate::ports::SimPorts;
use crate::simulated_run::{SimulatedRunError, consented_seconds};

/// The cluster file has no key for it: the HA manager moves guests by itself, which a run has to suspend.
const REBALANCES: &str = "crs: ha=static,ha-auto-rebalance=1\n";

/// The new driver starts after so many seconds, one case each: at once, when HA has noticed, when deadlines have
/// passed.
const BACK_AFTER_S: [u64; 3] = [1, 60, 1_200];

/// After a run HA moves guests back to where its rules want them.
const REST_MS: u64 = 1_800_000;

/// The matrix could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CrashMatrixError {
    /// The reference cluster cannot be built.
    #[error(transparent)]
    Cluster(#[from] ClusterFileError),
    /// The reference run cannot be driven.
    #[error(transparent)]
    Run(#[from] SimulatedRunError),
    /// The reference run is not usable as one.
    #[error("the reference run did not complete cleanly: {0}")]
    Reference(String),
}

/// What a run leaves in the cluster: all that must be the same wherever the engine was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The node on which each guest runs, if it runs.
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

/// The result of the matrix.
#[derive(Debug)]
pub struct Matrix {
    /// Points at which the engine was killed.
    pub points: u64,
    /// Runs that were resumed: points that leave the same behind count as one.
    pub resumed: u64,
    /// Points from which the run was aborted as well.
    pub aborts: u64,
    /// Verbs of the steps that the reference run took.
    pub verbs: Vec<String>,
    /// What was not as it must be: the point, and what.
    pub failures: Vec<String>,
}

/// Which points are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Points {
    /// Every point of the run.
    All,
    /// After each event of the journal.
    Events,
    /// Only the point with this number.
    Only(u64),
}

/// What the operator of the reference cluster allows.
pub fn policy() -> Policy {
    Policy {
        guests: [
            (GuestId::vm(103), GuestPolicy::Eject),
            (GuestId::vm(104), GuestPolicy::Shutdown),
            (GuestId::vm(106), GuestPolicy::Offline),
            (GuestId::vm(107), GuestPolicy::Hibernate),
        ]
        .into(),
        consents: [
            ConsentKind::RestartContainers,
            ConsentKind::ShutdownGuests,
            ConsentKind::EjectMedia,
            ConsentKind::HibernateGuests,
            ConsentKind::MoveOffline,
        ]
        .into(),
        local_disks: LocalDisks::Stay,
        // A driver that was away for twenty minutes counts that as downtime of the guest that was moving, and would
        // ask.
        downtime_margin_percent: 100_000,
        ..Policy::default()
    }
}

/// A reference run and its end.
struct Reference<E> {
    end: E,
    points: u64,
    verbs: Vec<String>,
}

/// Kills the upgrade at these points and resumes it, on so many threads.
///
/// # Errors
/// There is no reference run to kill.
pub fn matrix(points: Points, threads: usize) -> Result<Matrix, CrashMatrixError> {
    let (guest_outcomes, aborted) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let take = |group: Vec<Point>| {
        for point in group.iter().filter(|point| point.is_event) {
            let guest_outcome = abort(point.clone());
            lock(&aborted).push((point.number, point.after.clone(), guest_outcome));
        }
        for point in unlike(group) {
            lock(&guest_outcomes).push((point.number, point.after.clone(), resume(point)));
        }
    };
    let Reference { end, points, verbs } = each_group(threads, |send| hold_reference(points, send), take)?;
    let as_it = |guest_outcome: Result<End, String>| match guest_outcome {
        Ok(other) if other == end => Ok(()),
        Ok(other) => Err(format!("the end is another one: {other:?}, not {end:?}")),
        Err(why) => Err(why),
    };
    let guest_outcomes = sorted(guest_outcomes)
        .into_iter()
        .map(|(number, after, guest_outcome)| (number, after, as_it(guest_outcome)))
        .collect::<Vec<_>>();
    let aborted = sorted(aborted);
    let (resumed, aborts) = (count(&guest_outcomes), count(&aborted));
    let mut failures = told("killed", guest_outcomes);
    failures.extend(told("aborted", aborted));
    Ok(Matrix { points, resumed, aborts, verbs, failures })
}

/// The same with the run that lowers expected votes.
///
/// # Errors
/// There is no reference run to kill.
pub fn votes_matrix(points: Points, threads: usize) -> Result<Matrix, CrashMatrixError> {
    let guest_outcomes = Mutex::new(Vec::new());
    let take = |group: Vec<Point>| {
        for point in unlike(group) {
            lock(&guest_outcomes).push((point.number, point.after.clone(), votes::resume(point)));
        }
    };
    let Reference { end: (), points, verbs } = each_group(threads, |send| votes::hold(points, send), take)?;
    let guest_outcomes = sorted(guest_outcomes);
    Ok(Matrix { points, resumed: count(&guest_outcomes), aborts: 0, verbs, failures: told("killed", guest_outcomes) })
}

/// A point's number, what had just happened, and the result.
type GuestOutcome<T> = (u64, String, Result<T, String>);

fn sorted<T>(guest_outcomes: Mutex<Vec<GuestOutcome<T>>>) -> Vec<GuestOutcome<T>> {
    let mut guest_outcomes = guest_outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    guest_outcomes.sort_by_key(|(number, ..)| *number);
    guest_outcomes
}

fn count<T>(guest_outcomes: &[GuestOutcome<T>]) -> u64 {
    guest_outcomes.len() as u64
}

fn told(what: &str, guest_outcomes: Vec<GuestOutcome<()>>) -> Vec<String> {
    let failed = guest_outcomes
        .into_iter()
        .filter_map(|(number, after, guest_outcome)| Some((number, after, guest_outcome.err()?)));
    failed.map(|(number, after, why)| format!("{what} at point {number}, after {after}: {why}")).collect()
}

/// Makes a reference run, while these threads resume its points in groups.
fn each_group<R>(
    threads: usize,
    hold: impl FnOnce(SyncSender<Vec<Point>>) -> Result<R, CrashMatrixError>,
    take: impl Fn(Vec<Point>) + Sync,
) -> Result<R, CrashMatrixError> {
    // A few wait, so that no thread is idle; a world is too large to keep them all.
    let (send, receive) = sync_channel::<Vec<Point>>(threads);
    let receive = Mutex::new(receive);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(group) = next(&receive) {
                    take(group);
                }
            });
        }
        hold(send)
    })
}

fn next(receive: &Mutex<Receiver<Vec<Point>>>) -> Option<Vec<Point>> {
    lock(receive).recv().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without I/O always starts").block_on(future)
}

fn hold_reference(points: Points, send: SyncSender<Vec<Point>>) -> Result<Reference<End>, CrashMatrixError> {
    let world = reference_world()?;
    let run = new_run_id(UnixMs(world.now_ms), "crash-matrix");
    let copier = Copier::new(points, run.clone(), send);
    let sim = copier.tap(Arc::new(Mutex::new(world)));
    let mut stage = Stage { copier: copier.clone(), sim: sim.clone() };
    let ended = block_on(begin(&sim, &mut stage, &run))?;
    copier.hand_on(std::mem::take(&mut *lock(&copier.group)));
    if ended != Ended::Over(RunOutcome::Completed) {
        return Err(CrashMatrixError::Reference(format!("{ended:?}")));
    }
    let end = end_of(&mut sim.world()).map_err(CrashMatrixError::Reference)?;
    Ok(copier.reference(end))
}

fn reference_world() -> Result<World, CrashMatrixError> {
    let mut world = world_from_toml(EVERY_STEP, 1)?;
    let written = world.pmxcfs_write(&"pve1".into(), "/etc/pve/datacenter.cfg", REBALANCES);
    written.map_err(|error| CrashMatrixError::Reference(error.to_string()))?;
    Ok(world)
}

/// Makes the reference run.
async fn begin(sim: &SimPorts, watcher: &mut dyn Watcher, run: &RunId) -> Result<Ended, CrashMatrixError> {
    let journal = Journal::in_memory().map_err(SimulatedRunError::from)?;
    let ports = sim.ports();
    let policy = policy();
    Impact::begin(&mut sim.world());
    let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
    let prepared = prepare(&ports, nodes.clone(), &policy, run, Lists::Refresh).await;
    let (plan, _) = prepared.plan.map_err(|no_plan| CrashMatrixError::Reference(format!("{:?}", no_plan.findings)))?;
    for (guest, seconds) in consented_seconds(&plan, &Policy::default()) {
        // A driver that stays away for twenty minutes leaves a guest down for as long.
        sim.world().impact.consent(guest, seconds + BACK_AFTER_S[2]);
    }
    let beginning = Beginning { run: run.clone(), cluster: "every-step".to_owned(), policy, plan };
    let id = DriverId::drawn(journal.head().map_err(SimulatedRunError::from)?.seq);
    let holder = Holder::this_process("crash matrix", id);
    let mut driver = Driver::begin(ports, &journal, &holder, beginning, watcher)
        .map_err(SimulatedRunError::from)?
        .known_nodes(nodes)
        .when_paused(WhenPaused::Leave);
    Ok(driver.drive().await.map_err(SimulatedRunError::from)?)
}

/// Resumes a killed run and drives it to its end.
fn resume(point: Point) -> Result<End, String> {
    let TakenUp { sim, ended, to_undo, .. } = take_up(point, None)?;
    match (ended, to_undo) {
        (Ended::Over(RunOutcome::Completed), 0) => end_of(&mut sim.world()),
        (ended, to_undo) => Err(format!("it ended as {ended:?}, and {to_undo} things are still to undo")),
    }
}

/// Aborts a killed run.
fn abort(mut point: Point) -> Result<(), String> {
    let comes_ms = point.world.now_ms + BACK_AFTER_S[0] * 1000;
    point.world.advance_to(comes_ms);
    let was_over = point.events.iter().any(|(_, event)| matches!(event, Event::RunEnded { .. }));
    let last = |event: &Event| matches!(event, Event::StepEnded { step: Step::FinalCheck(_), .. });
    let was_done = point.events.iter().any(|(_, event)| last(event));
    let TakenUp { sim, ended, to_undo, .. } = take_up(point, Some(Request::Abort))?;
    match (ended, to_undo) {
        (Ended::Over(RunOutcome::Aborted), 0) => end_of(&mut sim.world()).map(drop),
        (Ended::Over(RunOutcome::Completed), 0) if was_over => Ok(()),
        // An abort of a run that only lacked its final check leaves no node undone.
        (Ended::Over(RunOutcome::Completed), 0) if was_done => end_of(&mut sim.world()).map(drop),
        (ended, to_undo) => Err(format!("it ended as {ended:?}, and {to_undo} things are still to undo")),
    }
}

/// A run that was resumed and came to an end.
struct TakenUp {
    sim: SimPorts,
    ended: Ended,
    to_undo: usize,
    /// All events of the run, from its beginning.
    log: Vec<(UnixMs, Event)>,
}

fn take_up(point: Point, say: Option<Request>) -> Result<TakenUp, String> {
    let Point { world, run, events, .. } = point;
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    drive_on(sim, &run, &events, say, &mut Silent)
}

/// A new driver continues with these events in its journal.
fn drive_on(
    sim: SimPorts,
    run: &RunId,
    events: &[(UnixMs, Event)],
    say: Option<Request>,
    watcher: &mut dyn Watcher,
) -> Result<TakenUp, String> {
    let drive = async {
        let journal = Journal::in_memory()?;
        for (at, event) in events {
            journal.append(run, *at, event)?;
        }
        let holder = Holder::this_process("crash matrix", DriverId::drawn(journal.head()?.seq));
        let nodes = sim.world().nodes.keys().cloned().collect();
        let mut driver = Driver::take_up(sim.ports(), &journal, &holder, run.clone(), watcher)?
            .known_nodes(nodes)
            .when_paused(WhenPaused::Leave);
        if let Some(say) = say {
            driver.say(say, "the operator of the crash matrix")?;
        }
        let ended = driver.drive().await?;
        let to_undo = still_to_undo(&sim, driver.state());
        let log = journal.events(run)?.into_iter().map(|entry| (entry.at, entry.event)).collect();
        Ok::<_, quorate_engine::DriveError>((ended, to_undo, log))
    };
    let (ended, to_undo, log) = block_on(drive).map_err(|error| error.to_string())?;
    Ok(TakenUp { sim, ended, to_undo, log })
}

/// Changes that are still open. Of what an abort may leave to the operator only failback counts as undone, and the
/// impact report checks whether it had to be left.
fn still_to_undo(sim: &SimPorts, state: &RunState) -> usize {
    let mut open = state.open_changes.len();
    for record in state.steps.values().filter(|record| matches!(record.outcome, Some(StepOutcome::HandedOver(_)))) {
        if let Step::ChangeSetting(ChangeSetting { act: Act::Undo, setting: Setting::Failback(failback) }) =
            &record.step
        {
            Impact::hand_over(&mut sim.world(), failback.guest);
        } else {
            open += 1;
        }
    }
    open
}

/// The state of the cluster at the end, when HA is idle; harm is an error.
fn end_of(world: &mut World) -> Result<End, String> {
    let rested_ms = world.now_ms + REST_MS;
    world.advance_to(rested_ms);
    let impact = Impact::report(world, 0, 0.0);
    if !impact.clean {
        return Err(format!("the impact report is not clean: {}", impact.events.join("; ")));
    }
    let upgrades = world.nodes.iter().map(|(name, node)| {
        let lines = node.unit_logs.values().flatten();
        (name.clone(), lines.filter(|line| line.starts_with("Calculating upgrade")).count())
    });
    Ok(End {
        guests: world.guests.values().map(|guest| (guest.id, guest.runs_on.iter().cloned().collect())).collect(),
        boots: world.nodes.iter().map(|(name, node)| (name.clone(), node.boots)).collect(),
        upgrades: upgrades.collect(),
        moves: impact.moves,
        nodes_upgraded: impact.nodes_upgraded,
    })
}
