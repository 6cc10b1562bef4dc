//! A guest: where it is, what it needs, what keeps it from moving.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, StorageId};
use crate::observed::Observed;
use crate::version::Version;

/// A virtual machine or container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    /// Kind and number.
    pub id: GuestId,
    /// Its name as configured: it may be anything.
    pub name: String,
    /// The node that holds its configuration.
    pub node: NodeName,
    /// Whether it is running, stopped or paused.
    pub status: Observed<GuestStatus>,
    /// A template never runs and is never drained.
    pub template: bool,
    /// Configured memory in bytes: what it may use, not what it uses.
    pub memory_bytes: u64,
    /// Configured logical processors.
    pub cpus: u32,
    /// The lock in its configuration, if there is one.
    pub lock: Observed<Option<Lock>>,
    /// Its tags in PVE.
    pub tags: BTreeSet<String>,
    /// Started by itself when its node boots.
    pub onboot: Observed<bool>,
    /// What was read about moving it; full looks only.
    pub migration: Observed<MigrationFacts>,
}

impl Guest {
    /// Is there a live process? Unknown counts as yes: a guest is never taken for stopped without a reading.
    pub fn may_be_running(&self) -> bool {
        !self.template && !self.status.is(&GuestStatus::Stopped)
    }
}

/// State of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestStatus {
    /// Its process is there and runs.
    Running,
    /// Its process is there, its processors are halted.
    Paused,
    /// It has no process.
    Stopped,
}

/// The lock of a VM that hibernates. It is the only one with which PVE starts a VM.
pub const SUSPENDED: &str = "suspended";

/// A lock in a guest's configuration: `backup`, `migrate`, `snapshot`, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lock(pub String);

/// What decides whether and where a guest can move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationFacts {
    /// Targets that PVE refuses, each with its reasons. Empty where PVE does not say (containers before 9.0).
    pub refused: BTreeMap<NodeName, Vec<TargetRefusal>>,
    /// Volumes on storages that are not shared.
    pub local_disks: Vec<LocalDisk>,
    /// CD drives and what is in them: a volume, or `none`. VMs only.
    #[serde(default)]
    pub cd_drives: BTreeMap<String, String>,
    /// Nodes that have a CD image of this name, for images on storages that are not shared; full looks only. A node
    /// that could not be asked is left out.
    #[serde(default)]
    pub images_on: BTreeMap<String, BTreeSet<NodeName>>,
    /// Devices bound to the host: `hostpci0`, `usb1`.
    pub local_resources: Vec<LocalResource>,
    /// All storages that its volumes are on.
    pub storages: BTreeSet<StorageId>,
    /// Bridges that its network cards are connected to.
    pub bridges: BTreeSet<String>,
    /// CPU model of the configuration: `host`, `x86-64-v2-AES`; none is PVE's default (`kvm64`). VMs only.
    pub cpu_model: Option<String>,
    /// The effective machine type while running: `pc-q35-9.2+pve1`. VMs only.
    pub running_machine: Option<String>,
    /// The QEMU that its process was started with, or has moved into: `10.1.2`. VMs only, while they run.
    #[serde(default)]
    pub running_qemu: Option<Version>,
    /// The storage that its configuration names for its state (`vmstatestorage`). VMs only.
    #[serde(default)]
    pub state_storage: Option<StorageId>,
    /// It has raw QEMU arguments (`args:`), which nothing checks.
    pub has_raw_args: bool,
    /// It has snapshots; asked only where it has disks on storages that are not shared.
    pub has_snapshots: bool,
    /// Bind mounts of a container that are not marked shared: `mp0`.
    pub local_mounts: Vec<String>,
    /// Machine type of the configuration: `pc-i440fx-5.2`; none is the newest. VMs only.
    #[serde(default)]
    pub machine: Option<String>,
    /// Raw settings for the first generation of cgroups, which PVE ignores since 8: `lxc.cgroup.cpuset.cpus`.
    /// Containers only.
    #[serde(default)]
    pub old_cgroup_keys: Vec<String>,
    /// Mediated devices, vGPUs among them, which depend on the host's kernel and driver: `hostpci0`. VMs only.
    #[serde(default)]
    pub mediated_devices: Vec<String>,
    /// Content types that its volumes need of their storages: `images`, `rootdir`, `iso`.
    #[serde(default)]
    pub contents: BTreeMap<StorageId, BTreeSet<String>>,
    /// Virtual processors in all, plugged in or not: sockets times cores. VMs only.
    #[serde(default)]
    pub most_cpus: u32,
    /// The display: `std`, `virtio-gl`; none is PVE's default. VMs only.
    #[serde(default)]
    pub display: Option<String>,
    /// One of its network cards is behind PVE's firewall, which follows connections. VMs only.
    #[serde(default)]
    pub firewalled: bool,
    /// Flags that its configuration adds to its CPU model or takes away, and what its own CPU model is made of. VMs only.
    #[serde(default)]
    pub cpu_flags: CpuFlags,
    /// Files and devices of the host without which it does not start.
    #[serde(default)]
    pub host_needs: Vec<HostNeed>,
    /// Settings that nobody tests against a target, because nobody can or because Quorate does not know them.
    #[serde(default)]
    pub untested: BTreeSet<String>,
}

impl MigrationFacts {
    /// Does the guest have nothing on this storage but images in its CD drives? Once they are ejected it needs it no more.
    pub fn only_media_on(&self, id: &StorageId) -> bool {
        let mut volumes = self.local_disks.iter().filter(|disk| disk.is_on(id)).peekable();
        volumes.peek().is_some() && volumes.all(|disk| disk.usage == DiskUse::Cdrom)
    }
}

/// What a configuration says about its CPU besides the model's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuFlags {
    /// The model that a custom one (`custom-…` in `/etc/pve/virtual-guest/cpu-models.conf`) is based on.
    pub base: Option<String>,
    /// Flags that are added, by their names in /proc/cpuinfo.
    pub added: BTreeSet<String>,
    /// Flags that are taken away.
    pub removed: BTreeSet<String>,
}

/// A file or device of the host that a guest needs where it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNeed {
    /// The setting: `hookscript`, `dev0`, `lxc.mount.entry`.
    pub key: String,
    /// The volume or path: `local:snippets/up.sh`, `/dev/net/tun`.
    pub what: String,
    /// What it must be.
    pub kind: HostFile,
    /// Needed only where it starts anew, not where a running one arrives: a snippet of cloud-init.
    pub cold_start_only: bool,
    /// Is it there? By node; one that was not asked is left out. Full looks only.
    pub on: BTreeMap<NodeName, Observed<bool>>,
}

/// What a file of the host must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostFile {
    /// Anything of that name.
    Any,
    /// A file that can be executed.
    Program,
    /// A device.
    Device,
}

impl HostFile {
    /// Is it, by its type and mode as `ls -l` shows them (`-rwxr-xr-x`)?
    pub fn fits(self, mode: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Program => mode.starts_with('-') && mode.contains('x'),
            Self::Device => mode.starts_with(['b', 'c']),
        }
    }
}

/// Why PVE refuses a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetRefusal {
    /// Storages that the target does not have.
    Storages(Vec<StorageId>),
    /// Mapped devices without an entry for the target.
    Resources(Vec<String>),
    /// Guests that HA keeps apart from this one, or a rule that forbids the node.
    HaRule {
        /// `resource-affinity` or `node-affinity`.
        cause: String,
        /// The other guest's service id.
        sid: String,
    },
    /// Anything else, as PVE put it.
    Other(String),
}

impl TargetRefusal {
    /// What is left of it if these storages are others on the target.
    pub fn unless_mapped(&self, mapped: &BTreeMap<StorageId, StorageId>) -> Option<Self> {
        let Self::Storages(missing) = self else { return Some(self.clone()) };
        let missing: Vec<StorageId> = missing.iter().filter(|id| !mapped.contains_key(*id)).cloned().collect();
        (!missing.is_empty()).then_some(Self::Storages(missing))
    }
}

impl std::fmt::Display for TargetRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Storages(storages) => {
                let names: Vec<&str> = storages.iter().map(StorageId::as_str).collect();
                write!(f, "it lacks storage {}", names.join(", "))
            }
            Self::Resources(resources) => write!(f, "it has no mapping for {}", resources.join(", ")),
            Self::HaRule { cause, sid } => write!(f, "an HA rule ({cause}) about {sid}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// A volume that is not on shared storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDisk {
    /// `local-lvm:vm-103-disk-0`.
    pub volid: String,
    /// The drive: `scsi0`, `rootfs`, `ide2`.
    pub drive: String,
    /// Bytes to copy.
    pub size_bytes: u64,
    /// What it is used as.
    pub usage: DiskUse,
    /// Part of a replication job.
    pub replicated: bool,
}

impl LocalDisk {
    /// Is it on this storage?
    pub fn is_on(&self, id: &StorageId) -> bool {
        self.volid.split_once(':').is_some_and(|(storage, _)| storage == id.as_str())
    }
}

/// What a local volume is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskUse {
    /// A disk that the guest uses.
    Attached,
    /// In the configuration, but not attached.
    Unused,
    /// A CD image: blocks a migration until it is ejected.
    Cdrom,
    /// The generated cloud-init drive: generated again on the target, no obstacle.
    CloudInit,
    /// Referenced by a snapshot, hibernation state, TPM state.
    Other,
}

/// A device bound to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalResource {
    /// The configuration key: `hostpci0`, `usb1`, `virtiofs0`, `clipboard=vnc`.
    pub key: String,
    /// The mapping's name if it is mapped.
    pub mapping: Option<String>,
    /// The mapping says that it can be live-migrated.
    pub live_capable: bool,
}
