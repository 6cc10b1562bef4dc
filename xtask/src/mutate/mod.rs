//! `cargo xtask mutate`: takes each rule, guard and constraint out by itself and shows which test goes red.
//!
//! Not a stage of the checks: it runs the tests beside it once for each mutation. It works on a copy of the sources,
//! in which every mutation is behind a switch, so that all of them are compiled once. A mutation that survives is a
//! rule without a test. `mutations.txt` has them: a name, a file, an expression that occurs there once, and what takes
//! its place. That each of them still finds its place is a test. Why not by cargo-mutants:
//! `docs/design/0013-mutations.md`.

#![allow(clippy::disallowed_methods, reason = "it copies the sources, changes the copy and runs cargo on it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MUTATIONS: &str = include_str!("mutations.txt");

/// Which tests are asked about a mutation.
struct Asked {
    /// For mutations of files below here.
    folder: &'static str,
    package: &'static str,
    tests: &'static [&'static str],
}

const CORE: &str = "quorate-core";

/// Whole drivers over the lab.
const TRIALS: &str = "quorate-trials";

/// The first that fits is taken; the last fits all. `decide` has its tests beside the crate's sources.
const ASKED: &[Asked] = &[
    Asked {
        folder: "crates/core/src/run/",
        package: CORE,
        tests: &["--lib", "--tests", "--", "--skip", "planner::", "--skip", "explorer::"],
    },
    Asked { folder: "crates/core/src/steps/", package: CORE, tests: &["--lib", "--", "steps::"] },
    Asked { folder: "crates/core/src/invariants/", package: CORE, tests: &["--lib", "--", "invariants::"] },
    Asked {
        folder: "crates/core/src/recovery/",
        package: CORE,
        tests: &["--lib", "--tests", "--", "recovery::", "decide"],
    },
    Asked { folder: "crates/core/src/checks/", package: CORE, tests: &["--lib", "--", "checks::"] },
    Asked {
        folder: "crates/core/src/snapshot/",
        package: CORE,
        tests: &["--lib", "--", "snapshot::", "checks::", "steps::"],
    },
    Asked {
        folder: "crates/engine/",
        package: TRIALS,
        tests: &["--test", "lab", "--", "fence", "one_driver", "time::"],
    },
    Asked {
        folder: "crates/pve/src/observe/",
        package: TRIALS,
        tests: &["--test", "lab", "--", "moves_that_pve_promises", "before_each_node"],
    },
    Asked { folder: "crates/pve/src/live/", package: TRIALS, tests: &["--test", "lab", "--", "lab_serves"] },
    Asked { folder: "crates/core/src/time_left.rs", package: CORE, tests: &["--lib", "--", "time_left::"] },
    Asked { folder: "crates/core/src/progress.rs", package: CORE, tests: &["--lib", "--", "progress::"] },
    Asked {
        folder: "",
        package: CORE,
        tests: &["--lib", "--", "planner::", "placement::", "invariants::", "forecast::"],
    },
];

/// So many tests are named for each mutation.
const MOST_NAMED: usize = 2;

/// What the copy gets: the number of the mutation that is in force.
const SWITCH: &str = r#"
/// Is this mutation in force?
pub(crate) fn mutant(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("QUORATE_MUTANT").ok()?.parse().ok()) == Some(number)
}
"#;

/// One change of the source.
struct Mutation {
    name: &'static str,
    path: &'static str,
    from: &'static str,
    to: &'static str,
}

fn mutations() -> Vec<Mutation> {
    let read = |block: &'static str| {
        let mut lines = block.lines();
        let (name, path) = (lines.next()?, lines.next()?);
        let (from, to) = (lines.next()?.strip_prefix("- ")?, lines.next()?.strip_prefix("+ ")?);
        Some(Mutation { name, path, from, to })
    };
    MUTATIONS.split("\n== ").map(|block| block.trim_start_matches("== ")).filter_map(read).collect()
}

fn asked(path: &str) -> &'static Asked {
    ASKED.iter().find(|asked| path.starts_with(asked.folder)).expect("the last fits all")
}

/// Runs all of them, or those whose name contains one of `only`; prints a table. False if one survives.
pub(crate) fn run(root: &Path, only: &[String]) -> bool {
    let copy = match copied(root) {
        Ok(copy) => copy,
        Err(why) => {
            eprintln!("no copy with all mutations: {why}");
            return false;
        }
    };
    let chosen = |mutation: &Mutation| only.is_empty() || only.iter().any(|only| mutation.name.contains(only.as_str()));
    let asked_for = |of: &Asked| mutations().iter().any(|one| chosen(one) && asked(one.path).folder == of.folder);
    for asked in ASKED.iter().filter(|asked| asked_for(asked)) {
        let whole = tests(&copy, asked, None);
        if !whole.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("without any mutation: {whole:?}");
            return false;
        }
    }
    println!("| taken out | red |\n|---|---|");
    let mut all_red = true;
    for (number, mutation) in mutations().iter().enumerate() {
        if !chosen(mutation) {
            continue;
        }
        let red = tests(&copy, asked(mutation.path), Some(number)).map(|output| failed(&output)).unwrap_or_default();
        all_red &= !red.is_empty();
        let named: Vec<String> = red.iter().take(MOST_NAMED).map(|test| format!("`{test}`")).collect();
        let answer = match red.len().saturating_sub(MOST_NAMED) {
            _ if red.is_empty() => "NOTHING".to_owned(),
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        };
        println!("| {} | {answer} |", mutation.name);
    }
    all_red
}

/// A copy of the sources with every mutation in it.
fn copied(root: &Path) -> std::io::Result<PathBuf> {
    let copy = std::env::temp_dir().join("quorate-mutate");
    if copy.exists() {
        std::fs::remove_dir_all(&copy)?;
    }
    std::fs::create_dir_all(&copy)?;
    let kept = |name: &std::ffi::OsString| name != "target" && name != ".git";
    let names = std::fs::read_dir(root)?.map(|entry| Ok(entry?.file_name()));
    let parts = names.filter(|name| name.as_ref().map_or(true, kept)).collect::<std::io::Result<Vec<_>>>()?;
    let done = Command::new("cp").arg("-r").args(parts).arg(&copy).current_dir(root).status()?;
    if !done.success() {
        return Err(std::io::Error::other("cp failed"));
    }
    for (number, Mutation { path, from, to, .. }) in mutations().into_iter().enumerate() {
        let file = copy.join(path);
        let (same, from_here) = from.split_at(unchanged(from, to));
        let switched = format!("{same}(if crate::mutant({number}) {{ {} }} else {{ {from_here} }})", &to[same.len()..]);
        std::fs::write(&file, std::fs::read_to_string(&file)?.replacen(from, &switched, 1))?;
    }
    for name in ["core", "engine", "pve"] {
        let lib = copy.join(format!("crates/{name}/src/lib.rs"));
        std::fs::write(&lib, std::fs::read_to_string(&lib)? + SWITCH)?;
    }
    Ok(copy)
}

/// How much of both is the same pattern or the same field: `if` may not stand there.
fn unchanged(from: &str, to: &str) -> usize {
    let ends = ["=> ", ": "].into_iter().filter_map(|mark| Some(from.find(mark)? + mark.len()));
    ends.filter(|end| to.starts_with(&from[..*end])).max().unwrap_or(0)
}

/// Runs the tests that are asked, with one mutation in force or none.
fn tests(copy: &Path, asked: &Asked, number: Option<usize>) -> std::io::Result<Output> {
    let mut command = Command::new("cargo");
    command
        .args(["test", "--quiet", "--locked", "--no-fail-fast", "--package", asked.package])
        .args(asked.tests)
        .current_dir(copy);
    if let Some(number) = number {
        command.env("QUORATE_MUTANT", number.to_string());
    }
    // A seed that one mutation has found is nothing for the next one.
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true").output()
}

/// Names below the last `failures:` of the harness, without their modules.
fn failed(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((_, names)) = text.rsplit_once("failures:\n") else { return Vec::new() };
    let names = names.lines().map(str::trim).take_while(|line| !line.is_empty());
    names.map(|name| name.rsplit("::").next().unwrap_or(name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_still_finds_its_place_in_the_source_exactly_once() {
        let all = mutations();
        let written = MUTATIONS.lines().filter(|line| line.starts_with("== ")).count();
        assert_eq!(all.len(), written, "one of them is not written as it should be");
        for Mutation { name, path, from, to } in all {
            let text = std::fs::read_to_string(crate::root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
            assert_eq!(text.matches(from).count(), 1, "{name}: {from:?} in {path}");
            assert_ne!(from, to, "{name}");
        }
    }

    /// What is written behind a switch has to be an expression: half a block or a whole statement would keep all of them
    /// from being compiled.
    #[test]
    fn every_mutation_is_a_whole_expression_on_both_sides() {
        for Mutation { name, from, to, .. } in mutations() {
            for side in [from, to] {
                let is_even = |open: char, close: char| side.matches(open).count() == side.matches(close).count();
                let is_whole =
                    is_even('(', ')') && is_even('[', ']') && is_even('{', '}') && !side.ends_with([',', ';']);
                let is_a_head = ["for ", "let ", "match ", "while "].iter().any(|word| side.starts_with(word));
                assert!(is_whole && !is_a_head, "{name}: {side:?}");
            }
        }
    }
}
