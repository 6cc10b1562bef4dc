//! What the tests of whole runs share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use quorate_core::ids::GuestId;
use quorate_core::policy::{ConsentKind, GuestPolicy, Policy};
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

/// Prints what happened, for a test that fails.
pub(crate) fn tell(outcome: &Outcome) -> String {
    let line = |(at, event): &(quorate_core::ids::UnixMs, quorate_core::run::Event)| {
        let json = serde_json::to_string(event).unwrap();
        format!("{} {}", at.seconds(), json.chars().take(300).collect::<String>())
    };
    outcome.events.iter().map(line).collect::<Vec<_>>().join("\n")
}
