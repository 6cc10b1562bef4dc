//! The crash matrix: the engine is killed at every point of both reference runs, and each run is resumed.

use quorate_core::steps::verbs;
use quorate_trials::crash::{Points, Wakes, freezes, matrix, votes_matrix};

/// Only a drain hands a node over. `drain.rs` kills its driver at four of its steps.
const OF_A_DRAIN: &str = "hand-over";

#[test]
fn a_run_killed_at_any_point_ends_as_the_reference_does_and_both_runs_have_every_kind_of_step() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let upgrade = matrix(Points::All, threads).unwrap();
    assert!(upgrade.points > 10_000 && upgrade.resumed >= 300 && upgrade.aborts >= 100, "{upgrade:?}");
    assert!(upgrade.failures.is_empty(), "{:#?}", upgrade.failures);

    let votes = votes_matrix(Points::All, threads).unwrap();
    assert!(votes.points > 200 && votes.resumed >= 10, "{votes:?}");
    assert!(votes.failures.is_empty(), "{:#?}", votes.failures);

    let mut taken: Vec<String> = upgrade.verbs.into_iter().chain(votes.verbs).collect();
    let mut all: Vec<String> = verbs().filter(|verb| *verb != OF_A_DRAIN).collect();
    taken.sort();
    all.sort();
    assert_eq!(taken, all, "every kind of step there is, once in one of the two");
}

/// A sample of the walk that `cargo xtask crash-matrix --freezes` makes as a whole.
#[test]
fn an_order_of_a_driver_that_was_frozen_does_no_harm_whenever_it_takes_effect() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let walked = freezes(Wakes::Every(20), threads).unwrap();
    assert!(walked.orders >= 15 && walked.wakes > 60, "{walked:?}");
    assert!(walked.failures.is_empty(), "{walked:#?}");
}
