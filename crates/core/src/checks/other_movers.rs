//! Programs that move guests by themselves.

use super::support::{Report, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct OtherMovers;

impl Check for OtherMovers {
    fn id(&self) -> &'static str {
        "other-movers"
    }

    fn explain(&self) -> &'static str {
        "ProxLB balances guests over all nodes. At work during a run it would put guests back onto the node that is being \
         emptied, and the two would push each other's guests around: blocking, on whichever node its service is active. \
         Stop it for the run (systemctl stop proxlb) and start it again afterwards. One that runs outside of the cluster \
         is not seen: stop it too. PVE's own rebalancing is the business of ha-state."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let Some(movers) = node.host.movers.known().filter(|movers| !movers.is_empty()) else { continue };
            let list: Vec<String> = movers.iter().cloned().collect();
            let problem = format!("{} is at work on {} and moves guests by itself", some(&list), node.name);
            let remedy =
                format!("For the run, on {}: systemctl stop {}; start it again afterwards", node.name, list.join(" "));
            report.add(Severity::Blocking, &node.name, problem, remedy);
        }
        report.findings()
    }
}
