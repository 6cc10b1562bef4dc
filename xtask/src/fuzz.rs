//! `cargo xtask fuzz`, `cargo xtask crash-matrix` and `cargo xtask bench observe`: what needs speed, built for release.
//!
//! What they do is in the package of the lab ([`PACKAGE`]); here they are only built, run and passed on. None is a
//! stage of `cargo xtask test`: there the tests of that package cover every point of the crash matrix and a fixed list
//! of seeds.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::run::{Outcome, cargo};

/// The package that has these examples.
const PACKAGE: &str = "quorate-trials";

/// Two minutes of fresh seeds, if nothing else is asked for.
const SECONDS: u64 = 120;

/// Which seeds to run.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Run this seed only and print its story
    #[arg(long, conflicts_with_all = ["from", "seconds", "count", "json"])]
    seed: Option<u64>,
    /// The first seed; without it, seeds that were never run before
    #[arg(long)]
    from: Option<u64>,
    /// For how long, in seconds of real time [default: 120, unless there is a count]
    #[arg(long)]
    seconds: Option<u64>,
    /// How many seeds
    #[arg(long)]
    count: Option<u64>,
    /// One JSON object for each seed that failed, and one with the sums
    #[arg(long)]
    json: bool,
}

/// Which points to test.
#[derive(Args)]
pub(crate) struct CrashMatrix {
    /// Only the points after an event of the journal
    #[arg(long, conflicts_with = "votes")]
    events: bool,
    /// Only the run that lowers the expected votes
    #[arg(long)]
    votes: bool,
    /// Freeze the driver at each order instead, and let the order take effect at each event of its successor's run
    #[arg(long, conflicts_with_all = ["events", "votes", "point"])]
    freezes: bool,
    /// Only the point with this number
    #[arg(long, conflicts_with = "events")]
    point: Option<u64>,
}

impl Fuzz {
    pub(crate) fn run(&self, root: &Path) -> bool {
        let number = |name: &str, value: Option<u64>| value.map(|value| [format!("--{name}"), value.to_string()]);
        let (from, seconds) = match self.seed {
            Some(_) => (None, None),
            None => (self.from.or_else(|| Some(fresh())), self.seconds.or(self.count.is_none().then_some(SECONDS))),
        };
        let numbers = [("seed", self.seed), ("from", from), ("seconds", seconds), ("count", self.count)];
        let mut arguments: Vec<String> =
            numbers.into_iter().filter_map(|(name, value)| number(name, value)).flatten().collect();
        arguments.extend(self.json.then(|| "--json".to_owned()));
        example(root, "fuzz", &arguments)
    }
}

impl CrashMatrix {
    pub(crate) fn run(&self, root: &Path) -> bool {
        let mut arguments: Vec<String> = Vec::new();
        arguments.extend(self.events.then(|| "--events".to_owned()));
        arguments.extend(self.freezes.then(|| "--freezes".to_owned()));
        arguments.extend(self.votes.then(|| "--votes".to_owned()));
        arguments.extend(self.point.into_iter().flat_map(|point| ["--point".to_owned(), point.to_string()]));
        example(root, "crash", &arguments)
    }
}

/// `cargo xtask bench observe …`
pub(crate) fn observe(root: &Path, arguments: &[String]) -> bool {
    example(root, "observe", arguments)
}

/// A first seed that was never used: no machine runs a thousand seeds in a second.
#[allow(clippy::disallowed_methods, reason = "fresh seeds are taken from the clock")]
fn fresh() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() * 1000)
}

fn example(root: &Path, name: &str, arguments: &[String]) -> bool {
    let mut line = vec!["run", "--quiet", "--release", "--locked", "--package", PACKAGE, "--example", name, "--"];
    line.extend(arguments.iter().map(String::as_str));
    matches!(cargo(root, &line, &[]), Outcome::Passed)
}
