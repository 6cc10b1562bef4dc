//! Before each node, and after the last: is there something that no run is begun with?
//!
//! What rules and steps see to is theirs. This is about the rest: what PVE's upgrade checker says of the node that is
//! done and of the next one, package sources, space, services. It has been so well when the run began, and it is asked
//! again while the next node is still full, and once more when every node is done. What is found then is told in the
//! report; a run whose cluster could not begin another is not called completed without a word of the operator's.

use quorate_core::checks::classes::{Asked, asked, waivable};
use quorate_core::checks::{Finding, Severity, run_all};
use quorate_core::ids::NodeName;
use quorate_core::run::{Event, PauseCause, RunState};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{FinalCheck, Step, StepKind, StepStatus};

use crate::drive::{DriveError, Driver};

impl Driver<'_> {
    /// Pauses the run before the next node is drained, if something is in the way that is not waived.
    pub(crate) fn stop_before_a_node(&mut self, snapshot: &Snapshot) -> Result<(), DriveError> {
        let state = &self.state;
        let Some(next) = still_full(state).filter(|_| !state.aborting && state.paused.is_none()) else { return Ok(()) };
        let found = run_all(snapshot, &state.policy);
        let bad: Vec<&Finding> = found.iter().filter(|finding| forbids(finding)).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let happened = format!("{next} is not drained: what was found since forbids that");
        let means = "guests run where they are, and no node is out; what was upgraded stays upgraded";
        let next = "mend it, then `quorate resume`; or `quorate abort` pays back what is owed and stops";
        self.pause(PauseCause::Findings, told(happened, &bad, [means, next]))
    }

    /// When every node is done and nothing is owed: looks once more. True if the run pauses over what is found.
    pub(crate) async fn stopped_at_the_end(&mut self) -> Result<bool, DriveError> {
        // An aborted run ends without questions, and one that only gave votes back has no node to ask.
        let Some(last) = self.state.node_done_last().cloned().filter(|_| !self.state.aborting) else {
            return Ok(false);
        };
        let snapshot = self.looker.look_at_the_end(&self.ports, &self.state).await;
        let mut findings = run_all(&snapshot, &self.state.policy);
        findings.retain(|finding| finding.severity > Severity::Info && asked(&finding.check) == Asked::BeforeEachNode);
        self.append(Event::FinalCheck { node: last, findings: findings.clone() })?;
        let bad: Vec<&Finding> = findings.iter().filter(|finding| forbids(finding)).collect();
        // PVE's checker takes its time: meanwhile the last step's picture has grown old.
        if let StepStatus::Blocked(left) = (FinalCheck {}).status(&snapshot) {
            let mut why: Vec<String> = left.iter().map(ToString::to_string).collect();
            why.insert(0, "every node was upgraded, and then this was seen at the end".to_owned());
            why.push("mend it, then `quorate resume` looks again; or `quorate abort` ends the run as it is".to_owned());
            self.pause(PauseCause::Findings, why)?;
            return Ok(true);
        }
        if bad.is_empty() {
            return Ok(false);
        }
        let happened = "every node is upgraded, and this was found at the end".to_owned();
        let means = "guests run, no node is out, nothing is owed; the cluster is not as it should be left";
        let next = "mend it, then `quorate resume` looks again; or `quorate abort` ends the run as it is";
        self.pause(PauseCause::Findings, told(happened, &bad, [means, next]))?;
        Ok(true)
    }
}

/// Would no run be begun with this, and is it asked while a run goes on?
fn forbids(finding: &Finding) -> bool {
    finding.severity == Severity::Blocking && asked(&finding.check) == Asked::BeforeEachNode
}

/// What happened with each finding, what it means, what to do; the last line only if something of it may be waived.
fn told(happened: String, bad: &[&Finding], rest: [&str; 2]) -> Vec<String> {
    let mut why = vec![happened];
    for Finding { check, subject, problem, remedy, .. } in bad {
        why.push(format!("{subject}: {problem}"));
        why.push(format!("  {check} → {remedy}"));
    }
    why.extend(rest.map(str::to_owned));
    if let Some(finding) = bad.iter().find(|finding| waivable(finding).is_ok()) {
        let Finding { check, subject, .. } = finding;
        why.push(format!("if it is to stay as it is: `quorate resume --waive {check}:{subject}=REASON`"));
    }
    why
}

/// The node whose turn comes, as long as nothing was done to it: its package lists may have been read anew.
fn still_full(state: &RunState) -> Option<NodeName> {
    let waves = &state.plan.as_ref()?.waves;
    let wave = waves.iter().find(|wave| wave.steps.iter().any(|step| !state.is_done(&step.id)))?;
    let begun = wave.steps.iter().filter(|planned| state.steps.contains_key(&planned.id));
    let untouched = begun.map(|planned| &planned.step).chain(state.under_way().map(|(_, record)| &record.step));
    untouched.into_iter().all(Step::leaves_nodes_as_they_are).then(|| wave.node.clone())?
}
