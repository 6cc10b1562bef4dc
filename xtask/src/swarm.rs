//! `cargo xtask swarm`, `cargo xtask crash-matrix` and `cargo xtask bench observe`: what needs speed, built for release.
//!
//! What they do is in `crates/sim` (`swarm`, `crash_matrix`, `examples/observe.rs`); here they are only built, run and
//! passed on. Every point of the crash matrix is a stage of `cargo xtask test`; the swarm is none yet: docs/safety says
//! what it still finds.

use std::path::Path;

use crate::stages::{Outcome, cargo};

/// `cargo xtask swarm …`
pub(crate) fn run(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "swarm", arguments), Outcome::Passed)
}

/// A stage of `cargo xtask test`: killed at every point.
pub(crate) fn every_point(root: &Path) -> Outcome {
    example(root, "crash_matrix", &[])
}

/// `cargo xtask crash-matrix …`
pub(crate) fn crash_matrix(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "crash_matrix", arguments), Outcome::Passed)
}

/// `cargo xtask bench observe …`
pub(crate) fn observe(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "observe", arguments), Outcome::Passed)
}

fn example(root: &Path, name: &str, arguments: &[&str]) -> Outcome {
    let mut line = vec!["run", "--quiet", "--release", "--locked", "--package", "quorate-sim", "--example", name, "--"];
    line.extend(arguments);
    cargo(root, &line, &[])
}
