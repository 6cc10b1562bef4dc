//! The crash matrix in small: one point, and what the reference run is made of. All points are a stage of
//! `cargo xtask test`, built for release.

use quorate_sim::crash_matrix::{Points, matrix};

/// Every kind of step, by its verb, but those that lower votes: a run takes them only without quorum.
const VERBS: [&str; 22] = [
    "eject-media",
    "enter-maintenance",
    "final-check",
    "hold-failback",
    "hold-rebalance",
    "insert-media",
    "leave-maintenance",
    "migrate",
    "prove-back",
    "prove-empty",
    "reboot",
    "refresh-packages",
    "restore-failback",
    "restore-rebalance",
    "set-noout",
    "settle-ha",
    "shutdown-guest",
    "start-guest",
    "start-moved",
    "stop-to-move",
    "unset-noout",
    "upgrade-packages",
];

#[test]
fn the_reference_run_takes_every_kind_of_step_and_a_run_killed_in_its_middle_ends_as_it_does() {
    let matrix = matrix(Points::Only(4_000), 1).unwrap();
    assert_eq!(matrix.verbs, VERBS);
    assert!(matrix.points > 4_000, "{} points", matrix.points);
    assert!(matrix.failures.is_empty(), "{:#?}", matrix.failures);
}
