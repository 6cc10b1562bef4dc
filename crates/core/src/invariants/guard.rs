//! May a step be begun now? Every rule is asked of now, of the time while it runs and of the state after it.

use std::collections::BTreeSet;

use super::{ALL, Context, Invariant, Moving, Verdict};
use crate::ids::GuestId;
use crate::snapshot::Snapshot;
use crate::steps::{Class, Step};

/// When a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before anything is done.
    Now,
    /// While the steps run.
    During,
    /// Once they are done.
    After,
}

impl Moment {
    fn words(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::During => "while it runs",
            Self::After => "after it",
        }
    }
}

/// May `step` be begun, with `in_flight` under way? Its own needs (`status() == Ready`) are the caller's to check.
///
/// A risk-taking step needs every rule to hold at each of the three moments. A restoring one must merely break none
/// that holds now: otherwise a node lost by accident forbids its own cure.
///
/// # Errors
/// One line for each rule that refuses, with its id, the moment and the evidence.
pub fn guard(step: &Step, in_flight: &[&Step], snapshot: &Snapshot, context: &Context<'_>) -> Result<(), Vec<String>> {
    let refusals = judge(step.kind().profile().class, &[step], in_flight, snapshot, context);
    if refusals.is_empty() {
        return Ok(());
    }
    Err(refusals.into_iter().map(|refusal| refusal.to_string()).collect())
}

/// A rule that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The rule's id.
    pub(crate) rule: &'static str,
    /// When it is broken.
    moment: Moment,
    /// What it says.
    verdict: Verdict,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cannot_tell = if matches!(self.verdict, Verdict::Unknown(_)) { "cannot be told, " } else { "" };
        write!(f, "{} ({cannot_tell}{}): {}", self.rule, self.moment.words(), self.verdict.evidence().join("; "))
    }
}

/// Asks every rule about steps that run together. Each rule refuses at most once, at the first moment.
pub(crate) fn judge(
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
    let moments = [verdicts(snapshot, &under_way), verdicts(&during, &together), verdicts(&after, context)];
    refusals(class, moments)
}

/// What every rule says, in the order of [`ALL`].
pub(crate) fn verdicts(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Verdict> {
    ALL.iter().map(|rule| rule.holds(snapshot, context)).collect()
}

/// The same when guests of these steps have begun to move, or moved, since `before` was said, and nothing else happened.
pub(crate) fn verdicts_of_moves(
    snapshot: &Snapshot,
    context: &Context<'_>,
    steps: &[&Step],
    before: &[Verdict],
) -> Vec<Verdict> {
    let moved: BTreeSet<GuestId> =
        steps.iter().filter_map(|step| Moving::of(step)).map(|moving| moving.guest).collect();
    let again = |(rule, before): (&&dyn Invariant, &Verdict)| match before {
        before if !rule.sees_moves() => before.clone(),
        Verdict::Holds => rule.still_holds(snapshot, context, &moved),
        _ => rule.holds(snapshot, context),
    };
    ALL.iter().zip(before).map(again).collect()
}

/// The rules that refuse, by what they say of now, of the time while it runs and of the state after it.
pub(crate) fn refusals(class: Class, [now, during, after]: [Vec<Verdict>; 3]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (rule, ((now, during), after)) in ALL.iter().zip(now.into_iter().zip(during).zip(after)) {
        if class == Class::Restoring && now != Verdict::Holds {
            continue;
        }
        let moments = [(Moment::Now, now), (Moment::During, during), (Moment::After, after)];
        let first = moments.into_iter().find(|(_, verdict)| *verdict != Verdict::Holds);
        refusals.extend(first.map(|(moment, verdict)| Refusal { rule: rule.id(), moment, verdict }));
    }
    refusals
}

pub(crate) fn with_moves<'a>(context: &Context<'a>, steps: &[&Step]) -> Context<'a> {
    let mut context = context.clone();
    context.moving.extend(steps.iter().filter_map(|step| Moving::of(step)));
    context
}
