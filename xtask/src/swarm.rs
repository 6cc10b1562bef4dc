//! `cargo xtask swarm`, `cargo xtask crash-matrix` and `cargo xtask bench observe`: what needs speed, built for release.
//!
//! What they do is in `crates/sim` (`swarm`, `crash_matrix`); here they are only built, run and passed on. As stages of
//! `cargo xtask test` the crash matrix takes all points, and the swarm two minutes of seeds that nobody has held before.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::stages::{Count, Outcome, cargo};

/// Minutes are short, and there is one such stage in every run.
const FRESH_SECONDS: &str = "120";

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

/// Fresh seeds: they begin with the moment, in seconds since 1970.
pub(crate) fn stage(root: &Path, _count: &mut Count) -> Outcome {
    example(root, "swarm", &["--from", &now_s().to_string(), "--seconds", FRESH_SECONDS])
}

/// Every point of the reference run.
pub(crate) fn crash_matrix_stage(root: &Path, _count: &mut Count) -> Outcome {
    example(root, "crash_matrix", &[])
}

fn example(root: &Path, name: &str, arguments: &[&str]) -> Outcome {
    let mut line = vec!["run", "--quiet", "--release", "--locked", "--package", "quorate-sim", "--example", name, "--"];
    line.extend(arguments);
    cargo(root, &line, &[])
}

#[allow(clippy::disallowed_methods, reason = "fresh seeds come from the real clock")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
