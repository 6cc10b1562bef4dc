//! How long guests have been down because of us, and how long the operator lets them be.
//!
//! The budget is what was agreed to: the plan's downtime of each guest with the policy's margin. It is counted from the
//! command that stops a guest to the proof that it runs again, so it is never less than the real downtime. Before a
//! guest is stopped, what is left for it must cover what its step is expected to take; otherwise the run asks. It does
//! not cut an outage short: a guest that is down is brought back as soon as possible, budget or not.
//!
//! A driver that was away finds guests that came back meanwhile. Then what the cluster says of them counts, not the
//! moment at which a driver looked again. A guest that really was down while no process worked on the run was down:
//! that is counted, and before it is stopped once more the run asks.

use std::collections::BTreeMap;

use super::event::Event;
use super::spent::Shortfall;
use super::state::RunState;
use crate::ids::{GuestId, StepId, UnixMs};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::steps::Step;

impl RunState {
    /// Seconds that a guest has been down because of us.
    pub fn downtime_s(&self, guest: GuestId, now: UnixMs) -> u64 {
        self.spent.get(&guest).map_or(0, |spent| spent.seconds(now))
    }

    /// The guest whose outage a step ends, or begins again; none if there is no outage.
    pub fn outage_of(&self, step: &Step) -> Option<GuestId> {
        let guest = step.starts().or_else(|| step.takes_down())?;
        self.spent.get(&guest)?.since.map(|_| guest)
    }

    /// What has to be agreed to for a plan to be followed from here: what was spent by now, what was agreed to already,
    /// and what is planned with the policy's margin.
    pub fn budget_for(&self, plan: &Plan, policy: &Policy, now: UnixMs) -> BTreeMap<GuestId, u64> {
        let mut budget = self.budget_s.clone().unwrap_or_default();
        for (guest, more_s) in self.downtime_ahead(plan) {
            let needed_s = self.downtime_s(guest, now).saturating_add(policy.with_margin_s(more_s));
            let allowed_s = budget.entry(guest).or_default();
            *allowed_s = needed_s.max(*allowed_s);
        }
        budget
    }

    /// Starting a run or approving its plan means agreeing to the downtime that it names, with the stated margin.
    pub fn agreement(&self, plan: &Plan, by: &str, now: UnixMs) -> Event {
        let allowed_s = self.budget_for(plan, &self.policy, now);
        Event::DowntimeAgreed { allowed_s, margin_percent: self.policy.downtime_margin_percent, by: by.to_owned() }
    }

    /// What the steps of a plan that are not done will take, by guest.
    fn downtime_ahead(&self, plan: &Plan) -> BTreeMap<GuestId, u64> {
        let mut ahead: BTreeMap<GuestId, u64> = BTreeMap::new();
        for (_, planned) in plan.steps().filter(|(_, planned)| !self.is_done(&planned.id)) {
            if let Some(guest) = planned.step.takes_down() {
                let sum = ahead.entry(guest).or_default();
                *sum = sum.saturating_add(planned.down_s);
            }
        }
        ahead
    }

    /// Guests for which a plan needs more than is left; empty where no budget was set.
    pub fn beyond_budget(&self, plan: &Plan, now: UnixMs) -> Vec<Shortfall> {
        let ahead = self.downtime_ahead(plan);
        ahead.into_iter().filter_map(|(guest, more_s)| self.shortfall(guest, more_s, now)).collect()
    }

    /// Why a step that stops a guest may not be started within the budget.
    pub(super) fn step_beyond_budget(&self, id: &StepId, step: &Step, now: UnixMs) -> Option<Shortfall> {
        let guest = step.takes_down().filter(|_| !self.only_undoes())?;
        // It is already down: the question would be whether it may be brought back.
        if self.spent.get(&guest).is_some_and(|spent| spent.since.is_some()) {
            return None;
        }
        let (_, planned) = self.plan.as_ref()?.steps().find(|(_, planned)| planned.id == *id)?;
        self.shortfall(guest, planned.down_s, now)
    }

    fn shortfall(&self, guest: GuestId, more_s: u64, now: UnixMs) -> Option<Shortfall> {
        let allowed_s = self.budget_s.as_ref()?.get(&guest).copied().unwrap_or(0);
        let spent_s = self.downtime_s(guest, now);
        let short = spent_s.saturating_add(more_s) > allowed_s;
        short.then_some(Shortfall { guest, spent_s, allowed_s, more_s })
    }
}
