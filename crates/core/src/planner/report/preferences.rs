//! What a preference that is not set would cost: the same cluster planned once more with it, with few tries.

use serde::{Deserialize, Serialize};

use crate::policy::{End, Overlap, Policy};
use crate::snapshot::Snapshot;

use crate::planner::order::search::{for_tries, solve};
use crate::planner::problem::{Ongoing, reading};
use crate::planner::schedule::costs;

/// Guests times tries that one cost estimate may take: a person is waiting for it.
const WORK: usize = 60_000;

/// A preference and what it would cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The preference as it is written in the configuration: `end = "home"`.
    pub preference: String,
    /// In a few words: `all guests back home at the end`.
    pub what: String,
    /// What a plan with it would cost; none if no plan was found.
    pub costs: Option<PriceTag>,
}

/// What a plan would cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTag {
    /// How many guests are migrated, each counted once per move.
    pub moves: u32,
    /// Bytes that are copied.
    pub bytes: u64,
    /// Expected duration in seconds.
    pub duration_s: u64,
    /// Guests that would not end where the preference puts them, or thousandths missing to balance; 0: met in full.
    pub unmet: u64,
}

/// The cost of each preference that the policy does not have.
pub(super) fn prices(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Vec<Price> {
    let mut preferences: Vec<(String, String, Policy)> = Vec::new();
    let mut preference = |key: String, what: &str, change: &dyn Fn(&mut Policy)| {
        let mut with = policy.clone();
        change(&mut with);
        if with != *policy {
            preferences.push((key, what.to_owned(), with));
        }
    };
    let points = policy.balance_points;
    preference("end = \"home\"".to_owned(), "all guests back home at the end", &|with| with.end = End::Home);
    let what = format!("nodes filled alike at the end, within {points} points");
    preference("end = \"balanced\"".to_owned(), &what, &|with| with.end = End::Balanced);
    if policy.end != End::Anywhere {
        preference("end = \"anywhere\"".to_owned(), "guests stay where they are at the end", &|with| {
            with.end = End::Anywhere
        });
    }
    preference("overlap = \"reboot\"".to_owned(), "the next node is drained while one reboots", &|with| {
        with.overlap = Overlap::Reboot;
    });
    if policy.headroom_percent < 20 {
        preference("headroom-percent = 20".to_owned(), "a fifth of each node stays free", &|with| {
            with.headroom_percent = 20
        });
    }
    if !(policy.first.is_empty() && policy.last.is_empty()) {
        preference("first = [], last = []".to_owned(), "nodes in any order", &|with| {
            with.first.clear();
            with.last.clear();
        });
    }
    if !policy.spare.is_empty() {
        preference("spare = []".to_owned(), "no node is kept empty", &|with| with.spare.clear());
    }
    preferences
        .into_iter()
        .map(|(preference, what, with)| Price { preference, what, costs: tag(snapshot, &with, ongoing) })
        .collect()
}

fn tag(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Option<PriceTag> {
    let problem = reading::read(snapshot, policy, ongoing).ok()?;
    let tries = (WORK / problem.instance.items.len().max(1)).clamp(4, 60);
    let solution = solve(&problem.instance, for_tries(tries), |_| {}).ok()?;
    let costs = costs(&problem, &solution, ongoing);
    let (moves, bytes, duration_s) = (costs.moves, costs.bytes, costs.duration_s);
    Some(PriceTag { moves, bytes, duration_s, unmet: solution.unmet })
}
