//! Room for the packages and the new kernel.

use super::support::{Report, gib, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct DiskSpace;

/// A PVE upgrade downloads up to 1 GiB and unpacks as much beside what it replaces.
const ROOT_NEEDED_BYTES: u64 = 2 << 30;
/// What leaves room for logs and a second try.
const ROOT_WISHED_BYTES: u64 = 5 << 30;
/// A kernel with its initial RAM disk takes 100 to 150 MiB.
const BOOT_WISHED_BYTES: u64 = 200 << 20;

impl Check for DiskSpace {
    fn id(&self) -> &'static str {
        "disk-space"
    }

    fn explain(&self) -> &'static str {
        "dpkg that runs out of space leaves packages half unpacked. Less than 2 GiB free on / is blocking, less than 5 GiB \
         a warning. Less than 200 MiB on /boot is a warning: the initial RAM disk of a new kernel may not fit. Clear it \
         with `apt-get clean`, `journalctl --vacuum-size=200M`, `apt-get autoremove` (old kernels)."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let name = &node.name;
            if let Some(free) = node.root_free_bytes.known().copied().filter(|free| *free < ROOT_WISHED_BYTES) {
                let severity = if free < ROOT_NEEDED_BYTES { Severity::Blocking } else { Severity::Warning };
                let remedy = format!("On {name}: apt-get clean; journalctl --vacuum-size=200M; apt-get autoremove");
                report.add(severity, name, format!("/ on {name} has {} free", gib(free)), remedy);
            }
            if let Some(free) = node.boot_free_bytes.known().copied().filter(|free| *free < BOOT_WISHED_BYTES) {
                let remedy = format!("Remove old kernels on {name}: apt-get autoremove");
                report.add(Severity::Warning, name, format!("/boot on {name} has {} MiB free", free >> 20), remedy);
            }
        }
        report.findings()
    }
}
