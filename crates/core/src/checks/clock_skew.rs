//! Do the clocks of the nodes agree?

use super::support::{Report, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ClockSkew;

/// Reading a clock over the network is no better than this.
const WARNING_MS: u64 = 2_000;
/// HA compares time stamps of nodes: half of the 60 s after which a node is fenced.
const BLOCKING_MS: u64 = 30_000;

impl Check for ClockSkew {
    fn id(&self) -> &'static str {
        "clock-skew"
    }

    fn explain(&self) -> &'static str {
        "HA judges by time stamps that other nodes wrote, Ceph's monitors want their clocks within 50 ms, and certificates \
         and tickets are about time. The clock of each node is compared with the middle one of all nodes, so that a wrong \
         clock on this machine is no finding. More than 2 s off is a warning, more than 30 s blocking: HA might take a \
         node for dead. Look at `chronyc tracking` on the node."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let Some(middle) = snapshot.clocks_ahead_ms() else { return Vec::new() };
        for (name, skew) in online(snapshot).filter_map(|node| Some((&node.name, *node.clock_skew_ms.known()?))) {
            let off = skew.abs_diff(middle);
            if off > WARNING_MS {
                let severity = if off > BLOCKING_MS { Severity::Blocking } else { Severity::Warning };
                let way = if skew > middle { "ahead of" } else { "behind" };
                let problem = format!("the clock of {name} is {:.1} s {way} the others", off as f64 / 1000.0);
                report.add(
                    severity,
                    name,
                    problem,
                    format!("Look at time synchronisation: chronyc tracking on {name}"),
                );
            }
        }
        report.findings()
    }
}
