//! May a step begin now? Every rule is evaluated for now, for the time while it runs and for the state after it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::outcome::{Grounds, RuleOutcome};
use super::rule::{Context, Moving};
use super::{ALL, Evidence, RuleId};
use crate::ids::GuestId;
use crate::snapshot::Snapshot;
use crate::steps::{Class, Step};

/// When a rule does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the steps begin.
    Now,
    /// While the steps run.
    During,
    /// Once they are done.
    After,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Now => "now",
            Self::During => "while it runs",
            Self::After => "after it",
        })
    }
}

/// May `step` begin, with `in_flight` under way? Its own needs (`status() == Ready`) are the caller's to check.
///
/// A risk-taking step needs every rule to hold at each of the three moments. A restoring one must merely break none
/// that holds now: otherwise a node lost by accident forbids its own repair.
///
/// # Errors
/// One refusal for each rule that refuses, with the first moment at which it does not hold and why.
pub fn guard(step: &Step, in_flight: &[&Step], snapshot: &Snapshot, context: &Context<'_>) -> Result<(), Vec<Refusal>> {
    let refusals = judge(step.kind().profile().class, &[step], in_flight, snapshot, context);
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

/// A rule that refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule that does not hold.
    pub rule: RuleId,
    /// The first moment at which it does not hold.
    pub moment: Moment,
    /// True if it is broken for certain, false if that cannot be determined.
    pub certain: bool,
    /// How it is broken, or which reading is missing.
    pub why: Grounds<Evidence>,
}

impl Refusal {
    /// None if the rule holds at that moment.
    fn of(rule: RuleId, moment: Moment, outcome: RuleOutcome<Evidence>) -> Option<Self> {
        match outcome {
            RuleOutcome::Holds => None,
            RuleOutcome::Broken(why) => Some(Self { rule, moment, certain: true, why }),
            RuleOutcome::Unknown(why) => Some(Self { rule, moment, certain: false, why }),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, moment, certain, why } = self;
        let cannot_tell = if *certain { "" } else { "cannot be determined, " };
        write!(f, "{rule} ({cannot_tell}{moment}): {why}")
    }
}

impl std::error::Error for Refusal {}

/// What each rule says, in the order of [`ALL`].
pub(crate) type RuleOutcomes = Vec<RuleOutcome<Evidence>>;

/// Evaluates every rule for steps that run together. Each rule refuses at most once, at the first moment.
fn judge(
    class: Class,
    steps: &[&Step],
    in_flight: &[&Step],
    snapshot: &Snapshot,
    context: &Context<'_>,
) -> Vec<Refusal> {
    let under_way = with_moves(context, in_flight);
    let together = with_moves(&under_way, steps);
    let (mut during, mut after) = (snapshot.clone(), snapshot.clone());
    for step in in_flight.iter().chain(steps) {
        step.during(&mut during);
        step.after(&mut after);
    }
    let moments = [outcomes(snapshot, &under_way), outcomes(&during, &together), outcomes(&after, context)];
    refusals(class, moments)
}

/// Evaluates every rule for one state.
pub(crate) fn outcomes(snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcomes {
    ALL.iter().map(|rule| rule.holds(snapshot, context)).collect()
}

/// The same when guests of these steps have begun to move, or moved, since `before`, and nothing else has happened.
pub(crate) fn outcomes_of_moves(
    snapshot: &Snapshot,
    context: &Context<'_>,
    steps: &[&Step],
    before: &[RuleOutcome<Evidence>],
) -> RuleOutcomes {
    let moved: BTreeSet<GuestId> =
        steps.iter().filter_map(|step| Moving::of(step)).map(|moving| moving.guest).collect();
    let again = |(rule, before): (&RuleId, &RuleOutcome<Evidence>)| match before {
        before if !rule.sees_moves() => before.clone(),
        RuleOutcome::Holds => rule.still_holds(snapshot, context, &moved),
        _ => rule.holds(snapshot, context),
    };
    ALL.iter().zip(before).map(again).collect()
}

/// The rules that refuse, by their outcomes for now, for the time while it runs and for the state after it.
pub(crate) fn refusals(class: Class, [now, during, after]: [RuleOutcomes; 3]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (rule, ((now, during), after)) in ALL.iter().zip(now.into_iter().zip(during).zip(after)) {
        if class == Class::Restoring && now != RuleOutcome::Holds {
            continue;
        }
        let moments = [(Moment::Now, now), (Moment::During, during), (Moment::After, after)];
        refusals.extend(moments.into_iter().find_map(|(moment, outcome)| Refusal::of(*rule, moment, outcome)));
    }
    refusals
}

pub(crate) fn with_moves<'a>(context: &Context<'a>, steps: &[&Step]) -> Context<'a> {
    let mut context = context.clone();
    context.moving.extend(steps.iter().filter_map(|step| Moving::of(step)));
    context
}
