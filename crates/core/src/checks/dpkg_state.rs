//! Is dpkg in order and free?

use super::support::{Report, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct DpkgState;

impl Check for DpkgState {
    fn id(&self) -> &'static str {
        "dpkg-state"
    }

    fn explain(&self) -> &'static str {
        "A package that is half installed or half configured makes the next upgrade fail with the node empty: blocking. \
         Mend it with `dpkg --configure -a` and `apt-get -f install` on the node. Somebody else at work with dpkg is a \
         warning: the run waits for its lock, and fails if it is held too long."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let (name, Some(packages)) = (&node.name, node.packages.known()) else { continue };
            if !packages.broken.is_empty() {
                let problem = format!("packages on {name} are half installed: {}", some(&packages.broken));
                let remedy = format!("On {name}: dpkg --configure -a; apt-get -f install");
                report.add(Severity::Blocking, name, problem, remedy);
            }
            if packages.locked {
                let remedy = format!("See who it is: fuser -v /var/lib/dpkg/lock-frontend on {name}");
                report.add(Severity::Warning, name, format!("somebody holds dpkg's lock on {name}"), remedy);
            }
        }
        report.findings()
    }
}
