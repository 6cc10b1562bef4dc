//! How close the planner gets to its lower bound, and how others do on the same cluster: `cargo xtask bench plan`.
//!
//! Nothing of this is in the product: random clusters drawn from a seed (`family`), models of other tools
//! (`rivals`), a second implementation of the rules of a move (`walk`), proofs that nothing is cheaper (`exact`,
//! `optima`), an estimate of time (`clock`).
//!
//! One JSON object per strategy. `ratio` is the combined cost of all moves (bytes and a fixed cost per move) over the
//! lower bound; a strategy that leaves work undone or breaks a rule can be below 1 and is not `clean`. Times are
//! processor time, and meaningful only in a release build.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock, and nothing else does")]

mod clock;
mod cluster;
mod exact;
mod family;
mod optima;
mod rivals;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quorate_core::forecast;
use quorate_core::planner::bound::forced::Forced;
use quorate_core::planner::order::search;
use quorate_core::planner::problem::instance::NodeSet;
use quorate_core::planner::{self, Ongoing, bound};
use quorate_core::policy::{End, Overlap};
use serde_json::json;

use family::{Case, FAMILIES, Family, Scenario};
use rivals::Strategy;

const USAGE: &str = "usage: cargo xtask bench optima, or: cargo xtask bench plan [--family H3|S5|M16|L32|X64|all] \
[--scenario plain|hetero|real|uneven|all] [--tightness 50..95|all] [--seed N] [--seconds S] [--end anywhere|balanced|home] [--overlap] [--only STRATEGY] [--dump DIR] [--json]";

/// The parsed arguments.
struct Request {
    families: Vec<Family>,
    scenarios: Vec<(&'static str, Scenario)>,
    tightness: Vec<u64>,
    seeds: Vec<u64>,
    budget: Duration,
    end: End,
    overlap: Overlap,
    only: Option<String>,
    dump: Option<PathBuf>,
    json: bool,
}

/// How much the fullness of nodes may differ at a balanced end, in thousandths.
const SPREAD: u64 = 100;

/// Choices of paths that the bound of a balanced end of three nodes may consider: some seconds, at worst.
const CHOICES: u64 = 100_000_000;

impl Request {
    /// The same cluster with the requested preferences.
    fn preferences(&self, mut case: Case) -> Case {
        case.instance.overlap = self.overlap;
        match self.end {
            End::Anywhere => {}
            End::Balanced => case.instance.spread = Some(SPREAD),
            End::Home => {
                case.instance.items.iter_mut().for_each(|item| item.ends = Some(NodeSet::EMPTY.with(item.home)));
            }
        }
        case
    }
}

/// Runs the benchmark; false if the arguments make no sense or a plan of ours breaks a rule.
pub fn run(arguments: &[&str]) -> bool {
    let request = match arguments.split_first() {
        Some((&"optima", _)) => return optima::print(),
        Some((&"plan", rest)) => parse(rest),
        _ => Err("what should be measured?".to_owned()),
    };
    match request {
        Ok(request) => measure(&request),
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            false
        }
    }
}

fn parse(arguments: &[&str]) -> Result<Request, String> {
    let mut request = Request {
        families: FAMILIES.to_vec(),
        scenarios: Scenario::ALL[..3].to_vec(),
        tightness: vec![50, 80, 90, 95],
        seeds: vec![1],
        budget: Duration::from_secs(1),
        end: End::Anywhere,
        overlap: Overlap::None,
        only: None,
        dump: None,
        json: false,
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match *name {
            "--json" => {
                request.json = true;
                continue;
            }
            "--overlap" => {
                request.overlap = Overlap::Reboot;
                continue;
            }
            _ => {}
        }
        let value = *rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: not a number"));
        match (*name, value) {
            ("--family" | "--scenario" | "--tightness", "all") => {}
            ("--family", _) => request.families.retain(|family| family.name == value),
            ("--scenario", _) => {
                request.scenarios = Scenario::ALL.iter().copied().filter(|(name, _)| *name == value).collect();
            }
            ("--tightness", _) => request.tightness = vec![number()?.clamp(1, 100)],
            ("--seed", _) => request.seeds = vec![number()?],
            ("--seeds", _) => request.seeds = (1..=number()?).collect(),
            ("--seconds", _) => {
                let seconds: f64 = value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
                request.budget = Duration::try_from_secs_f64(seconds).map_err(|why| format!("{name}: {why}"))?;
            }
            ("--end", "anywhere") => request.end = End::Anywhere,
            ("--end", "balanced") => request.end = End::Balanced,
            ("--end", "home") => request.end = End::Home,
            ("--dump", _) => request.dump = Some(PathBuf::from(value)),
            ("--only", _) => request.only = Some(value.to_owned()),
            _ => return Err(format!("{name}: not known")),
        }
    }
    match request.families.is_empty() || request.scenarios.is_empty() {
        true => Err("no such family or scenario".to_owned()),
        false => Ok(request),
    }
}

fn measure(request: &Request) -> bool {
    let mut sound = true;
    for family in &request.families {
        for scenario in &request.scenarios {
            for percent in &request.tightness {
                for seed in &request.seeds {
                    let case = request.preferences(family::draw(*family, scenario.1, *percent, *seed));
                    let about = json!({
                        "family": family.name, "scenario": scenario.0, "tightness": percent, "seed": seed,
                    });
                    sound &= strategies(request, &case, &about, *seed);
                }
            }
        }
    }
    sound
}

fn strategies(request: &Request, case: &Case, about: &serde_json::Value, seed: u64) -> bool {
    let mut least = bound::least_with(&case.instance, &bound::costs(&case.instance), CHOICES) as f64;
    let wanted = |name: &str| request.only.as_deref().is_none_or(|only| only == name);
    let mut sound = true;
    if wanted("quorate") {
        let ours = ours(request, case);
        (sound, least) = (ours.clean, ours.least.unwrap_or(least));
        print(request, about, &ours.result);
    }
    if let Some(directory) = &request.dump {
        match dump(case, about, directory) {
            Ok(result) => print(request, about, &result),
            Err(why) => {
                eprintln!("{}: {why}", directory.display());
                sound = false;
            }
        }
    }
    for (name, strategy) in Strategy::ALL.iter().filter(|(name, _)| wanted(name)) {
        let watch = Watch::start();
        let tally = strategy.play(&case.instance, &case.guests, seed);
        let ms = watch.elapsed().as_secs_f64() * 1000.0;
        let result = json!({
            "strategy": name, "moves": tally.moves, "bytes": tally.bytes, "ratio": tally.cost as f64 / least,
            "clean": tally.clean(), "left": tally.left, "over": tally.over, "meetings": tally.meetings,
            "astray": tally.astray, "backward": tally.backward, "first_ms": ms, "best_ms": ms, "peak_mib": peak_mib(),
        });
        print(request, about, &result);
    }
    sound
}

/// The result of our own plan.
struct Ours {
    result: serde_json::Value,
    /// It breaks no rule. Having no plan is not a mistake: there may be none.
    clean: bool,
    /// The lower bound for every plan, if there is a plan.
    least: Option<f64>,
}

/// Makes our own plan and checks it independently.
fn ours(request: &Request, case: &Case) -> Ours {
    let watch = Watch::start();
    let (mut first, mut best, mut tries) = (None, Duration::ZERO, 1_u64);
    let go_on = || {
        tries += 1;
        watch.elapsed() < request.budget
    };
    let solved = search::solve(&case.instance, go_on, |_| {
        best = watch.elapsed();
        first.get_or_insert(best);
    });
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let solution = match solved {
        Ok(solution) => solution,
        Err(stuck) => {
            let why = format!("guest {} is stuck on node {}", stuck.item, stuck.node);
            let result = json!({ "strategy": "quorate", "clean": false, "no_plan": why, "tries": tries });
            return Ours { result, clean: true, least: None };
        }
    };
    let broken = walk::broken_rules(&case.instance, &solution);
    let least = bound::least_beside(&case.instance, &bound::costs(&case.instance), solution.cost, CHOICES) as f64;
    let steps = || solution.turns.iter().flat_map(|turn| turn.all());
    let moves: u64 = steps().map(|step| case.guests[step.item]).sum();
    let bytes: u64 = steps().map(|step| case.instance.items[step.item].memory_bytes).sum();
    let order: Vec<usize> = solution.turns.iter().map(|turn| turn.node).collect();
    let once: u64 = case.instance.items.iter().map(|item| item.cost).sum();
    let forced = Forced::new(&case.instance, &bound::costs(&case.instance)).cost(&order) + once;
    let simple = simple_bound(case) as f64;
    let (serial_s, overlapped_s) = clock::seconds(&case.instance, &solution);
    let result = json!({
        "strategy": "quorate", "moves": moves, "bytes": bytes, "ratio": solution.cost as f64 / least,
        "ratio_to_simple_bound": solution.cost as f64 / simple,
        "clean": broken.is_empty(), "broken": broken, "order_ratio": forced as f64 / least,
        "moves_bound": bound::least_beside(&case.instance, &case.guests, moves, CHOICES), "tries": tries, "unmet": solution.unmet,
        "hours": serial_s / 3600.0, "hours_overlapped": overlapped_s / 3600.0,
        "overlap_saves_percent": (1.0 - overlapped_s / serial_s.max(1.0)) * 100.0,
        "first_ms": ms(first.unwrap_or_default()), "best_ms": ms(best), "peak_mib": peak_mib(),
    });
    Ours { result, clean: broken.is_empty(), least: Some(least) }
}

/// Writes the same cluster as a snapshot, and the plan that the planner makes of it, to files; returns how long that
/// took and what the plan costs.
fn dump(case: &Case, about: &serde_json::Value, directory: &Path) -> std::io::Result<serde_json::Value> {
    let (snapshot, policy) = (cluster::snapshot(case), cluster::policy());
    let watch = Watch::start();
    let plan = planner::plan(&snapshot, &policy, &Ongoing::fresh("quorate-upgrade-bench".into()));
    let ms = watch.elapsed().as_secs_f64() * 1000.0;
    let text = |name: &str| about[name].as_str().unwrap_or("").to_owned();
    let stem = format!("{}-{}-{}-{}", text("family"), text("scenario"), about["tightness"], about["seed"]);
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join(format!("{stem}.snapshot.json")), serde_json::to_vec(&snapshot)?)?;
    match plan {
        Ok(plan) => {
            std::fs::write(directory.join(format!("{stem}.plan.json")), serde_json::to_vec(&plan)?)?;
            let watch = Watch::start();
            let verified = forecast::verify(&plan, &snapshot, &policy);
            let verify_ms = watch.elapsed().as_secs_f64() * 1000.0;
            let (moves, least) = (plan.costs.moves, plan.bound.moves);
            let ratio = f64::from(moves) / f64::from(least.max(1));
            let result = json!({
                "strategy": "quorate-plan", "moves": moves, "moves_bound": least, "bytes": plan.costs.bytes,
                "ratio": ratio, "clean": verified.is_ok(), "verify_ms": verify_ms, "first_ms": ms, "best_ms": ms, "peak_mib": peak_mib(),
            });
            Ok(result)
        }
        Err(none) => {
            let why: Vec<String> = none.findings.into_iter().map(|finding| finding.problem).collect();
            Ok(json!({ "strategy": "quorate-plan", "clean": false, "no_plan": why, "first_ms": ms, "best_ms": ms }))
        }
    }
}

/// A simpler bound, as others compute it: every guest moves once, and of each set of guests with the same allowed nodes
/// those of the lightest node move twice. Weaker than ours, and useful for comparing figures.
fn simple_bound(case: &Case) -> u64 {
    let mut classes: BTreeMap<NodeSet, BTreeMap<usize, u64>> = BTreeMap::new();
    for item in &case.instance.items {
        *classes.entry(item.allowed).or_default().entry(item.home).or_default() += item.cost;
    }
    let once: u64 = case.instance.items.iter().map(|item| item.cost).sum();
    let lightest = |(allowed, homes): (&NodeSet, &BTreeMap<usize, u64>)| {
        allowed.iter().map(|node| homes.get(&node).copied().unwrap_or(0)).min().unwrap_or(0)
    };
    once + classes.iter().map(lightest).sum::<u64>()
}

fn print(request: &Request, about: &serde_json::Value, result: &serde_json::Value) {
    if request.json {
        let mut whole = about.clone();
        if let (Some(whole), Some(result)) = (whole.as_object_mut(), result.as_object()) {
            whole.extend(result.clone());
        }
        println!("{whole}");
        return;
    }
    let figure = |name: &str| result[name].as_f64().unwrap_or(f64::NAN);
    let saved = match result["overlap_saves_percent"].as_f64() {
        Some(percent) => format!("  overlap saves {percent:.0} %"),
        None => String::new(),
    };
    println!(
        "{:4} {:6} {:>2} % seed {} {:22} {:>6} moves  ratio {:.4}  {}  first {:.0} ms  best {:.0} ms{saved}",
        about["family"].as_str().unwrap_or(""),
        about["scenario"].as_str().unwrap_or(""),
        about["tightness"],
        about["seed"],
        result["strategy"].as_str().unwrap_or(""),
        result["moves"],
        figure("ratio"),
        if result["clean"] == true { "clean    " } else { "not clean" },
        figure("first_ms"),
        figure("best_ms"),
    );
}

/// Processor time where the system reports it, because other programs may run at the same time (this one has a single
/// thread). Otherwise wall-clock time.
struct Watch {
    clock: Instant,
    processor: Option<Duration>,
}

impl Watch {
    fn start() -> Self {
        Self { clock: Instant::now(), processor: on_processor() }
    }

    fn elapsed(&self) -> Duration {
        match (self.processor, on_processor()) {
            (Some(start), Some(now)) => now.saturating_sub(start),
            _ => self.clock.elapsed(),
        }
    }
}

fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The peak memory of this process in MiB; 0 where the system does not report it.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
