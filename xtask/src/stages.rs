//! The stages of `cargo xtask test`, each with its time, the quick ones first. It stops at the first that fails.
//!
//! Everything is compiled once: clippy checks, the tests build, and what comes after uses what they have built. Nothing
//! here is random: whatever turns a stage red is in the change. Fresh seeds are
//! `cargo xtask fuzz`.

use std::path::Path;
use std::time::Instant;

use crate::run::{Count, Outcome, cargo, cargo_counted, has_tool};
use crate::{clients, pages, tidy};

type Stage = fn(&Path, &mut Count) -> Outcome;

const STAGES: &[(&str, Stage)] = &[
    ("format", |root, _| format(root)),
    ("house rules", |root, _| house_rules(root)),
    ("clippy", |root, _| clippy(root, &["--workspace"])),
    ("licences and sources", |root, _| {
        if !has_tool("deny") {
            return Outcome::Skipped("cargo-deny is not installed (cargo install cargo-deny)");
        }
        cargo(root, &["deny", "--offline", "check", "licenses", "bans", "sources"], &[])
    }),
    ("links in the documentation", |root, _| {
        cargo(root, &["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])
    }),
    ("tests", |root, count| tests(root, &["--workspace"], count)),
    ("third-party clients", clients::stage),
];

/// `cargo xtask test`: all stages; true if none failed. The last line has the number of tests as cargo prints it.
pub(crate) fn run_all(root: &Path) -> bool {
    run(root, STAGES)
}

pub(crate) fn format(root: &Path) -> Outcome {
    cargo(root, &["fmt", "--all", "--check"], &[])
}

pub(crate) fn house_rules(root: &Path) -> Outcome {
    if is_tidy(root) { Outcome::Passed } else { Outcome::Failed("see above".to_owned()) }
}

/// `cargo xtask tidy`: are all house rules kept, and no page stale? Prints what is not as it should be.
pub(crate) fn is_tidy(root: &Path) -> bool {
    let stale = pages::stale(root);
    for page in &stale {
        println!("{page}");
    }
    tidy::run(root) && stale.is_empty()
}

/// Lints of these packages, of all their targets.
pub(crate) fn clippy(root: &Path, packages: &[&str]) -> Outcome {
    let line = [&["clippy", "--all-targets", "--locked"], packages, &["--", "-D", "warnings"]].concat();
    cargo(root, &line, &[])
}

/// Tests of these packages. Examples are programs for a developer: clippy has checked them, and nothing runs them here.
pub(crate) fn tests(root: &Path, packages: &[&str], count: &mut Count) -> Outcome {
    let targets = ["--lib", "--bins", "--tests", "--locked", "--no-fail-fast"];
    if has_tool("nextest") {
        return cargo_counted(root, &[&["nextest", "run"], packages, &targets].concat(), count);
    }
    println!("cargo-nextest is not installed; cargo test does the same, one program after the other");
    cargo_counted(root, &[&["test"], packages, &targets].concat(), count)
}

/// Runs stages up to the first that fails, and prints the result of each and how long it took.
pub(crate) fn run(root: &Path, stages: &[(&str, impl Fn(&Path, &mut Count) -> Outcome)]) -> bool {
    let begun = now();
    let mut count = Count::default();
    let mut lines = Vec::new();
    let mut failed = None;
    for (name, stage) in stages {
        println!("== {name}");
        let stage_begun = now();
        let outcome = stage(root, &mut count);
        let seconds = stage_begun.elapsed().as_secs_f64();
        lines.push(match &outcome {
            Outcome::Passed => format!("ok       {seconds:7.1} s  {name}"),
            Outcome::Skipped(why) => format!("skipped  {seconds:7.1} s  {name}: {why}"),
            Outcome::Failed(why) => format!("FAILED   {seconds:7.1} s  {name}: {why}"),
        });
        if matches!(outcome, Outcome::Failed(_)) {
            failed = Some(*name);
            break;
        }
    }
    println!("\n{}", lines.join("\n"));
    if let Some(name) = failed {
        let rest: Vec<&str> = stages.iter().map(|(name, _)| *name).skip(lines.len()).collect();
        println!("not run, because {name} failed: {}", if rest.is_empty() { "-".to_owned() } else { rest.join(", ") });
    }
    let word = if failed.is_none() { "ok" } else { "FAILED" };
    let Count { passed, failed: red, ignored } = count;
    println!(
        "\ntest result: {word}. {passed} passed; {red} failed; {ignored} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        begun.elapsed().as_secs_f64()
    );
    failed.is_none()
}

#[allow(clippy::disallowed_methods, reason = "how long a stage took is for the developer")]
fn now() -> Instant {
    Instant::now()
}
