//! The crash matrix in small: one point, and what the reference runs are made of. All points are a stage of
//! `cargo xtask test`, built for release.

use quorate_core::steps::verbs;
use quorate_trials::crash::{Points, matrix, votes_matrix};

#[test]
fn the_reference_runs_take_every_kind_of_step_and_a_run_killed_in_its_middle_ends_as_it_does() {
    let upgrade = matrix(Points::Only(4_000), 1).unwrap();
    assert!(upgrade.points > 4_000, "{} points", upgrade.points);
    assert!(upgrade.failures.is_empty(), "{:#?}", upgrade.failures);

    let votes = votes_matrix(Points::Events, 1).unwrap();
    assert!(votes.resumed >= 10, "{votes:?}");
    assert!(votes.failures.is_empty(), "{:#?}", votes.failures);

    let mut taken: Vec<String> = upgrade.verbs.into_iter().chain(votes.verbs).collect();
    let mut all: Vec<String> = verbs().collect();
    taken.sort();
    all.sort();
    assert_eq!(taken, all, "every kind of step there is, once in one of the two");
}
