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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::plan::{Plan, PlannedStep};
    use crate::planner::{self, Ongoing};
    use crate::policy::Policy;
    use crate::run::{Event, Pause, RunKind, RunOutcome, StepOutcome};

    fn plan() -> Plan {
        let snapshot = Fixture::cluster(3).vm(101, "pve1", 24).vm(102, "pve2", 16).snapshot();
        planner::plan(&snapshot, &Policy::default(), &Ongoing::fresh("unit".into())).expect("there is room")
    }

    /// A run whose first so many steps took so many times as long as planned, one after the other.
    fn after(steps: usize, times: u64) -> (View, UnixMs) {
        let (plan, mut now) = (plan(), UnixMs(1_000_000));
        let (run, cluster, version) = ("r".into(), "c".into(), "1".into());
        let policy = Policy::default();
        let mut events = vec![
            (now, Event::RunStarted { kind: RunKind::Upgrade, run, cluster, policy, version }),
            (now, Event::PlanAdopted { plan: plan.clone(), why: "first plan".into() }),
        ];
        for (_, PlannedStep { id, step, estimate_s, .. }) in plan.steps().take(steps) {
            let (id, step) = (id.clone(), step.clone());
            let begun =
                Event::StepStarted { id: id.clone(), step: step.clone(), attempt: 1, command: None, undo: None };
            events.push((now, begun));
            now = now.plus_s(estimate_s * times);
            events.push((now, Event::StepEnded { id, step, outcome: StepOutcome::Done }));
        }
        (View::of(events.iter().map(|(at, event)| (*at, event))), now)
    }

    fn first_node() -> usize {
        plan().node_steps[0].steps.len()
    }

    #[test]
    fn what_is_left_is_what_the_plan_says_of_the_steps_that_are_not_done() {
        let (view, now) = after(0, 1);
        let all = TimeLeft::of(&view, now).unwrap();
        assert_eq!((all.left_s, all.percent), (plan().costs.duration_s, 0));
        assert_eq!(all.nodes_s.len(), 3);
        let (view, now) = after(first_node(), 1);
        let then = TimeLeft::of(&view, now).unwrap();
        assert_eq!(then.left_s, plan().node_steps[1..].iter().map(NodeStep::duration_s).sum::<u64>());
        assert!(then.percent > 20 && then.percent < 50 && then.nodes_s.len() == 2, "{then:?}");
    }

    #[test]
    fn steps_that_took_twice_as_long_will_do_so_again_and_wild_ones_do_not_count_in_full() {
        let left_s = |times: u64| {
            let (view, now) = after(first_node(), times);
            TimeLeft::of(&view, now).unwrap().left_s
        };
        // The last check of the whole cluster was not measured yet.
        assert!(left_s(2) > left_s(1) * 9 / 5 && left_s(2) <= left_s(1) * 2, "{} {}", left_s(1), left_s(2));
        assert_eq!(left_s(1000), left_s(4));
    }

    #[test]
    fn a_step_under_way_has_only_the_rest_of_its_time_left_and_a_pause_is_no_progress() {
        let (mut view, now) = after(1, 1);
        let before = TimeLeft::of(&view, now).unwrap();
        let next = plan().steps().nth(1).map(|(_, next)| next.clone()).unwrap();
        let (id, step) = (next.id.clone(), next.step.clone());
        view.apply(now, &Event::StepStarted { id, step, attempt: 1, command: None, undo: None });
        let later = TimeLeft::of(&view, now.plus_s(next.estimate_s)).unwrap();
        assert_eq!(later.left_s + next.estimate_s, before.left_s);
        assert!(TimeLeft::of(&view, now.plus_s(100_000)).is_some_and(|late| late.left_s <= later.left_s));
        view.apply(now, &Event::Paused { pause: Pause::Operator { by: "anna".into() } });
        let worked = |after_s: u64| worked_s(&view, now.plus_s(after_s));
        assert_eq!(worked(50_000), worked(0), "time in a pause is not time of the run");
    }

    #[test]
    fn only_a_run_that_is_completed_is_at_100_percent() {
        for (outcome, is_all) in [(RunOutcome::Completed, true), (RunOutcome::Aborted, false)] {
            let (mut view, now) = after(first_node(), 1);
            view.apply(now, &Event::RunEnded { outcome });
            assert_eq!(TimeLeft::of(&view, now).unwrap().percent == 100, is_all);
        }
        assert_eq!(TimeLeft::of(&View::default(), UnixMs(0)), None, "without a plan nothing is known");
    }
}
