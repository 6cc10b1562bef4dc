//! What is watched while drivers are at work: their events, whether a command does harm, and when what was drawn
//! happens.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::ids::{RunId, StepId, UnixMs};
use quorate_core::run::{Event, Request};
use quorate_engine::Watcher;
use quorate_journal::Journal;
use quorate_world::faults::Fault;

use super::Events;
use super::planned_faults::{FaultDrawn, PlannedFault, When};
use crate::judge::Judge;
use crate::ports::{SimPorts, Stop, Trouble};

/// Of all drivers of a seed's run together.
#[derive(Default)]
pub(super) struct Watching {
    pub(super) judge: Judge,
    pub(super) planned_faults: Vec<PlannedFault>,
    pub(super) events: Events,
    /// What a driver did that had been frozen, although another had taken its place.
    pub(super) went_on: Vec<String>,
    pub(super) deadline_ms: u64,
    pub(super) overtime: bool,
    pub(super) repaired: bool,
    /// Seconds until the tool is started again, or a successor.
    pub(super) back_after_s: u64,
    /// Seconds until a driver that is frozen wakes.
    pub(super) wakes_after_s: u64,
    begun: BTreeSet<StepId>,
    steps: u64,
    steps_of_the_abort: Option<u64>,
}

impl Watching {
    /// A run may take until then.
    pub(super) fn until(deadline_ms: u64) -> Self {
        Self { deadline_ms, ..Self::default() }
    }

    /// What happens now that a step is begun.
    fn due(&mut self, id: &StepId) -> Vec<PlannedFault> {
        let is_first = self.begun.insert(id.clone());
        self.steps += 1;
        self.steps_of_the_abort = self.steps_of_the_abort.map(|steps| steps + 1);
        let is_due = |planned: &&PlannedFault| match &planned.when {
            When::Step(step) => is_first && step == id,
            When::Begun(number) => *number == self.steps,
            When::Aborting(number) => Some(*number) == self.steps_of_the_abort,
        };
        self.planned_faults.iter().filter(is_due).cloned().collect()
    }
}

/// Receives the events of one driver.
pub(super) struct Stage {
    pub(super) watching: Arc<Mutex<Watching>>,
    pub(super) sim: SimPorts,
    pub(super) journal: Arc<Journal>,
    pub(super) run: RunId,
    /// False once another driver has taken its place.
    pub(super) is_current: Arc<AtomicBool>,
}

impl Stage {
    fn watching(&self) -> MutexGuard<'_, Watching> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, planned_fault: PlannedFault, at: UnixMs) {
        let PlannedFault { delay_s, what, when } = planned_fault;
        match what {
            FaultDrawn::Fault(kind) => {
                // What was meant for a step of the first plan is over once somebody has repaired the cluster.
                if !self.watching().repaired || !matches!(when, When::Step(_)) {
                    let mut world = self.sim.world();
                    let at_s = world.now_ms.saturating_sub(world.started_ms) / 1000 + delay_s;
                    world.inject(Fault { at_s, kind });
                }
            }
            FaultDrawn::Dies { after_calls, back_after_s } => {
                self.watching().back_after_s = back_after_s;
                self.sim.kill(Stop::Before(self.sim.calls() + 1 + after_calls));
            }
            FaultDrawn::Freezes { after_calls, on_its_way_s, successor_after_s, wakes_after_s } => {
                let mut watching = self.watching();
                (watching.back_after_s, watching.wakes_after_s) = (successor_after_s, wakes_after_s);
                let call = self.sim.calls() + 1 + after_calls;
                match on_its_way_s {
                    None => self.sim.freeze(Stop::Before(call)),
                    Some(seconds) => {
                        self.sim.trouble(1 + after_calls, Trouble::ArrivesLate { seconds });
                        self.sim.freeze(Stop::After(call));
                    }
                }
            }
            FaultDrawn::Hangs { node, seconds } => self.sim.hang(&node, seconds),
            FaultDrawn::JournalFull { back_after_s } => {
                self.watching().back_after_s = back_after_s;
                self.journal.set_full(true).expect("a journal in memory can be read");
            }
            FaultDrawn::Wire { calls, trouble } => self.sim.trouble(calls, trouble),
            FaultDrawn::ClockSet { seconds } => self.sim.set_clock_off(seconds),
            FaultDrawn::Says(request) => self.says(&request, at),
        }
    }

    fn says(&self, request: &Request, at: UnixMs) {
        if self.journal.post_request(&self.run, at, "the operator", request).is_ok() && *request == Request::Abort {
            self.watching().steps_of_the_abort.get_or_insert(0);
        }
    }
}

impl Watcher for Stage {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        let is_current = self.is_current.load(Ordering::Relaxed);
        {
            let (world, mut watching) = (self.sim.world(), self.watching());
            match event {
                Event::StepStarted { step, command: Some(_), .. } => watching.judge.sends(&world, step),
                Event::CommandNotDone { .. } => watching.judge.not_done(),
                _ => watching.judge.look(&world),
            }
            if is_current {
                watching.events.push((at, event.clone()));
            }
        }
        let Event::StepStarted { id, command, .. } = event else { return };
        if !is_current {
            // That it waits for something it may write down, in a journal that nobody reads any more.
            if command.is_none() {
                return;
            }
            self.watching().went_on.push(format!("a driver that had been frozen began {id} beside its successor"));
            return;
        }
        let due = self.watching().due(id);
        for planned_fault in due {
            self.happens(planned_fault, at);
        }
    }

    fn waiting(&mut self, at: UnixMs, _on: &[String]) {
        let (world, mut watching) = (self.sim.world(), self.watching());
        watching.judge.look(&world);
        if at.0 > watching.deadline_ms {
            watching.overtime = true;
            self.sim.kill(Stop::Before(0));
        }
    }
}
