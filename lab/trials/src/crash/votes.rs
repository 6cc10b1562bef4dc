//! The second reference run: two of three nodes are off, a person confirms it, the expected votes are lowered, and one
//! of the nodes comes back. An upgrade never takes these steps, and it is here that a step done twice would be the
//! worst.
//!
//! Demanded of each point: the run ends and leaves nothing to undo, every node expects as many votes as are configured,
//! no rule is broken on the truth, no guest runs twice, and votes are lowered once at most: a driver that resumes the
//! run never does it again by itself.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use quorate_core::ids::{DriverId, NodeName, UnixMs};
use quorate_core::policy::Policy;
use quorate_core::recovery::words_for;
use quorate_core::run::{Event, RunOutcome};
use quorate_engine::{Driver, Ended, Lowered, WhenPaused, new_run_id};
use quorate_journal::{Holder, Journal};
use quorate_world::World;
use quorate_world::cluster_file::{EVERY_STEP, world_from_toml};
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::impact::Impact;

use super::points::{Copier, Point, Stage};
use super::{CrashMatrixError, Points, Reference, lock, take_up};
use crate::ports::SimPorts;
use crate::simulated_run::SimulatedRunError;

/// They lose power, and the first of them gets it back.
const OFF: [&str; 2] = ["pve1", "pve2"];

/// Longer than a boot may take: before that votes must not be lowered.
const AWAY_S: u64 = 1_800;

/// So long after the votes were lowered the first node has power again.
const BACK_S: u64 = 30;

/// Until the second one has booted and everything is at rest.
const REST_MS: u64 = 1_800_000;

/// The checker's rules about who may act for the cluster.
const RULES: [&str; 2] = ["votes-lowered-only-if-confirmed-off", "one-quorate-partition"];

fn power_off(world: &mut World) {
    for node in OFF {
        world.inject(Fault { at_s: 0, kind: FaultKind::PowerOff { node: node.into() } });
    }
    let until_ms = world.now_ms + AWAY_S * 1000;
    world.advance_to(until_ms);
    let at_s = (world.now_ms - world.started_ms) / 1000 + BACK_S;
    world.inject(Fault { at_s, kind: FaultKind::PowerOn { node: OFF[0].into() } });
}

/// Makes the run, and hands on each of its points.
pub(super) fn hold(points: Points, send: SyncSender<Vec<Point>>) -> Result<Reference<()>, CrashMatrixError> {
    let mut world = world_from_toml(EVERY_STEP, 1)?;
    Impact::begin(&mut world);
    power_off(&mut world);
    let run = new_run_id(UnixMs(world.now_ms), "crash-matrix-votes");
    let copier = Copier::new(points, run, send);
    let sim = copier.tap(Arc::new(Mutex::new(world)));
    let ended = super::block_on(recover(&sim, &copier))?;
    copier.hand_on(std::mem::take(&mut *lock(&copier.group)));
    if ended != Ended::Over(RunOutcome::Recovered) {
        return Err(CrashMatrixError::Reference(format!("{ended:?}")));
    }
    let events = lock(&copier.events).clone();
    at_the_end(&mut sim.world(), &events).map_err(CrashMatrixError::Reference)?;
    Ok(copier.reference(()))
}

async fn recover(sim: &SimPorts, copier: &Arc<Copier>) -> Result<Ended, CrashMatrixError> {
    let journal = Journal::in_memory().map_err(SimulatedRunError::from)?;
    let mut stage = Stage { copier: copier.clone(), sim: sim.clone() };
    let holder =
        Holder::this_process("crash matrix", DriverId::drawn(journal.head().map_err(SimulatedRunError::from)?.seq));
    let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
    let (run, policy) = (copier.run.clone(), Policy::default());
    let driver = Driver::begin_recovery(sim.ports(), &journal, &holder, run, policy, &mut stage);
    let mut driver = driver.map_err(SimulatedRunError::from)?.known_nodes(nodes).when_paused(WhenPaused::Leave);
    let words = OFF.iter().map(|node| words_for(&NodeName::from(*node))).collect();
    let by = "the operator of the crash matrix".to_owned();
    match driver.lower_votes(words, by).await.map_err(SimulatedRunError::from)? {
        Lowered::Yes => {}
        Lowered::Not(why) => return Err(CrashMatrixError::Reference(why.join("; "))),
    }
    Ok(driver.drive().await.map_err(SimulatedRunError::from)?)
}

/// Resumes a killed recovery and drives it to its end.
pub(super) fn resume(point: Point) -> Result<(), String> {
    let taken = take_up(point, None)?;
    match (taken.ended, taken.to_undo) {
        (Ended::Over(RunOutcome::Recovered), 0) => at_the_end(&mut taken.sim.world(), &taken.log),
        (ended, to_undo) => Err(format!("it ended as {ended:?}, and {to_undo} things are still to undo")),
    }
}

/// When the last node has its power back as well: as many votes as before, and nothing done twice.
fn at_the_end(world: &mut World, events: &[(UnixMs, Event)]) -> Result<(), String> {
    let lowered = |(_, event): &&(UnixMs, Event)| matches!(event, Event::StepStarted { step, command: Some(_), .. } if step.kind().verb() == "lower-votes");
    let times = events.iter().filter(lowered).count();
    if times > 1 {
        return Err(format!("the votes were lowered {times} times"));
    }
    if !world.nodes.values().any(|node| node.is_up() && node.name.as_str() == OFF[0]) {
        return Err("the run is over, and no node has come back".to_owned());
    }
    let configured = world.corosync.configured_votes();
    if let Some((node, view)) = world.corosync.views.iter().find(|(_, view)| view.expected < configured) {
        return Err(format!("{node} expects {} votes of {configured}", view.expected));
    }
    world.inject(Fault { at_s: 0, kind: FaultKind::PowerOn { node: OFF[1].into() } });
    let rested_ms = world.now_ms + REST_MS;
    world.advance_to(rested_ms);
    // The loss of two nodes does harm enough by itself; checked here is only what votes can do.
    let broken = world.impact.rules_broken.iter().find(|(_, rule, _)| RULES.contains(&rule.as_str()));
    match (broken, world.impact.doubled.first()) {
        (Some((_, rule, what)), _) => Err(format!("{rule}: {what}")),
        (None, Some(guest)) => Err(format!("{guest} ran twice")),
        (None, None) => Ok(()),
    }
}
