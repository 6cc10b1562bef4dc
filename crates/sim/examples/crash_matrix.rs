//! Kills the engine at every point of the reference run and takes the run up each time: what `cargo xtask crash-matrix`
//! builds and runs. `--point N` takes one point only. The exit code is 1 if a point failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]

use std::process::ExitCode;

use quorate_sim::crash_matrix::{Matrix, Points, matrix};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let points = match arguments.as_slice() {
        [] => Points::All,
        [events] if events == "--events" => Points::Events,
        [point, number] if point == "--point" => Points::Only(number.parse().unwrap_or(1)),
        _ => {
            eprintln!("usage: cargo xtask crash-matrix [--events | --point N]");
            return ExitCode::from(2);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    match matrix(points, threads) {
        Ok(matrix) => {
            for failure in &matrix.failures {
                println!("{failure}");
            }
            println!("steps: {}", matrix.verbs.join(", "));
            let Matrix { points, resumed, aborts, failures, .. } = &matrix;
            let failed = failures.len();
            println!("{points} points, {resumed} of them unlike and taken up, {aborts} aborted, {failed} failed");
            if matrix.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
