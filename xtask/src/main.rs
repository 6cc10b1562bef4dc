//! The checks of the project: `cargo xtask test` is everything, `cargo xtask check` the quick part of it.
//!
//! It promises that a clone which passes `cargo xtask test` here passes the same checks anywhere: no stage depends on
//! a service or on the order of other work, and only the last, the third-party clients, needs a package index
//! for Python. It needs cargo, rustfmt, clippy and python3, and says so if one is missing; cargo-nextest and cargo-deny
//! are used where they are installed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]

mod bench;
mod check;
mod clients;
mod docs;
mod fuzz;
mod lab_differences;
mod mutate;
mod pages;
mod run;
mod stages;
mod tidy;
mod view_picture;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The checks of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything: format, house rules, lints, links of the documentation, all tests, third-party clients
    Test,
    /// The quick part, while you work: format, house rules; of the crates that changed, lints and the tests beside the
    /// code
    Check,
    /// Only the house rules (xtask/src/tidy), and whether pages that are made from the code are stale
    Tidy,
    /// Writes the pages of the documentation that are made from the code
    Docs,
    /// Runs over random clusters with faults, seed after seed; two minutes of fresh seeds by default
    Fuzz(fuzz::Fuzz),
    /// Kills the engine at every point of a run, and resumes the run
    CrashMatrix(fuzz::CrashMatrix),
    /// How close the planner comes to its bound (plan, optima), and how long a look at a large cluster takes (observe)
    Bench {
        /// plan, optima or observe, and what each takes; `plan --help` has a list
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
    /// Third-party clients, against the lab: all of them, or those that are named; `drains` makes the table of the docs
    Clients {
        /// proxmoxer, pvecontrol, proxlb, exporter, ansible, fakepve, drains
        names: Vec<String>,
    },
    /// Takes each rule, guard and constraint out by itself, and names the test that goes red; it takes an hour
    Mutate {
        /// Only mutations whose name contains one of these words
        words: Vec<String>,
    },
}

fn main() -> ExitCode {
    let root = root();
    let passed = match Cli::parse().verb {
        Verb::Test => stages::run_all(&root),
        Verb::Check => check::run(&root),
        Verb::Tidy => stages::is_tidy(&root),
        Verb::Docs => pages::write(&root),
        Verb::Fuzz(fuzz) => fuzz.run(&root),
        Verb::CrashMatrix(matrix) => matrix.run(&root),
        Verb::Bench { arguments } => match arguments.split_first() {
            Some((first, rest)) if first == "observe" => fuzz::observe(&root, rest),
            _ => bench::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()),
        },
        Verb::Clients { names } => clients::run(&root, &names),
        Verb::Mutate { words } => mutate::run(&root, &words),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The project's top directory.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the project's top directory").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
