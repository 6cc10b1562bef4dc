//! What is known about the small families: the optimum where it is proven, the best plan and its bound where it is not.
//!
//! `cargo xtask bench optima` prints this, and its output is stored beside this file. The test plans every cluster
//! again: a plan that is cheaper than a proven optimum shows a mistake in a rule, a more expensive one shows that the
//! planner has become worse.

use quorate_core::planner::bound;
use quorate_core::planner::order::search;
use serde::{Deserialize, Serialize};

use super::CHOICES;
use super::exact::{Answer, cheaper_than};
use super::family::{self, Case, FAMILIES, Scenario};

/// Choices that one proof may take.
const STEPS: u64 = 400_000_000;

/// Tries for each plan.
const TRIES: usize = 3000;

/// How the cost of the best plan is known to be optimal, or that it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Proof {
    /// The plan costs as much as the planner's bound.
    Bound,
    /// Branch and bound found nothing cheaper.
    Search,
    /// Not proven to be optimal.
    Open,
}

/// What is known about one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    family: String,
    scenario: String,
    tightness: u64,
    seed: u64,
    /// Cost of the best plan known.
    cost: u64,
    /// The planner's bound.
    bound: u64,
    proof: Proof,
}

fn clusters() -> Vec<(Known, Case)> {
    let mut all = Vec::new();
    for family in FAMILIES.iter().filter(|family| matches!(family.name, "H3" | "S5")) {
        for (name, scenario) in &Scenario::ALL[..3] {
            for tightness in [50, 80, 90, 95] {
                for seed in 1..=3 {
                    let case = family::draw(*family, *scenario, tightness, seed);
                    let (family, scenario) = (family.name.to_owned(), (*name).to_owned());
                    all.push((
                        Known { family, scenario, tightness, seed, cost: 0, bound: 0, proof: Proof::Open },
                        case,
                    ));
                }
            }
        }
    }
    all
}

/// Proves as much as possible, and prints it.
pub(super) fn print() -> bool {
    let mut complete = true;
    for (mut known, case) in clusters() {
        let Ok(solution) = search::solve(&case.instance, search::for_tries(TRIES), |_| {}) else {
            complete = false;
            continue;
        };
        known.cost = solution.cost;
        known.bound = bound::least_beside(&case.instance, &bound::costs(&case.instance), known.cost, CHOICES);
        known.proof = match known.cost == known.bound {
            true => Proof::Bound,
            false if cheaper_than(&case.instance, known.cost, STEPS) == Answer::None => Proof::Search,
            false => Proof::Open,
        };
        println!("{}", serde_json::to_string(&known).expect("plain data always serialises"));
    }
    complete
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = include_str!("optima.jsonl");

    #[test]
    fn plans_of_small_clusters_cost_what_is_stored_and_never_less_than_a_proven_optimum() {
        let stored: Vec<Known> =
            STORED.lines().map(|line| serde_json::from_str(line).expect("the stored lines are valid")).collect();
        assert_eq!(stored.len(), 72);
        for ((drawn, case), known) in clusters().into_iter().zip(stored) {
            let place = (&known.family, &known.scenario, known.tightness, known.seed);
            assert_eq!((&drawn.family, &drawn.scenario, drawn.tightness, drawn.seed), place);
            let least = bound::least_beside(&case.instance, &bound::costs(&case.instance), known.cost, CHOICES);
            assert_eq!(least, known.bound, "{place:?}: the bound is different");
            let solution = search::solve(&case.instance, search::for_tries(1000), |_| {}).expect("there is a plan");
            assert_ne!(known.proof, Proof::Open, "{place:?}");
            assert_eq!(solution.cost, known.cost, "{place:?}");
        }
    }

    #[test]
    fn the_search_finds_nothing_cheaper_than_the_plans_of_three_nodes() {
        for (known, case) in clusters().into_iter().filter(|(known, _)| known.family == "H3") {
            let solution = search::solve(&case.instance, search::for_tries(400), |_| {}).expect("there is a plan");
            let answer = cheaper_than(&case.instance, solution.cost, 3_000_000);
            assert_eq!(answer, Answer::None, "{} {} {}", known.scenario, known.tightness, known.seed);
            // And the search works: with a slightly higher limit it finds one.
            let found = cheaper_than(&case.instance, solution.cost + 1, 3_000_000);
            assert!(matches!(found, Answer::Relaxed(cost) if cost == solution.cost), "{found:?}");
        }
    }

    #[test]
    fn balanced_ends_of_three_nodes_are_never_below_their_bound_and_little_above_it() {
        for (known, mut case) in clusters().into_iter().filter(|(known, _)| known.family == "H3") {
            case.instance.spread = Some(100);
            let place = (&known.scenario, known.tightness, known.seed);
            let least = bound::least(&case.instance, &bound::costs(&case.instance));
            let solution = search::solve(&case.instance, search::for_tries(200), |_| {}).expect("there is a plan");
            assert_eq!(solution.unmet, 0, "{place:?}: the preference can be met");
            assert!(solution.cost >= least, "{place:?}: {} is below the bound {least}", solution.cost);
            assert!(solution.cost * 100 <= least * 110, "{place:?}: {} is far above {least}", solution.cost);
        }
    }
}
