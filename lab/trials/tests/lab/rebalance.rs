//! HA's automatic rebalancing and a run: suspended while guests move, restored at the end; and what happens otherwise.

#![allow(clippy::disallowed_methods, reason = "a journal of its own for each run")]

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::sync::{Arc, Mutex};

use quorate_core::ids::{DriverId, NodeName, UnixMs};
use quorate_core::plan::Plan;
use quorate_core::run::{Event, RunOutcome};
use quorate_core::steps::{Rebalance, set, undo};
use quorate_engine::{Beginning, Driver, Ended, Lists, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_world::impact::Impact;

/// A scheduler that moves guests by itself, with a setting beside it that a run must not touch.
const CRS: &str = "crs: ha=dynamic,ha-auto-rebalance=1,ha-rebalance-on-start=1\n";

#[derive(Default)]
struct Listens(Vec<Event>);

impl Watcher for Listens {
    fn event(&mut self, _: u64, _: UnixMs, event: &Event) {
        self.0.push(event.clone());
    }
    fn waiting(&mut self, _: UnixMs, _: &[String]) {}
}

/// The outcome of one run.
struct Story {
    plan: Plan,
    ended: Ended,
    plans: usize,
    moved_by_ha: usize,
    sim: SimPorts,
}

/// A run over the demo with such a scheduler; the plan may be changed before it is followed.
fn run(change: impl FnOnce(&mut Plan)) -> Story {
    let mut world = common::demo();
    world.pmxcfs_write(&"pve1".into(), "/etc/pve/datacenter.cfg", CRS).unwrap();
    // What it wants to move in a quiet cluster is moved before the run.
    let rested_ms = world.now_ms + 600_000;
    world.advance_to(rested_ms);
    Impact::begin(&mut world);
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let (plan, ended, plans) = common::block_on(async {
        let ports = sim.ports();
        let (policy, run) = (common::policy(), new_run_id(ports.clock.now(), "quiet"));
        let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
        let prepared = prepare(&ports, nodes.clone(), &policy, &run, Lists::Refresh).await;
        let (mut plan, _) = prepared.plan.expect("the demo has a plan");
        change(&mut plan);
        for (guest, seconds) in plan.downtime_allowed_s(&policy) {
            sim.world().impact.consent(guest, seconds);
        }
        let file = common::JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let beginning = Beginning { run, cluster: "demo".to_owned(), policy, plan: plan.clone() };
        let mut watcher = Listens::default();
        let holder = Holder::this_process("quiet", DriverId::drawn(1));
        let mut driver = Driver::begin(ports.clone(), &journal, &holder, beginning, &mut watcher)
            .unwrap()
            .known_nodes(nodes)
            .when_paused(WhenPaused::Leave);
        let ended = driver.drive().await.unwrap();
        drop(driver);
        (plan, ended, watcher.0.iter().filter(|event| matches!(event, Event::PlanAdopted { .. })).count())
    });
    let began_ms = sim.world().impact.baseline.as_ref().unwrap().at_ms;
    let moved = |(at, line): &&(u64, String)| *at >= began_ms && line.starts_with("auto rebalance");
    let moved_by_ha = sim.world().ha.syslog.iter().filter(moved).count();
    Story { plan, ended, plans, moved_by_ha, sim }
}

#[test]
fn automatic_rebalancing_is_off_while_guests_move_and_on_again_at_the_end() {
    let Story { plan, ended, plans, moved_by_ha, sim } = run(|_| {});
    let verbs: Vec<&str> = plan.steps().map(|(_, planned)| planned.step.kind().verb()).collect();
    let at = |verb: &str| verbs.iter().position(|known| *known == verb).unwrap();
    assert!(at("hold-rebalance") < at("migrate") && at("reboot") < at("restore-rebalance"), "{verbs:?}");
    assert!(matches!(ended, Ended::Over(RunOutcome::Completed)), "{ended:?}");
    assert_eq!((plans, moved_by_ha), (1, 0), "HA moved nothing, and the plan held");
    let world = sim.world();
    let text = world.files["/etc/pve/datacenter.cfg"].text.clone().unwrap();
    assert_eq!(text, CRS, "every setting of the scheduler is what it was");
    let impact = Impact::report(&world, plan.bound.moves, 0.0);
    assert!(impact.clean, "{:#?}", impact.events);
    assert_eq!(impact.moves, plan.costs.moves);
}

#[test]
fn without_the_step_ha_moves_guests_back_onto_the_node_that_is_being_emptied() {
    let Story { plan, ended, plans, moved_by_ha, sim } = run(|plan| {
        for node_step in &mut plan.node_steps {
            node_step.steps.retain(|planned| planned.step != set(Rebalance {}) && planned.step != undo(Rebalance {}));
        }
    });
    assert!(moved_by_ha > 0, "HA balances what the run unbalances");
    let moves = Impact::report(&sim.world(), plan.bound.moves, 0.0).moves;
    let as_planned = ended == Ended::Over(RunOutcome::Completed) && plans == 1 && moves == plan.costs.moves;
    assert!(!as_planned, "{plans} plans, {moves} moves of {}, {ended:?}", plan.costs.moves);
}
