//! The moments at which the engine is killed: copies of world and journal, made during the reference run.

use std::collections::BTreeSet;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::run::Event;
use quorate_engine::Watcher;
use quorate_world::World;

use super::{BACK_AFTER_S, Points, Reference, lock};
use crate::digest::digest;
use crate::ports::{SharedWorld, SimPorts};

/// Points of one look lie this close together.
const GROUP_MS: u64 = 3_000;

/// A moment at which the engine is killed.
#[derive(Clone)]
pub struct Point {
    /// Counted from 1.
    pub number: u64,
    /// What has just happened: `call 17`, `event step-started pve1.reboot`.
    pub after: String,
    pub(super) is_event: bool,
    pub(super) world: World,
    pub(super) run: RunId,
    pub(super) events: Vec<(UnixMs, Event)>,
}

/// Advances all points of a group to the moment at which the new driver starts, and keeps those that differ.
pub(super) fn unlike(group: Vec<Point>) -> Vec<Point> {
    let Some(last) = group.last() else { return Vec::new() };
    let back_after_s = BACK_AFTER_S[usize::try_from(last.number).unwrap_or(0) % BACK_AFTER_S.len()];
    let comes_ms = last.world.now_ms + back_after_s * 1000;
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for mut point in group {
        point.world.advance_to(comes_ms);
        if seen.insert(digest(&point.world)) {
            kept.push(point);
        }
    }
    kept
}

/// Copies what a killed engine would leave behind, and hands it on.
pub(super) struct Copier {
    pub(super) points: Points,
    pub(super) made: Mutex<u64>,
    pub(super) run: RunId,
    pub(super) events: Mutex<Vec<(UnixMs, Event)>>,
    /// Points since the last event or wait.
    pub(super) group: Mutex<Vec<Point>>,
    pub(super) send: SyncSender<Vec<Point>>,
}

impl Copier {
    pub(super) fn new(points: Points, run: RunId, send: SyncSender<Vec<Point>>) -> Arc<Self> {
        let (made, events, group) = (Mutex::new(0), Mutex::default(), Mutex::default());
        Arc::new(Self { points, made, run, events, group, send })
    }

    /// Ports to a world of which every call makes a point.
    pub(super) fn tap(self: &Arc<Self>, world: SharedWorld) -> SimPorts {
        let copier = self.clone();
        SimPorts::tapped(
            world,
            Arc::new(move |number, _, world: &World| copier.point(world, &format!("call {number}"), false)),
        )
    }

    /// The result of the reference run, with its end.
    pub(super) fn reference<E>(&self, end: E) -> Reference<E> {
        let mut verbs: Vec<String> = Vec::new();
        for (_, event) in lock(&self.events).iter() {
            if let Event::StepEnded { step, .. } = event {
                verbs.push(step.kind().verb().to_owned());
            }
        }
        verbs.sort();
        verbs.dedup();
        Reference { end, points: *lock(&self.made), verbs }
    }

    pub(super) fn point(&self, world: &World, after: &str, is_event: bool) {
        // Before the first event there is no run to resume.
        let events = lock(&self.events).clone();
        if events.is_empty() {
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
            let (after, world, run) = (after.to_owned(), world.clone(), self.run.clone());
            let point = Point { number, after, is_event, world, run, events };
            let mut group = lock(&self.group);
            let belongs = |first: &Point| {
                first.events.len() == point.events.len() && point.world.now_ms <= first.world.now_ms + GROUP_MS
            };
            if !group.first().is_none_or(belongs) {
                self.hand_on(std::mem::take(&mut *group));
            }
            group.push(point);
        }
    }

    pub(super) fn hand_on(&self, group: Vec<Point>) {
        // The receiver is gone only if every thread has panicked; the scope reports that.
        let _ = self.send.send(group);
    }
}

/// Sees each event once it is written.
pub(super) struct Stage {
    pub(super) copier: Arc<Copier>,
    pub(super) sim: SimPorts,
}

impl Watcher for Stage {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        lock(&self.copier.events).push((at, event.clone()));
        self.copier.point(&self.sim.world(), &what(event), true);
    }

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}

/// What has just happened: `event step-started of pve1.reboot`.
pub(super) fn what(event: &Event) -> String {
    match event {
        Event::StepStarted { id, .. } | Event::StepEnded { id, .. } | Event::CommandAnswered { id, .. } => {
            format!("event {} of {id}", event.kind())
        }
        _ => format!("event {}", event.kind()),
    }
}
