//! What there is to do on each node.

use super::support::{Report, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::{Kernel, Node, Packages, Snapshot};
use crate::steps::kernel_release;

pub(super) struct PendingUpdates;

impl Check for PendingUpdates {
    fn id(&self) -> &'static str {
        "pending-updates"
    }

    fn explain(&self) -> &'static str {
        "What `apt-get -s dist-upgrade` would do on each node, for information. If it would remove proxmox-ve the \
         repositories do not fit together, and the node would be no Proxmox VE any more: blocking. Other removals are a \
         warning: read them. Nothing pending is no fault: that node has no turn."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            if let (Some(packages), Some(kernel)) = (node.packages.known(), node.kernel.known()) {
                to_do(node, packages, kernel, &mut report);
                removals(node, packages, &mut report);
            }
        }
        report.findings()
    }
}

fn to_do(node: &Node, packages: &Packages, kernel: &Kernel, report: &mut Report) {
    let name = &node.name;
    let new_kernel = packages.pending.iter().find_map(|package| kernel_release(&package.name));
    let reboot = match new_kernel {
        Some(release) => format!(", with kernel {release}"),
        None if kernel.reboot_needed() => format!(", kernel {} waits for a reboot", kernel.will_boot()),
        None => String::new(),
    };
    let problem = match packages.pending.len() {
        0 if reboot.is_empty() => format!("{name} is up to date"),
        0 => format!("{name} has no updates pending{reboot}"),
        1 => format!("{name} has 1 update pending{reboot}"),
        count => format!("{name} has {count} updates pending{reboot}"),
    };
    report.add(Severity::Info, name, problem, "Nothing to do.");
}

fn removals(node: &Node, packages: &Packages, report: &mut Report) {
    let name = &node.name;
    if packages.removals.iter().any(|removed| removed == "proxmox-ve") {
        let problem = format!("the upgrade of {name} would remove proxmox-ve");
        let remedy = format!("Set its repositories right, then look again: apt-get -s dist-upgrade on {name}");
        report.add(Severity::Blocking, name, problem, remedy);
    } else if !packages.removals.is_empty() {
        let problem = format!("the upgrade of {name} would remove {}", some(&packages.removals));
        let remedy = format!("Read what goes and why: apt-get -s dist-upgrade on {name}");
        report.add(Severity::Warning, name, problem, remedy);
    }
}
