//! What a finding of the plan check looks like.

use crate::checks::{Finding, Severity, Subject};
use crate::steps::Step;

pub(super) fn finding(subject: Subject, problem: String, remedy: &str) -> Finding {
    Finding {
        check: "plan-check".to_owned(),
        severity: Severity::Blocking,
        subject,
        problem,
        remedy: remedy.to_owned(),
        waived: None,
    }
}

pub(super) fn subject_of(step: &Step) -> Subject {
    step.guest().map_or(Subject::Cluster, Subject::Guest)
}
