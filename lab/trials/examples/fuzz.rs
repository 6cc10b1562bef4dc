//! Runs many seeds and reports which did harm or never ended: what `cargo xtask fuzz` builds and runs.
//!
//! `fuzz --from SEED --seconds N [--count N] [--json]` runs seed after seed on all processors; `fuzz --seed SEED`
//! runs one and prints its story. The last line of `--json` has the figures. The exit code is 1 if a seed failed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_trials::fuzz::{Ending, SeedOutcome, hold};
use serde_json::json;

/// A third of a run is spent allocating and freeing memory.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: cargo xtask fuzz --from SEED (--seconds N | --count N) [--json]
       cargo xtask fuzz --seed SEED";

#[derive(Default)]
struct Request {
    seed: Option<u64>,
    from: u64,
    seconds: Option<u64>,
    count: Option<u64>,
    json: bool,
}

#[derive(Default)]
struct Totals {
    runs: u64,
    refused: u64,
    completed: u64,
    aborted: u64,
    pauses: u64,
    steps: u64,
    virtual_s: u64,
    failed: Vec<u64>,
}

fn main() -> ExitCode {
    let request = match parse() {
        Ok(request) => request,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = request.seed {
        let seed_outcome = one(seed);
        println!("{}", seed_outcome.story());
        return if seed_outcome.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    many(&request)
}

fn parse() -> Result<Request, String> {
    let mut request = Request::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--json" {
            request.json = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let value = value.parse::<u64>().map_err(|_| format!("{name} {value}: not a number"))?;
        match name.as_str() {
            "--seed" => request.seed = Some(value),
            "--from" => request.from = value,
            "--seconds" => request.seconds = Some(value),
            "--count" => request.count = Some(value),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    match (request.seed, request.seconds, request.count) {
        (None, None, None) => Err("how long?".to_owned()),
        _ => Ok(request),
    }
}

fn one(seed: u64) -> SeedOutcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O always starts");
    match runtime.block_on(hold(seed)) {
        Ok(seed_outcome) => seed_outcome,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

#[allow(clippy::disallowed_methods, reason = "how long to fuzz is a matter of the real clock")]
fn many(request: &Request) -> ExitCode {
    let begun = Instant::now();
    let until = request.seconds.map(|seconds| begun + Duration::from_secs(seconds));
    let last = request.count.map_or(u64::MAX, |count| request.from.saturating_add(count));
    let next = AtomicU64::new(request.from);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last || until.is_some_and(|until| Instant::now() >= until) {
                        break;
                    }
                    let seed_outcome = std::panic::catch_unwind(|| one(seed));
                    let mut totals = totals.lock().expect("no thread panics while it counts");
                    count(&mut totals, seed, seed_outcome.as_ref().ok(), request.json);
                }
            });
        }
    });
    let totals = totals.into_inner().expect("no thread panics while it counts");
    let seconds = begun.elapsed().as_secs_f64();
    let hours = totals.virtual_s / 3600;
    let per_minute = (totals.runs as f64 / seconds * 60.0).round();
    if request.json {
        let line = json!({
            "runs": totals.runs, "failures": totals.failed.len(), "steps": totals.steps, "virtual_hours": hours,
            "refused": totals.refused, "completed": totals.completed, "aborted": totals.aborted,
            "pauses": totals.pauses, "runs_per_minute": per_minute,
        });
        println!("{line}");
    } else {
        println!(
            "{} runs in {seconds:.0} s ({per_minute} a minute), {} steps, {hours} virtual hours: {} completed, {} aborted, {} refused, {} failed",
            totals.runs,
            totals.steps,
            totals.completed,
            totals.aborted,
            totals.refused,
            totals.failed.len()
        );
    }
    if totals.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn count(totals: &mut Totals, seed: u64, seed_outcome: Option<&SeedOutcome>, json: bool) {
    totals.runs += 1;
    let failures = match seed_outcome {
        None => vec!["the run panicked".to_owned()],
        Some(seed_outcome) => {
            totals.steps += seed_outcome.steps;
            totals.pauses += u64::from(seed_outcome.pauses);
            totals.virtual_s += seed_outcome.impact.virtual_s;
            match &seed_outcome.ending {
                Ending::Refused(_) => totals.refused += 1,
                Ending::Completed => totals.completed += 1,
                Ending::Aborted => totals.aborted += 1,
                Ending::Stuck(_) | Ending::Overtime => {}
            }
            seed_outcome.failures.clone()
        }
    };
    if failures.is_empty() {
        return;
    }
    totals.failed.push(seed);
    let replay = format!("cargo xtask fuzz --seed {seed}");
    if json {
        println!("{}", json!({ "seed": seed, "failures": failures, "replay": replay }));
    } else {
        println!("seed {seed} failed: {}\n  {replay}", failures.join("; "));
    }
}
