//! Are all nodes there?

use super::support::Report;
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct NodesOnline;

impl Check for NodesOnline {
    fn id(&self) -> &'static str {
        "nodes-online"
    }

    fn explain(&self) -> &'static str {
        "A rolling upgrade takes one node out at a time; with one missing already that would be the second. Each node of \
         the cluster's configuration that the others do not have as a member is blocking. Boot it, or remove it for good \
         if it is never to return: pvecm delnode NODE."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in snapshot.nodes.values().filter(|node| node.online.is(&false)) {
            let name = &node.name;
            report.add(
                Severity::Blocking,
                name,
                format!("{name} is offline: the cluster does not have it as a member"),
                format!("Boot it and look at corosync there, or remove it for good: pvecm delnode {name}"),
            );
        }
        report.findings()
    }
}
