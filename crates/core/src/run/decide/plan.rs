//! Another plan, when the cluster has changed under the old one.

use super::action::{Action, Depth, POLL_CALMLY_S};
use super::seen::{Look, NewPlan, Seen};
use crate::ids::UnixMs;
use crate::plan::Plan;
use crate::run::pause::{MissingConsent, Pause};
use crate::run::planning::{Planned, same_steps};
use crate::run::state::RunState;

/// How long to wait for what planning needs: a guest that is just leaving or that HA is moving, a proxy that restarts, a
/// node that comes back.
const READINGS_DEADLINE_S: u64 = 900;

/// At the start of a node step: does the rest of the plan still fit what is there?
pub(super) fn to_review(state: &RunState, look: &Look) -> Option<Action> {
    (look.review && state.paused.is_none()).then_some(Action::Review)
}

/// Follows a new plan, if it is a different one; or waits, or pauses, where there is none.
pub(super) fn follow(state: &RunState, seen: &Seen, new: &NewPlan, now: UnixMs) -> Action {
    let Planned { why, snapshot, made } = &new.planned;
    let plan = match made {
        Ok(plan) => plan,
        Err((no_plan, by_abort)) => {
            let pause = Pause::NoPlan { why: why.clone(), no_plan: no_plan.clone(), by_abort: by_abort.clone() };
            let since = seen.unread_since.unwrap_or(now);
            if no_plan.may_pass(snapshot) && now.since_s(since) < READINGS_DEADLINE_S {
                return Action::Wait { on: pause.lines(), poll_s: POLL_CALMLY_S, then: Depth::Everything };
            }
            return Action::Pause(pause);
        }
    };
    if same_steps(state, plan.plan(), snapshot) {
        return match &new.else_start {
            Some(start) => Action::Perform(start.clone().waiting()),
            None => Action::Pause(Pause::SamePlan { why: why.clone() }),
        };
    }
    Action::Adopt { plan: plan.clone(), why: why.clone(), asks: costs_more(state, plan.plan(), now) }
}

/// The costs of a plan that were not agreed to.
fn costs_more(state: &RunState, plan: &Plan, now: UnixMs) -> Option<Pause> {
    let missing = plan.consents.iter().filter(|consent| !state.consents.contains(&consent.kind));
    let missing: Vec<MissingConsent> =
        missing.map(|consent| MissingConsent { guest: consent.guest, what: consent.what.clone() }).collect();
    let beyond = state.beyond_budget(plan, now);
    (!missing.is_empty() || !beyond.is_empty()).then_some(Pause::PlanCostsMore { missing, beyond })
}
