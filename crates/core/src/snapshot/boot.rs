//! How a node boots: where its kernels are, and whether a new one will be found there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::observed::Observed;

/// Advisory readings of a node's boot loader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The file system of `/`: `zfs`, `ext4`, …
    pub root: Observed<String>,
    /// What proxmox-boot-tool keeps; `None` where it keeps nothing, as on a node that was installed on LVM.
    pub kept: Observed<Option<KeptBoot>>,
    /// Free bytes on `/boot/efi`; `None` where nothing is mounted there.
    pub efi_free_bytes: Observed<Option<u64>>,
}

impl Boot {
    /// Nothing was read, for this reason.
    pub fn unseen(source: &str, why: &str) -> Self {
        Self {
            root: Observed::unknown(source, why),
            kept: Observed::unknown(source, why),
            efi_free_bytes: Observed::unknown(source, why),
        }
    }
}

impl Default for Boot {
    /// For a snapshot that was exported before these were read.
    fn default() -> Self {
        Self::unseen("the exported snapshot", "it was written before this was read")
    }
}

/// `proxmox-boot-tool status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBoot {
    /// The EFI system partitions that it writes kernels to.
    pub partitions: Vec<BootPartition>,
    /// Its complaints, as it prints them.
    pub complaints: Vec<String>,
}

/// One partition that proxmox-boot-tool writes kernels to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootPartition {
    /// `6D31-87F4`.
    pub uuid: String,
    /// `uefi` (systemd-boot) or `grub`.
    pub loader: String,
    /// Kernel releases on it.
    pub kernels: BTreeSet<String>,
    /// Its size in bytes, where the node reported it.
    pub size_bytes: Option<u64>,
}
