//! Kernels that are pinned.

use super::support::{Report, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::{Kernel, Snapshot};
use crate::steps::kernel_release;
use crate::version::Version;

pub(super) struct KernelPins;

impl Check for KernelPins {
    fn id(&self) -> &'static str {
        "kernel-pins"
    }

    fn explain(&self) -> &'static str {
        "A pinned kernel boots whatever is installed, so a node with an old pin comes back from its upgrade with the old \
         kernel, and no checker of PVE says so. It is a warning, because it may be meant. Take the pin off with \
         `proxmox-boot-tool kernel unpin`, then look again."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let (name, Some(kernel)) = (&node.name, node.kernel.known()) else { continue };
            let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
            let coming = pending.iter().filter_map(|package| kernel_release(&package.name));
            let newest = coming.chain(kernel.installed.iter().cloned()).max();
            for (pin, how) in [(&kernel.pinned, "for every boot"), (&kernel.next_boot, "for the next boot")] {
                if let Some((pin, newest)) = older(pin, newest.as_ref()) {
                    let problem = format!("{name} has kernel {pin} pinned {how}: {newest} would not be booted");
                    let remedy =
                        format!("If it is not meant, on {name}: proxmox-boot-tool kernel unpin{}", next(kernel));
                    report.add(Severity::Warning, name, problem, remedy);
                }
            }
        }
        report.findings()
    }
}

fn older<'a>(pin: &'a Option<Version>, newest: Option<&'a Version>) -> Option<(&'a Version, &'a Version)> {
    pin.as_ref().zip(newest).filter(|(pin, newest)| pin < newest)
}

fn next(kernel: &Kernel) -> &'static str {
    if kernel.next_boot.is_some() { " --next-boot" } else { "" }
}
