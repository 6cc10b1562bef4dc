//! `cargo xtask check`: the quick answer while one works. Format, house rules, and of the crates that changed clippy
//! and the tests beside the code.
//!
//! What changed is asked of git: against the commit at which this branch left `main`, and what is not committed yet.
//! Crates that only use a changed one are compiled by clippy as well; their tests are for `cargo xtask test`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::{Count, Outcome, cargo_counted, has_tool};
use crate::stages;

/// The branch that a change is meant for.
const TRUNK: &str = "main";

/// Runs the quick stages; true if none failed.
pub(crate) fn run(root: &Path) -> bool {
    let changed = match changed_files(root) {
        Ok(changed) => changed,
        Err(why) => {
            eprintln!("what has changed? {why}");
            return false;
        }
    };
    let packages = packages(root, &changed);
    println!("changed: {} files; crates: {}", changed.len(), packages.iter().cloned().collect::<Vec<_>>().join(", "));
    let chosen: Vec<&str> = packages.iter().flat_map(|package| ["--package", package.as_str()]).collect();
    type Stage<'a> = Box<dyn Fn(&Path, &mut Count) -> Outcome + 'a>;
    let mut stages: Vec<(&str, Stage<'_>)> = vec![
        ("format", Box::new(|root, _| stages::format(root))),
        ("house rules", Box::new(|root, _| stages::house_rules(root))),
    ];
    if !packages.is_empty() {
        stages.push(("clippy", Box::new(|root, _| stages::clippy(root, &chosen))));
        stages.push(("tests beside the code", Box::new(|root, count| unit_tests(root, &chosen, count))));
    }
    stages::run(root, &stages)
}

fn unit_tests(root: &Path, packages: &[&str], count: &mut Count) -> Outcome {
    let runner: &[&str] = if has_tool("nextest") { &["nextest", "run", "--no-tests", "pass"] } else { &["test"] };
    cargo_counted(root, &[runner, packages, &["--lib", "--bins", "--locked"]].concat(), count)
}

/// Files that differ from where this branch left the trunk, and files that git does not know yet.
fn changed_files(root: &Path) -> Result<BTreeSet<String>, String> {
    let base = git(root, &["merge-base", "HEAD", TRUNK]).unwrap_or_else(|_| "HEAD".to_owned());
    let mut changed = git(root, &["diff", "--name-only", "--no-renames", base.trim()])?;
    changed.push_str(&git(root, &["ls-files", "--others", "--exclude-standard"])?);
    Ok(changed.lines().map(ToOwned::to_owned).collect())
}

#[allow(clippy::disallowed_methods, reason = "git says what has changed")]
fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("git").current_dir(root).args(arguments).output().map_err(|error| format!("git: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// The packages whose folders hold these files. What concerns all of them (`Cargo.toml`, `Cargo.lock`) is left to
/// `cargo xtask test`.
fn packages(root: &Path, changed: &BTreeSet<String>) -> BTreeSet<String> {
    changed.iter().filter_map(|file| package(root, file)).collect()
}

/// The name in the nearest `Cargo.toml` above a file, if that is a package's.
fn package(root: &Path, file: &str) -> Option<String> {
    let manifest = Path::new(file).ancestors().skip(1).map(|folder| root.join(folder).join("Cargo.toml"));
    let text = manifest.into_iter().find_map(|path| fs::read_to_string(path).ok())?;
    let (_, package) = text.split_once("[package]")?;
    let name = package.lines().find_map(|line| line.strip_prefix("name = \""))?;
    Some(name.trim_end_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_the_package_above_it_and_a_page_to_none() {
        let changed = ["xtask/src/tidy/mod.rs", "xtask/gone/a.rs", "docs/steps.md", "README.md"].map(str::to_owned);
        assert_eq!(packages(&crate::root(), &changed.into()), BTreeSet::from(["xtask".to_owned()]));
    }
}
