//! Each check fires in one snapshot and is silent about the healthy cluster.

mod cluster;
mod guests;
mod nodes;
mod rules;
mod waivers;

use super::{ALL, Finding, Severity, rules as of_rules};
use crate::invariants::sample::cluster;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// What one check finds, or what one safety rule says.
fn run(id: &str, snapshot: &Snapshot) -> Vec<Finding> {
    let policy = Policy::default();
    match ALL.iter().find(|check| check.id == id) {
        Some(check) => check.run(snapshot, &policy),
        None => of_rules::findings(snapshot, &policy, None).into_iter().filter(|finding| finding.check == id).collect(),
    }
}

/// The check finds this in `snapshot`, and nothing this severe in the healthy cluster.
#[track_caller]
fn fires(id: &str, snapshot: &Snapshot, severity: Severity, words: &str) {
    let found = run(id, snapshot);
    let hit = found.iter().any(|finding| finding.severity == severity && finding.problem.contains(words));
    assert!(hit, "no {severity:?} with {words:?} in {found:#?}");
    let before = run(id, &cluster());
    assert!(
        !before.iter().any(|finding| finding.problem.contains(words)),
        "it fires on the healthy cluster: {before:#?}"
    );
}
