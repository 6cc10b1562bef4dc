//! Clocks that nobody keeps.

use super::support::{Report, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct TimeSync;

impl Check for TimeSync {
    fn id(&self) -> &'static str {
        "time-sync"
    }

    fn explain(&self) -> &'static str {
        "Ceph's monitors and the cluster's file system need clocks that agree. A node whose clock is not kept by a time \
         server drifts, and most of all across a reboot, when it starts from the clock of its board: a warning. See \
         timedatectl and chronyc tracking on the node; install chrony if there is none. How far the clocks are apart now \
         is the business of clock-skew."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot).filter(|node| node.host.time_synchronised.is(&false)) {
            let name = &node.name;
            let problem = format!("the clock of {name} is not kept by a time server");
            report.add(Severity::Warning, name, problem, format!("On {name}: timedatectl; apt install chrony"));
        }
        report.findings()
    }
}
