//! Waivers that do nothing.

use super::support::Report;
use super::{Check, Finding, Severity, Subject, classes};
use crate::policy::{Policy, Waiver};
use crate::snapshot::Snapshot;

pub(super) struct Waivers;

impl Check for Waivers {
    fn id(&self) -> &'static str {
        "waivers"
    }

    fn explain(&self) -> &'static str {
        "A waiver ([[policy.waive]] in the configuration, or --waive of run and resume) takes a finding out of the way with \
         a reason, which stands in the journal and in the report. One that speaks of nothing that was found has no effect: \
         a slip of the pen, or a thing that is mended by now. One that speaks of a finding which is never waived (votes, \
         quorum, missing readings, what a proof hangs on) has no effect either, and the finding stands. Both are \
         warnings. Take the waiver out, or mend what it was meant for."
    }

    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        if policy.waive.is_empty() {
            return report.findings();
        }
        let others = super::ALL.iter().filter(|check| check.id() != self.id());
        let found: Vec<Finding> = others.flat_map(|check| check.run(snapshot, policy)).collect();
        for waiver in &policy.waive {
            if let Some(problem) = idle(waiver, &found) {
                report.add(Severity::Warning, Subject::Cluster, problem, "Take it out, or mend what it was meant for");
            }
        }
        report.findings()
    }
}

/// Why a waiver does nothing.
fn idle(waiver: &Waiver, found: &[Finding]) -> Option<String> {
    if let Err(why) = classes::accept(waiver) {
        return Some(format!("a waiver has no effect: {why}"));
    }
    let meant: Vec<&Finding> = found
        .iter()
        .filter(|finding| finding.severity >= Severity::Warning && classes::means(waiver, finding))
        .collect();
    if meant.is_empty() {
        return Some(format!("the waiver {waiver} speaks of nothing that was found"));
    }
    let refused: Vec<&'static str> = meant.iter().filter_map(|finding| classes::waivable(finding).err()).collect();
    (refused.len() == meant.len()).then(|| format!("the waiver {waiver} has no effect: {}", refused[0]))
}
