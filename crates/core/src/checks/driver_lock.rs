//! Is somebody else rolling this cluster?

use super::support::Report;
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct DriverLockHeld;

/// A driver renews its lock every half minute, and pmxcfs lets go of one after two minutes.
const STALE_S: u64 = 120;

impl Check for DriverLockHeld {
    fn id(&self) -> &'static str {
        "driver-lock"
    }

    fn explain(&self) -> &'static str {
        "Two administrators on two laptops must not both roll one cluster: each would drain onto the node that the other \
         reboots. A driver keeps a lock in the cluster itself and renews it. A lock that was renewed a moment ago is \
         blocking: wait, or end the other run. An old one was left by a driver that died, and is a warning: its run is \
         best taken up again with `quorate resume` where its journal is."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        if let Some(Some(lock)) = snapshot.driver.known() {
            let age = snapshot.taken.since_s(lock.renewed);
            let who = format!("run {} by {}, renewed {age} s ago", lock.run, lock.holder);
            if age <= STALE_S {
                let remedy = "Wait until that run has ended, or end it there: quorate abort";
                report.add(Severity::Blocking, Subject::Cluster, format!("the cluster is being rolled: {who}"), remedy);
            } else {
                let remedy = "Take it up again where its journal is: quorate resume";
                report.add(
                    Severity::Warning,
                    Subject::Cluster,
                    format!("a driver left its lock behind: {who}"),
                    remedy,
                );
            }
        }
        report.findings()
    }
}
