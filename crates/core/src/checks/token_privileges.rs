//! May the token do what a run will ask of it?

use super::support::Report;
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct TokenPrivileges;

impl Check for TokenPrivileges {
    fn id(&self) -> &'static str {
        "token-privileges"
    }

    fn explain(&self) -> &'static str {
        "A privilege that is missing is found out before anything moves, not when a node is half drained. One finding for \
         each path and privilege that the token lacks. Note that a token with privilege separation has at most what its \
         user has, and needs its own entry. Mend it by adding the privilege to the token's role."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for missing in snapshot.missing_privileges.known().into_iter().flatten() {
            let privilege = missing.rsplit(' ').next().unwrap_or(missing);
            report.add(
                Severity::Blocking,
                Subject::Cluster,
                format!("the token lacks {missing}"),
                format!("Add it to the token's role: pveum role modify ROLE --append 1 --privs {privilege}"),
            );
        }
        report.findings()
    }
}
