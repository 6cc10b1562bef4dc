//! Freeze point × wake point: a driver is frozen between the event of an order and its effect, a successor completes
//! the run, and the order of the frozen one takes effect at each later event of it.
//!
//! A driver may be frozen before it connects: then the order goes to whatever runs there when it wakes, unless the
//! order has expired. Or its bytes are on their way already: then they arrive, if the boot that took them still runs.
//!
//! At each wake point the world is copied, the order takes effect in the copy, and both are left alone for some
//! minutes. If they are alike to the last field, the order was without effect. If not, the run is continued from the
//! copy to its end: nothing may be lost or down without consent, no node may boot once more, no rule may be broken.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::run::{Event, Request, RunOutcome};
use quorate_engine::{Ended, Silent, Watcher, new_run_id};
use quorate_wire::Wire;
use quorate_world::World;

use super::{BACK_AFTER_S, CrashMatrixError, End, begin, block_on, drive_on, end_of, lock, reference_world};
use crate::digest::digest;
use crate::network::Order;
use crate::ports::SimPorts;

/// How long both worlds are left alone before they are compared: an order that does anything has done it by then.
const SETTLE_MS: u64 = 300_000;

/// A run that another hand disturbs may ask, so often.
const PAUSES: u32 = 3;

/// Which wake points are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// Every order of the run, woken at every event of its successor.
    All,
    /// The first order of each kind, woken at every so many-th event; of those at which it changes something one is
    /// continued.
    Every(u64),
}

/// The result.
#[derive(Debug, Default)]
pub struct Freezes {
    /// Orders before which, or on whose way, a driver was frozen.
    pub orders: u64,
    /// Moments at which one took effect.
    pub wakes: u64,
    /// Those at which it was not sent any more.
    pub expired: u64,
    /// Those at which it changed nothing.
    pub without_effect: u64,
    /// Those from which the run was continued.
    pub continued: u64,
    /// What was not as it must be.
    pub failures: Vec<String>,
}

/// A driver, frozen before its order takes effect, and what it leaves behind.
struct Frozen {
    order: Order,
    step: String,
    world: World,
    events: Vec<(UnixMs, Event)>,
}

/// Freezes the driver of the reference run at each of its orders, on so many threads.
///
/// # Errors
/// There is no reference run.
pub fn freezes(wakes: Wakes, threads: usize) -> Result<Freezes, CrashMatrixError> {
    let (run, end, frozen) = hold(wakes)?;
    let result = Mutex::new(Freezes { orders: frozen.len() as u64, ..Freezes::default() });
    let queue = Mutex::new(frozen.into_iter());
    let take = || lock(&queue).next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(frozen) = take() {
                    Walk { run: &run, end: &end, frozen, wakes, result: &result }.walk();
                }
            });
        }
    });
    let mut result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
    result.failures.sort();
    Ok(result)
}

/// Makes the reference run, and copies what there is before each of its orders.
fn hold(wakes: Wakes) -> Result<(RunId, End, Vec<Frozen>), CrashMatrixError> {
    let world = reference_world()?;
    let run = new_run_id(UnixMs(world.now_ms), "crash-matrix");
    let orders = Arc::new(Mutex::new(Orders::default()));
    let tap = {
        let orders = orders.clone();
        move |_, order: Option<Order>, _: &World| lock(&orders).sent(order)
    };
    let sim = SimPorts::tapped(Arc::new(Mutex::new(world)), Arc::new(tap));
    let mut stage = Stage { orders: orders.clone(), sim: sim.clone() };
    let ended = block_on(begin(&sim, &mut stage, &run))?;
    if ended != Ended::Over(RunOutcome::Completed) {
        return Err(CrashMatrixError::Reference(format!("{ended:?}")));
    }
    let end = end_of(&mut sim.world()).map_err(CrashMatrixError::Reference)?;
    let mut frozen = std::mem::take(&mut lock(&orders).frozen);
    if wakes != Wakes::All {
        let mut kinds = BTreeSet::new();
        frozen.retain(|frozen| kinds.insert(kind(&frozen.step).to_owned()));
    }
    Ok((run, end, frozen))
}

/// The verb of a step's id: `reboot` of `pve1.reboot`.
fn kind(step: &str) -> &str {
    step.split('.').nth(1).unwrap_or(step)
}

/// The orders of the reference run.
#[derive(Default)]
struct Orders {
    events: Vec<(UnixMs, Event)>,
    /// A step has begun, and its order is not sent yet.
    begun: Option<(String, World)>,
    frozen: Vec<Frozen>,
}

impl Orders {
    fn sent(&mut self, order: Option<Order>) {
        let changes = |(_, world): &mut (String, World)| {
            order.as_ref().is_some_and(|order| order.changes(&Wire::default(), world))
        };
        let Some((step, world)) = self.begun.take_if(changes) else { return };
        let Some(order) = order else { return };
        self.frozen.push(Frozen { order, step, world, events: self.events.clone() });
    }
}

struct Stage {
    orders: Arc<Mutex<Orders>>,
    sim: SimPorts,
}

impl Watcher for Stage {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        let mut orders = lock(&self.orders);
        orders.events.push((at, event.clone()));
        if let Event::StepStarted { id, command: Some(_), .. } = event {
            orders.begun = Some((id.to_string(), self.sim.world().clone()));
        }
    }

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}

/// One frozen driver, woken at the events of its successor's run.
struct Walk<'a> {
    run: &'a RunId,
    end: &'a End,
    frozen: Frozen,
    wakes: Wakes,
    result: &'a Mutex<Freezes>,
}

/// A moment at which the order of a frozen driver has changed something.
struct Changed {
    told: String,
    world: World,
    events: Vec<(UnixMs, Event)>,
}

/// Wakes the frozen driver at the events of its successor.
struct Successor<'a> {
    walk: &'a Walk<'a>,
    sim: SimPorts,
    events: Vec<(UnixMs, Event)>,
    seen: u64,
    changed: Vec<Changed>,
}

impl Walk<'_> {
    fn walk(&self) {
        let mut world = self.frozen.world.clone();
        let comes_ms = world.now_ms + BACK_AFTER_S[0] * 1000;
        world.advance_to(comes_ms);
        let sim = SimPorts::new(Arc::new(Mutex::new(world)));
        let events = self.frozen.events.clone();
        let mut successor = Successor { walk: self, sim: sim.clone(), events, seen: 0, changed: Vec::new() };
        let taken = drive_on(sim, self.run, &self.frozen.events, None, &mut successor);
        let changed = successor.changed;
        let (from, most) = match self.wakes {
            Wakes::All => (0, changed.len()),
            Wakes::Every(_) => (changed.len() / 2, 1),
        };
        if let Err(why) = taken {
            return self.fails(format!("frozen at {}: its successor: {why}", self.frozen.step));
        }
        for changed in changed.into_iter().skip(from).take(most) {
            lock(self.result).continued += 1;
            let told = changed.told.clone();
            if let Err(why) = self.goes_on(changed) {
                self.fails(format!("{told}: {why}"));
            }
        }
    }

    fn fails(&self, why: String) {
        lock(self.result).failures.push(why);
    }

    /// The successor's run after the late order, to its end. It may ask about what another hand has done.
    fn goes_on(&self, changed: Changed) -> Result<(), String> {
        let Changed { mut world, mut events, .. } = changed;
        let mut said = None;
        for _ in 0..=PAUSES {
            let sim = SimPorts::new(Arc::new(Mutex::new(world)));
            let taken = drive_on(sim, self.run, &events, said.take(), &mut Silent)?;
            if let Ended::Over(_) = taken.ended {
                return self.judge(&mut taken.sim.world());
            }
            said = Some(Request::Resume);
            events = taken.log;
            world = taken.sim.world().clone();
        }
        Err(format!("it still pauses after {PAUSES} answers"))
    }

    fn judge(&self, world: &mut World) -> Result<(), String> {
        let End { boots, upgrades, nodes_upgraded, .. } = end_of(world)?;
        if boots != self.end.boots {
            return Err(format!("nodes booted {boots:?} times, not {:?}", self.end.boots));
        }
        if (&upgrades, nodes_upgraded) != (&self.end.upgrades, self.end.nodes_upgraded) {
            return Err(format!("packages were upgraded {upgrades:?} times, not {:?}", self.end.upgrades));
        }
        Ok(())
    }
}

impl Successor<'_> {
    fn wakes(&mut self, what: &str) {
        let before = self.sim.world().clone();
        let Frozen { order, step, .. } = &self.walk.frozen;
        let only_now = order.sent_only_now(&before);
        lock(self.walk.result).expired += u64::from(only_now.is_none());
        let orders = [("sent only", only_now), ("arrived", Some(order.clone()))];
        let alone = settled(before.clone());
        for (how, order) in orders.into_iter().filter_map(|(how, order)| Some((how, order?))) {
            lock(self.walk.result).wakes += 1;
            let sim = SimPorts::new(Arc::new(Mutex::new(before.clone())));
            sim.arrives(&order);
            let world = sim.world().clone();
            if settled(world.clone()) == alone {
                lock(self.walk.result).without_effect += 1;
                continue;
            }
            let told = format!("the order of {step}, {how} at {what}");
            self.changed.push(Changed { told, world, events: self.events.clone() });
        }
    }
}

fn settled(mut world: World) -> u64 {
    let settled_ms = world.now_ms + SETTLE_MS;
    world.advance_to(settled_ms);
    digest(&world)
}

impl Watcher for Successor<'_> {
    fn event(&mut self, _seq: u64, at: UnixMs, event: &Event) {
        self.events.push((at, event.clone()));
        self.seen += 1;
        let meant = match self.walk.wakes {
            Wakes::All => true,
            Wakes::Every(so_many) => self.seen.is_multiple_of(so_many),
        };
        if meant {
            self.wakes(&super::points::what(event));
        }
    }

    fn waiting(&mut self, _at: UnixMs, _on: &[String]) {}
}
