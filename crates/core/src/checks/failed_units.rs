//! systemd units that have failed.

use super::support::{Report, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct FailedUnits;

impl Check for FailedUnits {
    fn id(&self) -> &'static str {
        "failed-units"
    }

    fn explain(&self) -> &'static str {
        "A unit that has failed is a warning: it may fail again after the reboot, and then one cannot tell whether the \
         upgrade did it. Look with `systemctl --failed` on the node, mend the cause, and clear old ones with `systemctl \
         reset-failed`."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let name = &node.name;
            if let Some(units) = node.failed_units.known().filter(|units| !units.is_empty()) {
                let remedy = format!("On {name}: systemctl --failed; then systemctl reset-failed");
                report.add(Severity::Warning, name, format!("failed units on {name}: {}", some(units)), remedy);
            }
        }
        report.findings()
    }
}
