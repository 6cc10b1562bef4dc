//! What the project checks itself with: `cargo xtask test` is everything, `cargo xtask tidy` only the house rules.
//!
//! It promises that a clone which passes `cargo xtask test` here passes the same checks anywhere: no stage depends on
//! a service or on the order of other work, and only the last, the clients that others wrote, needs a package index
//! for Python. It needs cargo, rustfmt, clippy and python3, and says so if one is missing; cargo-nextest and cargo-deny
//! are used where they are installed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]

mod bench;
mod clients;
mod docs;
mod mutate;
mod stages;
mod swarm;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <verb>
  test   everything the project checks itself with: format, house rules, clippy, documentation, all tests, clients
  clients [name…]  clients that others wrote, against the lab; `clients drains` prints the table of the docs
  swarm  runs over made-up clusters with faults, seed after seed: swarm --from SEED --seconds N [--json], swarm --seed N
  crash-matrix  the engine is killed at every point of a run, and the run is taken up
  docs   writes the pages that are made from the code: docs/checks.md, docs/invariants.md
  bench  how near the planner comes to its bound, and how others do: bench plan --help; and how long a look at a large
         cluster takes: bench observe [--nodes N] [--guests N] [--latency-ms N]
  mutate [name…]  each rule of the planner taken out by itself, and the test that goes red: no stage, it takes an hour
  tidy   only the house rules (xtask/src/tidy)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments.as_slice() {
        ["bench", "observe", rest @ ..] => swarm::observe(&root(), rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["clients", names @ ..] => clients::run(&root(), names),
        ["crash-matrix", rest @ ..] => swarm::crash_matrix(&root(), rest),
        ["docs"] => docs::write(&root()).map_err(|error| eprintln!("the pages cannot be written: {error}")).is_ok(),
        ["mutate", only @ ..] => mutate::run(&root(), only),
        ["swarm", rest @ ..] => swarm::run(&root(), rest),
        ["test"] => stages::run_all(&root()),
        ["tidy"] => tidy::run(&root()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The project's top directory.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the project's top directory").to_owned()
}
