//! `proxmox-boot-tool status` and `lsblk`: the partitions with the kernels of a node.

use std::collections::BTreeMap;

use quorate_core::snapshot::{BootPartition, KeptBoot};

/// The most partitions that are accepted; a node has one per boot disk.
const MOST_PARTITIONS: usize = 64;

/// `6D31-87F4 is configured with: uefi (versions: 6.8.12-4-pve, 6.14.8-2-pve)`, and lines that begin with `WARN:`.
pub fn kept(status: &str, sizes: &str) -> KeptBoot {
    let sizes = sizes_by_uuid(sizes);
    let mut found = KeptBoot::default();
    for line in status.lines().map(str::trim) {
        if let Some(complaint) = line.strip_prefix("WARN:") {
            found.complaints.push(complaint.trim().to_owned());
        } else if let Some((uuid, rest)) = line.split_once(" is configured with: ") {
            let (loader, kernels) = rest.split_once(" (versions: ").unwrap_or((rest, ""));
            let kernels = kernels.trim_end_matches(')').split(',').map(str::trim).filter(|kernel| !kernel.is_empty());
            found.partitions.push(BootPartition {
                uuid: uuid.to_owned(),
                loader: loader.trim().to_owned(),
                kernels: kernels.map(str::to_owned).collect(),
                size_bytes: sizes.get(uuid).copied(),
            });
        }
    }
    found.partitions.truncate(MOST_PARTITIONS);
    found.complaints.truncate(MOST_PARTITIONS);
    found
}

/// `df -B1 --output=avail,target /boot/efi`; none if nothing is mounted there, and df reports the file system above.
pub fn efi_free(df: &str) -> Option<u64> {
    let (free, target) = df.lines().nth(1)?.trim().split_once(' ')?;
    (target.trim() == "/boot/efi").then(|| free.parse().ok())?
}

/// `lsblk -b -n -r -o UUID,SIZE`: a device without a file system has no first column.
fn sizes_by_uuid(text: &str) -> BTreeMap<&str, u64> {
    let row = |line: &'_ str| -> Option<u64> { line.split_once(' ')?.1.trim().parse().ok() };
    let uuid = |line: &'_ str| line.find(' ').filter(|end| *end > 0);
    text.lines().filter_map(|line| Some((&line[..uuid(line)?], row(line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_kernels_and_complaints_are_read_with_the_sizes_of_the_disks() {
        let status = "Re-executing '/usr/sbin/proxmox-boot-tool' in new private mount namespace..\n\
                      System currently booted with uefi\n\
                      WARN: /dev/disk/by-uuid/CE07-1118 does not exist - clean '/etc/kernel/proxmox-boot-uuids'! - skipping\n\
                      6D31-87F4 is configured with: uefi (versions: 6.8.12-4-pve, 6.14.8-2-pve)\n";
        let kept = kept(status, " 512110190592\n6D31-87F4 536870912\n15384013245230741207 511571918336\n");
        assert_eq!(kept.partitions.len(), 1);
        assert_eq!(kept.partitions[0].kernels, ["6.14.8-2-pve", "6.8.12-4-pve"].map(str::to_owned).into());
        assert_eq!(kept.partitions[0].size_bytes, Some(512 << 20));
        assert!(kept.complaints[0].starts_with("/dev/disk/by-uuid/CE07-1118 does not exist"));
    }
}
