//! What a finding of the plan check looks like.

use crate::checks::{Finding, Subject};
use crate::plan::WhyNoPlan;
use crate::steps::Step;

pub(super) fn finding(subject: Subject, problem: String, remedy: &str) -> Finding {
    WhyNoPlan::Check.finding(subject, problem, remedy.to_owned())
}

pub(super) fn subject_of(step: &Step) -> Subject {
    step.guest().map_or(Subject::Cluster, Subject::Guest)
}
