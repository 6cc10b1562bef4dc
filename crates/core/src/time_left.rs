//! How far a run is and how long it will still take: by the plan's estimates, corrected by how long steps of the same
//! kind took in this run.

use std::collections::BTreeMap;

use crate::ids::{NodeName, UnixMs};
use crate::plan::NodeStep;
use crate::view::{PauseView, RunPhase, StepView, View};

/// One slow step does not make a run of hours into one of days, and one quick one not into minutes.
const MOST: f64 = 4.0;

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeLeft {
    /// Seconds until its end, if nothing comes between.
    pub left_s: u64,
    /// How much of its time has passed, pauses not counted, in percent; 100 only when it is over.
    pub percent: u8,
    /// Seconds that each node that is not done will still take.
    pub nodes_s: BTreeMap<NodeName, u64>,
}

impl TimeLeft {
    /// At a moment, by the clock of the run. None while there is no plan.
    pub fn of(view: &View, now: UnixMs) -> Option<Self> {
        let plan = view.state.plan.as_ref()?;
        if view.phase() == RunPhase::Completed {
            return Some(Self { percent: 100, ..Self::default() });
        }
        let pace = Pace::of(view);
        let left = |node_step: &NodeStep| to_do(view, node_step, &pace, now).duration_s();
        let left_s = plan.node_steps.iter().map(left).fold(0, u64::saturating_add);
        let nodes = plan.node_steps.iter().filter_map(|node_step| Some((node_step.node.clone()?, left(node_step))));
        let worked_s = worked_s(view, now);
        let percent = u128::from(worked_s) * 100 / u128::from(worked_s.saturating_add(left_s).max(1));
        let percent = u8::try_from(percent).unwrap_or(99).min(99);
        Some(Self { left_s, percent, nodes_s: nodes.filter(|(_, left_s)| *left_s > 0).collect() })
    }

    /// Expected seconds of a step from its start to its end, corrected in the same way; none where the plan had none.
    pub fn planned_s(view: &View, step: &StepView) -> Option<u64> {
        Some(Pace::of(view).corrected(step.step.kind().verb(), step.planned_s?))
    }
}

/// How much longer than planned steps took, by verb.
struct Pace(BTreeMap<&'static str, f64>);

impl Pace {
    fn of(view: &View) -> Self {
        let mut sums: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
        for step in view.done_by_us() {
            if let (Some(planned_s), Some((ended, _))) = (step.planned_s, &step.ended) {
                let (planned, taken) = sums.entry(step.step.kind().verb()).or_default();
                *planned = planned.saturating_add(planned_s);
                *taken = taken.saturating_add(ended.since_s(step.started));
            }
        }
        let pace = |(planned, taken): (u64, u64)| (seconds(taken) / seconds(planned)).clamp(1.0 / MOST, MOST);
        Self(sums.into_iter().filter(|(_, (planned, _))| *planned > 0).map(|(verb, sum)| (verb, pace(sum))).collect())
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and rounded for people"
    )]
    fn corrected(&self, verb: &str, planned_s: u64) -> u64 {
        self.0.get(verb).map_or(planned_s, |pace| (seconds(planned_s) * pace).round() as u64)
    }
}

#[allow(clippy::cast_precision_loss, reason = "rounded for people anyway")]
fn seconds(seconds: u64) -> f64 {
    seconds as f64
}

/// What is left of a node step: its steps that are not done, each with what is left of its time.
fn to_do(view: &View, node_step: &NodeStep, pace: &Pace, now: UnixMs) -> NodeStep {
    let mut left = node_step.clone();
    left.steps.retain(|planned| !view.state.is_done(&planned.id));
    for planned in &mut left.steps {
        let expected_s = pace.corrected(planned.step.kind().verb(), planned.estimate_s);
        let begun = view.state.steps.get(&planned.id).filter(|record| record.outcome.is_none() && record.attempts > 0);
        let passed_s = begun.map_or(0, |record| now.since_s(record.first_started));
        planned.estimate_s = expected_s.saturating_sub(passed_s);
    }
    left
}

/// Seconds since the start in which the run was not paused.
fn worked_s(view: &View, now: UnixMs) -> u64 {
    let paused = |pause: &PauseView| pause.to.unwrap_or(now).since_s(pause.from);
    let paused_s = view.pauses.iter().map(paused).fold(0, u64::saturating_add);
    now.since_s(view.state.started).saturating_sub(paused_s)
}
