//! Package upgrades of an earlier run.

use super::support::{Report, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::{Snapshot, UnitOutcome, UnitState};

pub(super) struct EarlierUpgrade;

impl Check for EarlierUpgrade {
    fn id(&self) -> &'static str {
        "upgrade-unit"
    }

    fn explain(&self) -> &'static str {
        "The package upgrade of a node runs there as a systemd unit of its own, and goes on when Quorate ends. One that is \
         still at work is blocking: take its run up again with `quorate resume`, or wait. One that failed is a warning with \
         the last lines of its output: see that dpkg is in order, then clear it with `systemctl reset-failed UNIT`."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let (name, Some(Some(unit))) = (&node.name, node.upgrade_unit.known()) else { continue };
            let id = &unit.unit;
            match &unit.state {
                UnitState::Running => {
                    let problem = format!("the package upgrade {id} is still at work on {name}");
                    let remedy =
                        format!("Take its run up again: quorate resume. Or wait: systemctl status {id} on {name}");
                    report.add(Severity::Blocking, name, problem, remedy);
                }
                UnitState::Ended(UnitOutcome::Failed { how, tail }) => {
                    let problem = format!("an earlier package upgrade {id} on {name} failed ({how}): {}", some(tail));
                    let remedy = format!("On {name}: dpkg --audit; then systemctl reset-failed {id}");
                    report.add(Severity::Warning, name, problem, remedy);
                }
                UnitState::Ended(UnitOutcome::Success) => {}
            }
        }
        report.findings()
    }
}
