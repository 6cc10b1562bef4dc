//! Guests: configuration, process, lock. Types only; starting and stopping is in `lifecycle`, moving in `migration`.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName, StorageId};
use quorate_core::version::Version;

/// A VM or container, as it really is.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Kind and number.
    pub id: GuestId,
    /// The guest's name.
    pub name: String,
    /// The node that holds its configuration file.
    pub node: NodeName,
    /// Nodes on which it has a process. More than one entry is the disaster called *doubled*.
    pub runs_on: BTreeSet<NodeName>,
    /// What the process is doing.
    pub activity: Activity,
    /// Config lock: `migrate`, `backup`, ...
    pub lock: Option<String>,
    /// A template cannot run.
    pub template: bool,
    /// Configured memory.
    pub memory_bytes: u64,
    /// Configured cores.
    pub cores: u32,
    /// Virtual processor type (`x86-64-v2-AES`, `host`); empty for PVE's default.
    pub cpu: String,
    /// Configured machine type; none means the newest.
    pub machine: Option<String>,
    /// Guest OS type.
    pub ostype: String,
    /// Start with the node?
    pub onboot: bool,
    /// Guest agent configured and answering?
    pub agent: bool,
    /// Drives and mount points.
    pub disks: Vec<Disk>,
    /// Network devices.
    pub nets: Vec<Net>,
    /// Raw host devices: `hostpci0` -> `0000:01:00.0`, `usb0` -> `host=1-2`, `serial0` -> `/dev/ttyS0`.
    pub devices: BTreeMap<String, String>,
    /// Any other configuration, verbatim.
    pub extra: BTreeMap<String, String>,
    /// Tags of the guest.
    pub tags: Vec<String>,
    /// When the guest's present process (or the first of its chain of live moves) was started.
    pub started_ms: u64,
    /// QEMU version of the running process.
    pub running_qemu: Option<Version>,
    /// Machine type of the running process.
    pub running_machine: Option<String>,
    /// Process id on its node.
    pub pid: u32,
    /// What its process holds of that memory, where that is known.
    pub resident_bytes: Option<u64>,
    /// How fast it dirties memory.
    pub dirty_bytes_per_s: u64,
    /// How long an orderly shutdown takes; it fails if this exceeds the caller's timeout.
    pub shutdown_ms: u64,
    /// Is its storage refusing I/O (Ceph placement groups inactive)?
    pub stalled: bool,
    /// Names of the guest's snapshots.
    pub snapshots: Vec<String>,
}

/// What a guest's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It has no process.
    Stopped,
    /// The start task is running.
    Starting,
    /// It runs.
    Running,
    /// An orderly shutdown is in progress.
    ShuttingDown,
}

/// A drive, mount point or root disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Configuration key: `scsi0`, `ide2`, `rootfs`.
    pub key: String,
    /// Storage; none for `none` or a bind mount.
    pub storage: Option<StorageId>,
    /// Volume on the storage: `vm-101-disk-0`, `iso/debian.iso`; `none` for an empty drive.
    pub volume: String,
    /// Size.
    pub size_bytes: u64,
    /// Removable or fixed?
    pub media: Media,
}

/// Kind of a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// A disk.
    Disk,
    /// A CD drive.
    Cdrom,
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// `net0`.
    pub key: String,
    /// Hardware address.
    pub mac: String,
    /// Bridge.
    pub bridge: String,
}

impl Guest {
    /// Is there a process (anything but stopped)?
    pub fn is_running(&self) -> bool {
        !self.runs_on.is_empty()
    }

    /// The storage on which the state of a VM that hibernates lies.
    pub fn state_storage(&self) -> Option<StorageId> {
        self.extra.get("vmstate")?.split_once(':').map(|(storage, _)| StorageId::new(storage))
    }

    /// Does it serve now: does it have a process, and storage that answers?
    pub fn serves(&self) -> bool {
        self.is_running() && !self.stalled && matches!(self.activity, Activity::Running)
    }

    /// What a process of it holds of its memory: usually four fifths.
    pub fn held_bytes(&self) -> u64 {
        self.resident_bytes.unwrap_or(self.memory_bytes / 10 * 8)
    }

    /// Seconds since start.
    pub fn uptime_s(&self, now_ms: u64) -> u64 {
        if self.is_running() { now_ms.saturating_sub(self.started_ms) / 1000 } else { 0 }
    }
}
