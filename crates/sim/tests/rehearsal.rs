//! Whole runs of the real engine over the demo cluster, in virtual time, judged by the ledger.

use std::sync::atomic::{AtomicU32, Ordering};

use quorate_core::policy::{ConsentKind, GuestPolicy, Policy};
use quorate_core::run::RunOutcome;
use quorate_engine::Ended;
use quorate_sim::cluster_file::{DEMO, world_from_toml};
use quorate_sim::rehearsal::{Outcome, Rehearsal};

fn policy() -> Policy {
    Policy {
        guests: [("vm:116", GuestPolicy::Shutdown), ("vm:114", GuestPolicy::Eject)]
            .map(|(id, policy)| (quorate_core::ids::GuestId::parse(id).unwrap(), policy))
            .into(),
        consents: [ConsentKind::RestartContainers, ConsentKind::ShutdownGuests, ConsentKind::EjectMedia].into(),
        ..Policy::default()
    }
}

fn journal_path() -> std::path::PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("quorate-rehearsal-{}-{number}.db", std::process::id()))
}

fn hold(rehearsal: &Rehearsal) -> Outcome {
    let world = world_from_toml(DEMO, 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(rehearsal.hold(world, &journal_path())).unwrap()
}

#[test]
fn the_demo_cluster_is_upgraded_and_the_ledger_is_clean() {
    let outcome = hold(&Rehearsal { policy: policy(), ..Rehearsal::default() });
    assert!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
    for (at, event) in &outcome.events {
        eprintln!("{} {}", at.0, serde_json::to_string(event).unwrap().chars().take(260).collect::<String>());
    }
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)));
    assert!(outcome.ledger.clean, "{:#?}", outcome.ledger);
    assert_eq!(outcome.ledger.nodes_upgraded, 3);
}
