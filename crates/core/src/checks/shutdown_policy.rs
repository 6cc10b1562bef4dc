//! What HA does with services when a node shuts down.

use super::support::Report;
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ShutdownPolicy;

impl Check for ShutdownPolicy {
    fn id(&self) -> &'static str {
        "shutdown-policy"
    }

    fn explain(&self) -> &'static str {
        "The datacenter's HA shutdown policy says what happens to services on a node that goes down. A node is empty and \
         in maintenance mode when Quorate reboots it, so the policy has no part in the run; it is shown when it is not \
         the default, because it decides what happens to a node that goes down otherwise."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let policy = snapshot.options.known().and_then(|options| options.ha_shutdown_policy.as_deref());
        if let Some(policy) = policy.filter(|policy| *policy != "conditional") {
            let problem = format!("the HA shutdown policy is {policy}; drained nodes are not touched by it");
            report.add(Severity::Info, Subject::Cluster, problem, "Nothing to do.");
        }
        report.findings()
    }
}
