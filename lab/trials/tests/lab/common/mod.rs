//! What the tests of whole runs share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use quorate_core::ids::{DriverId, GuestId, NodeName};
use quorate_core::policy::{ConsentKind, GuestPolicy, Policy};
use quorate_core::run::RunOutcome;
use quorate_engine::{Beginning, Driver, Ended, Lists, Silent, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal, Mode};
use quorate_pve::ports::Ports;
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{Outcome, SimulatedRun};
use quorate_world::World;
use quorate_world::cluster_file::{DEMO, world_from_toml};

/// What the administrator of the demo cluster agrees to.
pub(crate) fn policy() -> Policy {
    let guest = |id: &str| GuestId::parse(id).unwrap();
    Policy {
        guests: [(guest("vm:116"), GuestPolicy::Shutdown), (guest("vm:114"), GuestPolicy::Eject)].into(),
        consents: [ConsentKind::RestartContainers, ConsentKind::ShutdownGuests, ConsentKind::EjectMedia].into(),
        ..Policy::default()
    }
}

/// The demo cluster.
pub(crate) fn demo() -> World {
    world_from_toml(DEMO, 1).unwrap()
}

/// A separate journal for each simulated run; removed when dropped.
pub(crate) struct JournalFile(pub(crate) PathBuf);

impl JournalFile {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("quorate-simulated-run-{}-{number}.db", std::process::id())))
    }
}

impl Drop for JournalFile {
    #[allow(clippy::disallowed_methods, reason = "a test removes its own files")]
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(suffix);
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes a simulated run over a world.
pub(crate) fn hold(simulated_run: &SimulatedRun, world: World) -> Outcome {
    let journal = JournalFile::new();
    block_on(simulated_run.hold(world, &journal.0)).unwrap()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A whole run over the world of the demo, through ports that a test listens at, to its end.
pub(crate) async fn complete_the_demo(sim: &SimPorts, ports: Ports, driver: DriverId) {
    let (policy, run) = (policy(), new_run_id(ports.clock.now(), "demo"));
    let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
    let prepared = prepare(&ports, nodes.clone(), &policy, &run, Lists::Refresh).await;
    let (plan, _) = prepared.plan.expect("the demo has a plan");
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let holder = Holder::this_process("the test", driver);
    let beginning = Beginning { run, cluster: "demo".to_owned(), policy, plan };
    let mut watcher = Silent;
    let driver = Driver::begin(ports, &journal, &holder, beginning, &mut watcher).unwrap();
    let mut driver = driver.known_nodes(nodes).when_paused(WhenPaused::Leave);
    assert!(matches!(driver.drive().await.unwrap(), Ended::Over(RunOutcome::Completed)));
}

/// Prints what happened, for a test that fails.
pub(crate) fn tell(outcome: &Outcome) -> String {
    let line = |(at, event): &(quorate_core::ids::UnixMs, quorate_core::run::Event)| {
        let json = serde_json::to_string(event).unwrap();
        format!("{} {}", at.seconds(), json.chars().take(300).collect::<String>())
    };
    outcome.events.iter().map(line).collect::<Vec<_>>().join("\n")
}
