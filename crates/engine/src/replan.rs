//! A new plan, when the world has moved under the old one.

use quorate_core::forecast;
use quorate_core::ids::NodeName;
use quorate_core::plan::{NoPlan, Plan};
use quorate_core::planner::Ongoing;
use quorate_core::planner::steady::{self, Revision};
use quorate_core::run::{Event, PauseCause, Start};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{OnNode, Step, StepStatus};

use crate::drive::{DriveError, Driver, Turn};
use crate::prepare::{plan_and_verify, upgrade_unit};

/// What is missing to plan with is waited for so long: a guest that is just leaving, a proxy that restarts, a node that
/// comes back.
const READINGS_DEADLINE_S: u64 = 900;

/// Why a plan that still fits is left.
const WHY_BETTER: &str = "the world has changed, and another plan saves more than a twentieth of what is left";

impl Driver<'_> {
    /// At the beginning of a wave: does the rest of the plan still fit what is there?
    pub(crate) fn review(&mut self, snapshot: &Snapshot) -> Result<Turn, DriveError> {
        let Some(plan) = self.state.plan.as_ref().filter(|_| !self.state.aborting && self.state.paused.is_none())
        else {
            return Ok(Turn::Again);
        };
        // Between waves nothing is under way, so a fresh plan can be compared with the rest of the old one.
        if self.state.under_way().next().is_some() {
            return Ok(Turn::Again);
        }
        let rest = self.rest_of(plan);
        // A driver that comes while a node is on its way back: daemons and data follow it by themselves, and the proof
        // waits for them.
        if rest.steps().next().is_some_and(|(_, next)| next.step.on_node() == OnNode::WaitsBack) {
            return Ok(Turn::Again);
        }
        let fits = forecast::verify(&rest, snapshot, &self.state.policy).is_ok();
        match steady::revise(&rest, snapshot, &self.state.policy, &self.ongoing()) {
            Ok(Revision::Keep) => Ok(Turn::Again),
            // Distrusted like every other plan: one that does not verify is no reason to leave one that does.
            Ok(Revision::Another(plan) | Revision::Mended(plan)) if fits => {
                match forecast::verify(&plan, snapshot, &self.state.policy) {
                    Ok(_) => self.follow(*plan, snapshot, WHY_BETTER.to_owned(), None),
                    Err(_) => Ok(Turn::Again),
                }
            }
            _ => self.adopt(snapshot, "the rest of the plan does not fit what is there now".to_owned(), None),
        }
    }

    pub(crate) async fn replan(&mut self, why: String, else_start: Option<Start>) -> Result<Turn, DriveError> {
        let snapshot = self.looker.look_at_everything(&self.ports, &self.state).await;
        self.adopt(&snapshot, why, else_start)
    }

    /// Makes a new plan and follows it, if it is another one.
    fn adopt(&mut self, snapshot: &Snapshot, why: String, else_start: Option<Start>) -> Result<Turn, DriveError> {
        match self.new_plan(snapshot) {
            Ok(plan) => {
                self.unread_since = None;
                self.follow(plan, snapshot, why, else_start)
            }
            Err(no_plan) => {
                let mut lines = vec![format!("{why}; and there is no plan for what is there now:")];
                lines.extend(
                    no_plan
                        .findings
                        .iter()
                        .map(|finding| format!("{}: {} - {}", finding.subject, finding.problem, finding.remedy)),
                );
                lines.extend(self.way_by_abort(snapshot));
                let now = self.ports.clock.now();
                let since = *self.unread_since.get_or_insert(now);
                if no_plan.wants_readings() && now.since_s(since) < READINGS_DEADLINE_S {
                    self.looker.look_anew();
                    self.watcher.waiting(now, &lines);
                    return Ok(Turn::Rest);
                }
                self.unread_since = None;
                self.pause(PauseCause::Stuck, lines)?;
                Ok(Turn::Look)
            }
        }
    }

    /// A guest that came to the node under work when that had its new packages, and not yet its reboot, may go to no
    /// node that is not upgraded: the turn cannot end before the others have had theirs. Is there a plan that begins
    /// with those? New packages and the old kernel are a normal state of PVE.
    fn way_by_abort(&self, snapshot: &Snapshot) -> Option<String> {
        let node = self.state.under_work.as_ref()?;
        let mut given_back = snapshot.clone();
        for open in self.state.obligations.iter().rev() {
            open.pays.after(&mut given_back);
        }
        let fresh = Ongoing::fresh(upgrade_unit(&self.run));
        let (plan, _) = plan_and_verify(&given_back, &self.state.policy, &fresh).ok()?;
        let order: Vec<&str> = plan.waves.iter().filter_map(|wave| wave.node.as_ref()).map(NodeName::as_str).collect();
        (order.first() != Some(&node.as_str())).then(|| {
            format!(
                "another order is possible: `quorate abort` gives {node} back as it is, which is safe, and `quorate run` \
                 begins anew with {}",
                order.join(", then ")
            )
        })
    }

    /// The old plan mended, where that can be, else a plan from the ground up.
    fn new_plan(&self, snapshot: &Snapshot) -> Result<Plan, NoPlan> {
        let (policy, ongoing) = (&self.state.policy, self.ongoing());
        let old = self.state.plan.as_ref().map(|plan| self.rest_of(plan));
        let revision = old.map(|rest| steady::revise(&rest, snapshot, policy, &ongoing));
        match revision {
            Some(Ok(Revision::Mended(plan) | Revision::Another(plan)))
                if forecast::verify(&plan, snapshot, policy).is_ok() =>
            {
                Ok(*plan)
            }
            _ => plan_and_verify(snapshot, policy, &ongoing).map(|(plan, _)| plan),
        }
    }

    fn follow(
        &mut self,
        plan: Plan,
        snapshot: &Snapshot,
        why: String,
        else_start: Option<Start>,
    ) -> Result<Turn, DriveError> {
        if self.same_steps(&plan, snapshot) {
            let Some(start) = else_start else {
                let lines = vec![why, "a new plan is the same as the old one: somebody has to look".to_owned()];
                self.pause(PauseCause::Stuck, lines)?;
                return Ok(Turn::Look);
            };
            self.append(Event::StepStarted { id: start.id, step: start.step, attempt: 0, command: None, owes: None })?;
            return Ok(Turn::Again);
        }
        let missing: Vec<String> = plan
            .consents
            .iter()
            .filter(|consent| !self.state.consents.contains(&consent.kind))
            .map(|consent| format!("{}: {}", consent.guest, consent.what))
            .chain(self.state.beyond_budget(&plan, self.ports.clock.now()))
            .collect();
        self.append(Event::PlanAdopted { plan, why })?;
        if !missing.is_empty() {
            let mut lines = vec!["the new plan costs something that you have not agreed to:".to_owned()];
            lines.extend(missing);
            lines.push("`quorate approve` agrees; `quorate abort` pays back what is owed and stops".to_owned());
            self.pause(PauseCause::NeedsConsent, lines)?;
        }
        Ok(Turn::Look)
    }

    fn ongoing(&self) -> Ongoing {
        Ongoing {
            parent: self.state.plan.as_ref().map(|plan| plan.id.clone()),
            under_work: self.state.under_work.clone(),
            owed: self.state.obligations.iter().map(|open| open.pays.clone()).collect(),
            homes: self.state.homes.clone(),
            unit: upgrade_unit(&self.run),
        }
    }

    /// The plan without what is done.
    fn rest_of(&self, plan: &Plan) -> Plan {
        let mut rest = plan.clone();
        for wave in &mut rest.waves {
            wave.steps.retain(|step| !self.state.is_done(&step.id));
        }
        rest.waves.retain(|wave| !wave.steps.is_empty());
        rest
    }

    /// Does the new plan ask for nothing else than the old one? In the middle of a turn it names steps again that are
    /// done by now; those do not count.
    fn same_steps(&self, new: &Plan, snapshot: &Snapshot) -> bool {
        let Some(old) = &self.state.plan else { return false };
        let left = |plan: &Plan| -> Vec<Step> {
            let steps = plan.steps().map(|(_, planned)| planned.step.clone());
            steps.filter(|step| step.kind().status(snapshot) != StepStatus::Done).collect()
        };
        left(&self.rest_of(old)) == left(new)
    }
}
