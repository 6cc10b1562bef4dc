//! Will the boot loader find the new kernel?

use super::support::{Report, coming_kernel, gib, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::{BootPartition, KeptBoot, Node, Snapshot};

pub(super) struct BootLoader;

/// A kernel with its initial RAM disk takes 100 to 150 MiB.
const KERNEL_BYTES: u64 = 150 << 20;
/// GRUB's own image on a partition that holds no kernels takes a few MiB.
const GRUB_BYTES: u64 = 16 << 20;

impl Check for BootLoader {
    fn id(&self) -> &'static str {
        "boot-loader"
    }

    fn explain(&self) -> &'static str {
        "A node that was installed on ZFS boots from EFI system partitions that proxmox-boot-tool fills with kernels. All \
         findings are warnings. A partition that lacks a kernel which another has boots an old one from that disk \
         (proxmox-boot-tool refresh); one that is too small for one more kernel keeps the new one out (apt-get \
         autoremove); one that is listed and gone belongs off the list (proxmox-boot-tool clean). / on ZFS without any such \
         partition is GRUB that reads the pool itself: a new feature of the pool, and the node boots no more; see the \
         administration guide, ZFS, before any zpool upgrade. A full /boot/efi keeps GRUB's own update out. Have the \
         node's console at hand."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let (name, boot) = (&node.name, &node.host.boot);
            match boot.kept.known() {
                Some(Some(kept)) => partitions(node, kept, &mut report),
                Some(None) if boot.root.known().is_some_and(|root| root == "zfs") => {
                    let problem =
                        format!("/ of {name} is on ZFS and proxmox-boot-tool keeps no partition: GRUB reads the pool");
                    let remedy = "Switch to proxmox-boot-tool, or at least never run zpool upgrade on that pool";
                    report.add(Severity::Warning, name, problem, remedy);
                }
                _ => {}
            }
            if let Some(free) = boot.efi_free_bytes.known().copied().flatten().filter(|free| *free < GRUB_BYTES) {
                let remedy = format!("Look what fills it: ls -R /boot/efi on {name}");
                report.add(Severity::Warning, name, format!("/boot/efi on {name} has {} MiB free", free >> 20), remedy);
            }
        }
        report.findings()
    }
}

fn partitions(node: &Node, kept: &KeptBoot, report: &mut Report) {
    let name = &node.name;
    for complaint in &kept.complaints {
        let remedy = format!("On {name}: proxmox-boot-tool clean; proxmox-boot-tool status");
        report.add(Severity::Warning, name, format!("proxmox-boot-tool on {name}: {complaint}"), remedy);
    }
    for partition in &kept.partitions {
        let BootPartition { uuid, loader: _, kernels, size_bytes } = partition;
        let elsewhere = kept.partitions.iter().flat_map(|other| &other.kernels);
        let mut lacks: Vec<String> = elsewhere.filter(|kernel| !kernels.contains(*kernel)).cloned().collect();
        lacks.dedup();
        if !lacks.is_empty() {
            let problem = format!("boot partition {uuid} of {name} lacks {}, which another has", some(&lacks));
            report.add(Severity::Warning, name, problem, format!("On {name}: proxmox-boot-tool refresh"));
        }
        let needed = KERNEL_BYTES * (kernels.len() as u64 + 1);
        let one_comes = coming_kernel(node).is_some_and(|coming| !kernels.contains(coming.as_str()));
        if let Some(size) = size_bytes.filter(|size| one_comes && *size < needed) {
            let problem = format!(
                "boot partition {uuid} of {name} has {} and {} kernels: one more may not fit",
                gib(size),
                kernels.len()
            );
            let remedy = format!("Remove old kernels on {name}: apt-get autoremove; proxmox-boot-tool kernel list");
            report.add(Severity::Warning, name, problem, remedy);
        }
    }
}
