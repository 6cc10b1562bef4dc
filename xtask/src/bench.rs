//! `cargo xtask bench plan …` and `cargo xtask bench optima`: what they measure is in `research/planner`; here it is
//! only built for release, run and passed on.

use crate::run::{Outcome, cargo};

/// False if the arguments make no sense or a plan of ours breaks a rule.
pub(crate) fn run(arguments: &[&str]) -> bool {
    let package = "quorate-planner-research";
    let mut line = vec!["run", "--quiet", "--release", "--locked", "--package", package, "--"];
    line.extend(arguments);
    matches!(cargo(&crate::root(), &line, &[]), Outcome::Passed)
}
