//! `cargo xtask swarm`, `cargo xtask crash-matrix` and `cargo xtask bench observe`: what needs speed, built for release.
//!
//! What they do is in `crates/sim` (`swarm`, `crash_matrix`, `examples/observe.rs`); here they are only built, run and
//! passed on. They are no stages of `cargo xtask test` yet: docs/safety says what each of them still finds.

use std::path::Path;

use crate::stages::{Outcome, cargo};

/// `cargo xtask swarm …`
pub(crate) fn run(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "swarm", arguments), Outcome::Passed)
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
