//! `cargo xtask swarm`, `cargo xtask crash-matrix` and `cargo xtask bench observe`: what needs speed, built for release.
//!
//! What they do is in `lab/trials` (`fuzz`, `crash`, `examples/observe.rs`); here they are only built, run and
//! passed on. Two of them are stages of `cargo xtask test`: every point of the crash matrix, and two minutes of seeds
//! that nobody has held before.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::stages::{Outcome, cargo};

/// `cargo xtask swarm …`
pub(crate) fn run(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "fuzz", arguments), Outcome::Passed)
}

/// A stage of `cargo xtask test`: fresh seeds, so that each run of it looks where nobody has looked.
pub(crate) fn fresh_seeds(root: &Path) -> Outcome {
    // A thousand seeds a second are never held.
    let from = (unix_now_s() * 1000).to_string();
    example(root, "fuzz", &["--from", &from, "--seconds", "120", "--json"])
}

#[allow(clippy::disallowed_methods, reason = "the clock is where seeds are taken from that were never held")]
fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A stage of `cargo xtask test`: killed at every point.
pub(crate) fn every_point(root: &Path) -> Outcome {
    example(root, "crash", &[])
}

/// `cargo xtask crash-matrix …`
pub(crate) fn crash_matrix(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "crash", arguments), Outcome::Passed)
}

/// `cargo xtask bench observe …`
pub(crate) fn observe(root: &Path, arguments: &[&str]) -> bool {
    matches!(example(root, "observe", arguments), Outcome::Passed)
}

fn example(root: &Path, name: &str, arguments: &[&str]) -> Outcome {
    let mut line =
        vec!["run", "--quiet", "--release", "--locked", "--package", "quorate-trials", "--example", name, "--"];
    line.extend(arguments);
    cargo(root, &line, &[])
}
