//! vGPUs and their like under a new kernel.

use super::support::{Report, coming_kernel, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct MediatedDevices;

impl Check for MediatedDevices {
    fn id(&self) -> &'static str {
        "mediated-devices"
    }

    fn explain(&self) -> &'static str {
        "A mediated device (vGPU) is made by a driver of the host, and that driver has to be built for the kernel that \
         comes: with kernel 6.14 and later some cards need a newer driver or another way altogether, and the guest does not \
         start again on its node. A warning where a guest with such a device is on a node that gets another kernel. Look \
         up the driver's list of kernels first, or pin the kernel that works: proxmox-boot-tool kernel pin."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for guest in snapshot.guests.values() {
            let keys = guest.migration.known().map_or(&[][..], |facts| &facts.mediated_devices);
            let coming = snapshot.nodes.get(&guest.node).and_then(coming_kernel);
            if let Some(coming) = coming.filter(|_| !keys.is_empty()) {
                let problem = format!(
                    "{} of {} hangs on a driver that has to fit kernel {coming} of {}",
                    some(keys),
                    guest.id,
                    guest.node
                );
                let remedy =
                    "See that the driver knows this kernel, or pin the one that runs: proxmox-boot-tool kernel pin";
                report.add(Severity::Warning, guest.id, problem, remedy);
            }
        }
        report.findings()
    }
}
