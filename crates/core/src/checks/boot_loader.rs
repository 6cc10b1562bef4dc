//! Will the boot loader find the new kernel?

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{coming_kernel, gib, online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{BootPartition, KeptBoot, Node, Snapshot};

pub(super) struct BootLoader;

/// A kernel with its initial RAM disk takes 100 to 150 MiB.
const KERNEL_BYTES: u64 = 150 << 20;
/// GRUB's own image on a partition that holds no kernels takes a few MiB.
const GRUB_BYTES: u64 = 16 << 20;

kinds! {
    GrubReadsZfs { node: NodeName } => Warning, node,
        ("/ of {node} is on ZFS and proxmox-boot-tool keeps no partition: GRUB reads the pool"),
        ("Switch to proxmox-boot-tool, or at least never run zpool upgrade on that pool");
    EfiFull { node: NodeName, free_bytes: u64 } => Warning, node,
        ("/boot/efi on {node} has {} MiB free", free_bytes >> 20),
        ("See what fills it: ls -R /boot/efi on {node}");
    ToolComplains { node: NodeName, complaint: String } => Warning, node,
        ("proxmox-boot-tool on {node}: {complaint}"),
        ("On {node}: proxmox-boot-tool clean; proxmox-boot-tool status");
    KernelMissing { node: NodeName, partition: String, lacks: Vec<String> } => Warning, node,
        ("boot partition {partition} of {node} lacks {}, which another has", some(&lacks)),
        ("On {node}: proxmox-boot-tool refresh");
    PartitionFull { node: NodeName, partition: String, size_bytes: u64, kernels: usize } => Warning, node,
        ("boot partition {partition} of {node} has {} and {kernels} kernels: one more may not fit", gib(size_bytes)),
        ("Remove old kernels on {node}: apt-get autoremove; proxmox-boot-tool kernel list");
}

impl Check for BootLoader {
    const ID: &'static str = "boot-loader";
    const EXPLAIN: &'static str =
        "A node that was installed on ZFS boots from EFI system partitions that proxmox-boot-tool fills with kernels. \
         All findings are warnings. A partition that lacks a kernel which another has boots an old one from that disk \
         (proxmox-boot-tool refresh); one that is too small for one more kernel keeps the new one out (apt-get \
         autoremove); one that is listed but gone should be removed from the list (proxmox-boot-tool clean). / on ZFS \
         without any such partition means that GRUB reads the pool itself: once the pool has a new feature, the node \
         no longer boots; see the administration guide, ZFS, before any zpool upgrade. A full /boot/efi makes GRUB's \
         own update fail. Have the node's console at hand.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let boot = &node.host.boot;
            match boot.kept.known() {
                Some(Some(kept)) => partitions(node, kept, found),
                Some(None) if boot.root.known().is_some_and(|root| root == "zfs") => {
                    found.push(Found::GrubReadsZfs { node: node.name.clone() });
                }
                _ => {}
            }
            let free = boot.efi_free_bytes.known().copied().flatten().filter(|free| *free < GRUB_BYTES);
            found.extend(free.map(|free_bytes| Found::EfiFull { node: node.name.clone(), free_bytes }));
        }
    }
}

fn partitions(node: &Node, kept: &KeptBoot, found: &mut Vec<Found>) {
    let name = || node.name.clone();
    let complaints = kept.complaints.iter().cloned();
    found.extend(complaints.map(|complaint| Found::ToolComplains { node: name(), complaint }));
    for partition in &kept.partitions {
        let BootPartition { uuid, loader: _, kernels, size_bytes } = partition;
        let partition = uuid.to_string();
        let elsewhere = kept.partitions.iter().flat_map(|other| &other.kernels);
        let mut lacks: Vec<String> = elsewhere.filter(|kernel| !kernels.contains(*kernel)).cloned().collect();
        lacks.dedup();
        if !lacks.is_empty() {
            found.push(Found::KernelMissing { node: name(), partition: partition.clone(), lacks });
        }
        let needed = KERNEL_BYTES * (kernels.len() as u64 + 1);
        let one_comes = coming_kernel(node).is_some_and(|coming| !kernels.contains(coming.as_str()));
        if let Some(size_bytes) = size_bytes.filter(|size| one_comes && *size < needed) {
            found.push(Found::PartitionFull { node: name(), partition, size_bytes, kernels: kernels.len() });
        }
    }
}
