//! What the project checks itself with: `cargo xtask test` is everything, `cargo xtask tidy` only the house rules.
//!
//! It promises that a clone which passes `cargo xtask test` here passes the same checks anywhere: no stage depends on
//! the network, on a service or on the order of other work. It needs cargo, rustfmt and clippy, and says so if one is
//! missing; cargo-nextest and cargo-deny are used where they are installed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]

mod bench;
mod stages;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <verb>
  test   everything the project checks itself with: format, house rules, clippy, documentation, all tests
  bench  how near the planner comes to its bound, and how others do: bench plan --help
  tidy   only the house rules (xtask/src/tidy)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments.as_slice() {
        ["bench", rest @ ..] => bench::run(rest),
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
