//! Kernel modules that are built on the node itself.

use super::support::{Report, coming_kernel, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct DkmsModules;

impl Check for DkmsModules {
    fn id(&self) -> &'static str {
        "dkms-modules"
    }

    fn explain(&self) -> &'static str {
        "Modules of DKMS (drivers of graphics cards, of network or storage cards) are compiled anew for each kernel, while \
         its package is installed. If that fails the node comes back without the device: a network card or a storage may \
         be missing. A warning where a new kernel is to come. Look whether the module supports that kernel, and that \
         proxmox-default-headers is installed; dkms status shows what was built."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let Some(modules) = node.host.dkms_modules.known().filter(|modules| !modules.is_empty()) else { continue };
            let Some(kernel) = coming_kernel(node) else { continue };
            let list: Vec<String> = modules.iter().cloned().collect();
            let problem = format!("{} builds {} by itself, and kernel {kernel} is to come", node.name, some(&list));
            let remedy = "See that each supports that kernel, and that proxmox-default-headers is installed";
            report.add(Severity::Warning, &node.name, problem, remedy);
        }
        report.findings()
    }
}
