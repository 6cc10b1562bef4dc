//! Before each node: is there something that no run is begun with?
//!
//! What rules and steps see to is theirs. This is about the rest: what PVE's upgrade checker says of the node that is
//! done and of the next one, package sources, space, services. It has been so well when the run began, and it is asked
//! again while the next node is still full.

use quorate_core::checks::classes::{Asked, asked, waivable};
use quorate_core::checks::{Finding, Severity, run_all};
use quorate_core::ids::NodeName;
use quorate_core::run::{PauseCause, RunState};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::Step;

use crate::drive::{DriveError, Driver};

impl Driver<'_> {
    /// Pauses the run before the next node is drained, if something is in the way that is not waived.
    pub(crate) fn stop_before_a_node(&mut self, snapshot: &Snapshot) -> Result<(), DriveError> {
        let state = &self.state;
        let Some(next) = still_full(state).filter(|_| !state.aborting && state.paused.is_none()) else { return Ok(()) };
        let found = run_all(snapshot, &state.policy);
        let bad: Vec<&Finding> = found
            .iter()
            .filter(|finding| finding.severity == Severity::Blocking && asked(&finding.check) == Asked::BeforeEachNode)
            .collect();
        if bad.is_empty() {
            return Ok(());
        }
        let mut why = vec![format!("{next} is not drained: what was found since forbids that")];
        for Finding { check, subject, problem, remedy, .. } in &bad {
            why.push(format!("{subject}: {problem}"));
            why.push(format!("  {check} → {remedy}"));
        }
        why.push("guests run where they are, and no node is out; what was upgraded stays upgraded".to_owned());
        why.push("mend it, then `quorate resume`; or `quorate abort` pays back what is owed and stops".to_owned());
        if let Some(finding) = bad.iter().find(|finding| waivable(finding).is_ok()) {
            let Finding { check, subject, .. } = finding;
            why.push(format!("if it is to stay as it is: `quorate resume --waive {check}:{subject}=REASON`"));
        }
        self.pause(PauseCause::Findings, why)
    }
}

/// The node whose turn comes, as long as nothing was done to it: its package lists may have been read anew.
fn still_full(state: &RunState) -> Option<NodeName> {
    let harmless = |step: &Step| matches!(step, Step::RefreshPackages(_) | Step::HoldRebalance(_));
    let waves = &state.plan.as_ref()?.waves;
    let wave = waves.iter().find(|wave| wave.steps.iter().any(|step| !state.is_done(&step.id)))?;
    let begun = wave.steps.iter().filter(|planned| state.steps.contains_key(&planned.id));
    let untouched = begun.map(|planned| &planned.step).chain(state.under_way().map(|(_, record)| &record.step));
    untouched.into_iter().all(harmless).then(|| wave.node.clone())?
}
