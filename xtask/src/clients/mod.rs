//! Third-party clients, run against the lab: the stage `third-party clients`, and `cargo xtask clients`.
//!
//! The folder `clients/` has a script for each. They get a Python environment with the pinned packages and the
//! programs of this tree; what they check counts as tests. It promises that a stage ends within a bounded time, that
//! no lab outlives it, and that it fails with a reason where packages cannot be had: it is skipped only on request.

mod environment;
mod process;

use std::path::Path;
use std::time::Duration;

use crate::run::{Count, Outcome};
use environment::Environment;

/// Set by a developer without a network: the stage is skipped, and says so.
const OPT_OUT: &str = "QUORATE_SKIP_CLIENTS";

/// A client and the script that drives it. The deadline is ten times what it takes on a quiet machine, or more.
struct Client {
    name: &'static str,
    script: &'static str,
    deadline: Duration,
}

const CLIENTS: &[Client] = &[
    Client { name: "proxmoxer", script: "proxmoxer_check.py", deadline: Duration::from_secs(120) },
    Client { name: "pvecontrol", script: "pvecontrol_check.py", deadline: Duration::from_secs(240) },
    Client { name: "proxlb", script: "proxlb_check.py", deadline: Duration::from_secs(240) },
    Client { name: "exporter", script: "exporter_check.py", deadline: Duration::from_secs(240) },
    Client { name: "ansible", script: "ansible_check.py", deadline: Duration::from_secs(900) },
    Client { name: "fakepve", script: "fakepve_check.py", deadline: Duration::from_secs(240) },
];

/// Not a check: prints the table of what peers that drain a node did, in real time.
const DRAINS: Client = Client { name: "drains", script: "drains.py", deadline: Duration::from_secs(1200) };

/// What cargo builds for a developer who asks for clients alone.
const BUILD: &[&str] = &["build", "--package", "quorate", "--package", "quorate-lab", "--locked"];

/// What the stage of the tests has built already, asked for with the same targets: with others, cargo would choose
/// other features for the crates below, and build them all once more. `cargo test` leaves out a program that no test of
/// its own package runs, and both programs are tested from another one.
const AS_TESTED: &[&str] = &["build", "--workspace", "--lib", "--bins", "--tests", "--locked"];

/// The stage of `cargo xtask test`.
pub(crate) fn stage(root: &Path, count: &mut Count) -> Outcome {
    if opted_out(std::env::var_os(OPT_OUT).as_deref()) {
        return Outcome::Skipped("QUORATE_SKIP_CLIENTS is set");
    }
    perform(root, AS_TESTED, &CLIENTS.iter().collect::<Vec<_>>(), count)
}

fn opted_out(value: Option<&std::ffi::OsStr>) -> bool {
    value.is_some_and(|value| !value.is_empty() && value != "0")
}

/// `cargo xtask clients [name…]`: all, or those; `drains` makes the table of the docs.
pub(crate) fn run(root: &Path, names: &[String]) -> bool {
    let known = || CLIENTS.iter().chain([&DRAINS]);
    let chosen: Vec<&Client> = if names.is_empty() {
        CLIENTS.iter().collect()
    } else {
        known().filter(|client| names.iter().any(|name| name == client.name)).collect()
    };
    if let Some(unknown) = names.iter().find(|name| known().all(|client| client.name != **name)) {
        let all: Vec<_> = known().map(|client| client.name).collect();
        eprintln!("no client is called {unknown}; there are {}", all.join(", "));
        return false;
    }
    match perform(root, BUILD, &chosen, &mut Count::default()) {
        Outcome::Failed(why) => {
            eprintln!("{why}");
            false
        }
        Outcome::Passed | Outcome::Skipped(_) => true,
    }
}

fn perform(root: &Path, build: &[&str], clients: &[&Client], count: &mut Count) -> Outcome {
    let environment = match Environment::ready(root, build) {
        Ok(environment) => environment,
        Err(why) => return Outcome::Failed(format!("{why} ({OPT_OUT}=1 leaves these clients out)")),
    };
    let mut failed = Vec::new();
    for client in clients {
        println!("-- {}", client.name);
        let mut own = Count::default();
        let outcome = process::run(environment.script(client.script), client.deadline, &mut own);
        count.add(own);
        if let Err(why) = outcome {
            failed.push(format!("{}: {why}", client.name));
        } else if own.passed == 0 && client.name != DRAINS.name {
            failed.push(format!("{}: it checked nothing", client.name));
        }
    }
    if failed.is_empty() { Outcome::Passed } else { Outcome::Failed(failed.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_folder_is_run_and_every_one_that_is_run_is_there() {
        let folder = crate::root().join("clients");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with("_check.py"))
            .collect();
        there.sort();
        let mut run: Vec<&str> = CLIENTS.iter().map(|client| client.script).collect();
        run.sort_unstable();
        assert_eq!(there, run);
    }

    #[test]
    fn only_a_clear_word_skips_the_stage() {
        assert!(!opted_out(None) && !opted_out(Some("".as_ref())) && !opted_out(Some("0".as_ref())));
        assert!(opted_out(Some("1".as_ref())));
    }

    #[test]
    fn an_unknown_client_is_refused() {
        assert!(!run(&crate::root(), &["nobody".to_owned()]));
    }
}
