//! Kills the engine at every point of both reference runs and resumes the run each time.
//!
//! What `cargo xtask crash-matrix` builds and runs. `--point N` tests one point only,
//! `--votes` only the run that lowers votes; `--freezes` freezes the driver at each order instead, and lets the order
//! take effect at each event of its successor's run (`--freezes 20`: the first of each kind, at every twentieth). The exit code is 1 if a point failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]

use std::process::ExitCode;

use quorate_trials::crash::{CrashMatrixError, Freezes, Matrix, Points, Wakes, freezes, matrix, votes_matrix};

/// A third of a run is spent allocating and freeing memory.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let held = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => vec![matrix(Points::All, threads), votes_matrix(Points::All, threads)],
        ["--events"] => vec![matrix(Points::Events, threads)],
        ["--point", number] => vec![matrix(Points::Only(number.parse().unwrap_or(1)), threads)],
        ["--votes"] => vec![votes_matrix(Points::All, threads)],
        ["--votes", "--point", number] => vec![votes_matrix(Points::Only(number.parse().unwrap_or(1)), threads)],
        ["--freezes"] => return frozen(Wakes::All, threads),
        ["--freezes", every] => return frozen(Wakes::Every(every.parse().unwrap_or(20)), threads),
        _ => {
            eprintln!("usage: cargo xtask crash-matrix [--events | --votes] [--point N] | --freezes [EVERY]");
            return ExitCode::from(2);
        }
    };
    // Both are reported, whatever the outcome of the first.
    let clean: Vec<bool> = held.into_iter().map(tell).collect();
    if clean.iter().all(|clean| *clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Freezes a driver at each order and wakes it at each later event, or at some of both.
fn frozen(wakes: Wakes, threads: usize) -> ExitCode {
    let walked = match freezes(wakes, threads) {
        Ok(walked) => walked,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    for failure in &walked.failures {
        println!("{failure}");
    }
    let Freezes { orders, wakes, expired, without_effect, continued, failures } = walked;
    let failed = failures.len();
    println!(
        "{orders} orders, {expired} times expired, {wakes} times taking effect late: {without_effect} without any effect, \
         {continued} continued to the end, {failed} failed"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the result of a matrix; true if nothing failed.
fn tell(held: Result<Matrix, CrashMatrixError>) -> bool {
    let Matrix { points, resumed, aborts, failures, verbs } = match held {
        Ok(matrix) => matrix,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    for failure in &failures {
        println!("{failure}");
    }
    println!("steps: {}", verbs.join(", "));
    let failed = failures.len();
    println!("{points} points, {resumed} of them distinct and resumed, {aborts} aborted, {failed} failed");
    failures.is_empty()
}
