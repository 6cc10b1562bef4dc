//! Names in the configuration that this cluster does not have.

use super::support::Report;
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct PolicyNames;

impl Check for PolicyNames {
    fn id(&self) -> &'static str {
        "policy-names"
    }

    fn explain(&self) -> &'static str {
        "A guest or node that the configuration names and the cluster does not have is most often a slip of the pen: the \
         guest that was meant is then treated like any other. A warning for guests, which come and go, and blocking for \
         nodes, because the order of the run hangs on them. Set the name right in the configuration."
    }

    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let remedy = "Set the name right in the configuration, or take the line out";
        for guest in policy.guests.keys().filter(|guest| !snapshot.guests.contains_key(guest)) {
            report.add(
                Severity::Warning,
                *guest,
                format!("the policy names {guest}, which this cluster does not have"),
                remedy,
            );
        }
        for node in policy.first.iter().chain(&policy.last).filter(|node| !snapshot.nodes.contains_key(*node)) {
            report.add(
                Severity::Blocking,
                node,
                format!("the policy names {node}, which is no node of this cluster"),
                remedy,
            );
        }
        report.findings()
    }
}
