//! A guest in a cluster file.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StorageId};
use serde::{Deserialize, Serialize};

use super::defaults::{eight, running, thirty_two, twenty, two, yes};

/// `[[guest]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestPart {
    /// `vm:101`, `ct:201`.
    pub id: GuestId,
    /// Name.
    pub name: String,
    /// Node.
    pub node: NodeName,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Cores.
    #[serde(default = "two")]
    pub cores: u32,
    /// `running`, `stopped`, `template`.
    #[serde(default = "running")]
    pub state: String,
    /// Storage of its first disk.
    pub storage: StorageId,
    /// Size of that disk.
    #[serde(default = "thirty_two")]
    pub disk_gib: u64,
    /// An ISO image in `ide2`: `local:iso/debian.iso`.
    pub iso: Option<String>,
    /// Raw devices: `hostpci0 = "0000:01:00.0"`.
    #[serde(default)]
    pub devices: BTreeMap<String, String>,
    /// HA state: `started`, `stopped`, `disabled`, `ignored`.
    pub ha: Option<String>,
    /// Does HA move it back to its preferred node?
    #[serde(default = "yes")]
    pub failback: bool,
    /// Does it start with its node? By default if it runs.
    #[serde(default)]
    pub onboot: Option<bool>,
    /// Does it have a guest agent?
    #[serde(default = "yes")]
    pub agent: bool,
    /// How fast it dirties memory.
    #[serde(default = "twenty")]
    pub dirty_mib_per_s: u64,
    /// Time an orderly shutdown takes.
    #[serde(default = "eight")]
    pub shutdown_s: u64,
    /// Processor type.
    pub cpu: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Snapshots.
    #[serde(default)]
    pub snapshots: Vec<String>,
    /// Config lock.
    pub lock: Option<String>,
    /// Any other lines of its configuration: `vga = "virtio-gl"`, `dev0 = "/dev/net/tun"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}
