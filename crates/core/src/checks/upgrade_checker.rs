//! What PVE's own upgrade checker says, node by node, and what it means for this run.

use super::support::{Report, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::{CheckerLevel, CheckerLine, CheckerReport, Node, Snapshot};

pub(super) struct UpgradeChecker;

impl Check for UpgradeChecker {
    fn id(&self) -> &'static str {
        "upgrade-checker"
    }

    fn explain(&self) -> &'static str {
        "PVE's own checker (pve8to9 --full) is run on every node and each of its lines is read; its exit status is 0 \
         whatever it finds. Where the node still stands before the release that the checker prepares for, a failure is \
         blocking and a warning is a warning. Where that release is reached already, the checker looks back: what it \
         says concerns no updates within the release, and is a warning at most. What cannot be otherwise before a node \
         is drained (guests that run on it, updates that wait for this very run, noout not set) is for information. One \
         that died before its summary has not told all: blocking before a major upgrade. Mend each line as it says, and \
         run pve8to9 --full on the node again."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            match node.host.checker.known() {
                Some(Some(checker)) => judge(node, checker, &mut report),
                Some(None) => {
                    let problem = format!("{} has no upgrade checker (pve8to9)", node.name);
                    report.add(
                        Severity::Info,
                        &node.name,
                        problem,
                        "Nothing to do: it matters before a major upgrade only.",
                    );
                }
                None => {}
            }
        }
        report.findings()
    }
}

fn judge(node: &Node, checker: &CheckerReport, report: &mut Report) {
    let name = &node.name;
    let ahead = is_ahead(node, checker);
    if !checker.finished {
        let severity = if ahead { Severity::Blocking } else { Severity::Warning };
        let problem = format!("{} on {name} died before its summary: it has not told all", checker.tool);
        report.add(severity, name, problem, format!("See why, on {name}: {} --full", checker.tool));
    }
    let told = checker.lines.iter().filter(|line| line.level >= CheckerLevel::Warn);
    let (inherent, told): (Vec<_>, Vec<_>) = told.partition(|line| is_inherent(line));
    for line in &told {
        let severity = match line.level {
            CheckerLevel::Fail if ahead => Severity::Blocking,
            _ => Severity::Warning,
        };
        let problem = format!("{} on {name}: {}: {}", checker.tool, line.level, line.text);
        report.add(severity, name, problem, format!("Do what it says, then on {name}: {} --full", checker.tool));
    }
    let problem = format!(
        "{} on {name} told {} lines: {} to mend, {} that only its drain will change",
        checker.tool,
        checker.lines.len(),
        told.len(),
        inherent.len()
    );
    report.add(
        Severity::Info,
        name,
        problem,
        "Nothing to do for this line; the matrix of `quorate preflight` shows all.",
    );
}

/// Is the release that the checker prepares for still to come on this node? Not known counts as yes.
fn is_ahead(node: &Node, checker: &CheckerReport) -> bool {
    match (node.pve_version.known(), checker.target_major()) {
        (Some(version), Some(target)) => version.major().is_none_or(|major| u64::from(major) < target),
        _ => true,
    }
}

/// What a node cannot be rid of before it is drained and upgraded. The words are the checker's own.
pub fn is_inherent(line: &CheckerLine) -> bool {
    const WORDS: [&str; 5] = [
        "updates for the following packages are available",
        "running guest(s) detected",
        "'noout' flag not set",
        "noout' flag is not set",
        "a suitable kernel",
    ];
    line.level < CheckerLevel::Fail && WORDS.iter().any(|words| line.text.contains(words))
}
