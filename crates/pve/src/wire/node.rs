//! Answers about one node: `/nodes/N/…`.

use serde::Deserialize;

use super::lenient::{Flag, Int, List, Text};

/// `GET /nodes/N/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Seconds since boot.
    pub uptime: Option<Int>,
    /// `total`, `used`.
    pub memory: Option<Amount>,
    /// `avail`.
    pub rootfs: Option<Amount>,
    /// Processors.
    pub cpuinfo: Option<CpuInfo>,
    /// `pve-manager/9.1.8/af55dc3d`: what the services that answer were loaded from.
    pub pveversion: Option<Text>,
    /// The running kernel, since 8.0.
    #[serde(rename = "current-kernel")]
    pub current_kernel: Option<CurrentKernel>,
}

/// `GET /nodes/N/capabilities/qemu/migration` (9.0 and later).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct MigrationCapabilities {
    /// VMs can take state of the host's along: that of the firewall's connections.
    pub has_dbus_vmstate: Flag,
}

/// The running kernel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CurrentKernel {
    /// `x86_64`, `aarch64`.
    pub machine: Text,
}

/// Bytes of memory or of a file system.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Total bytes.
    pub total: Option<Int>,
    /// Bytes in use.
    pub used: Option<Int>,
    /// Free for use (file systems).
    pub avail: Option<Int>,
}

/// Processors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuInfo {
    /// Logical processors.
    pub cpus: Option<Int>,
    /// Model name.
    pub model: Text,
    /// Flags, separated by blanks.
    pub flags: Text,
}

/// An entry of `GET /nodes/N/services`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Service {
    /// Its name.
    pub name: Text,
    /// `running`, `dead`, `exited`.
    pub state: Text,
    /// `active`, `inactive`, `failed`.
    pub active_state: Text,
    /// `enabled`, `disabled`, `static`, `masked`, `not-found`.
    pub unit_state: Text,
}

/// `GET /nodes/N/subscription`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Subscription {
    /// `new`, `notfound`, `active`, `invalid`, `expired`, `suspended`.
    pub status: Option<Text>,
}

/// An entry of `GET /nodes/N/network`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Its name.
    pub iface: Text,
    /// `bridge`, `OVSBridge`, `vnet`, `eth`, …
    #[serde(rename = "type")]
    pub kind: Text,
}

/// An entry of `GET /nodes/N/storage`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// Its id.
    pub storage: Text,
    /// Reachable there now.
    pub active: Flag,
    /// Free bytes.
    pub avail: Option<Int>,
}

/// An entry of `GET /nodes/N/disks/list`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// `/dev/sda`.
    pub devpath: Text,
    /// Its model.
    pub model: Text,
    /// Its serial number.
    pub serial: Text,
    /// SMART's word; `UNKNOWN` where smartctl says nothing.
    pub health: Option<Text>,
}

/// An entry of `GET /nodes/N/tasks`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Its UPID.
    pub upid: Text,
    /// When it ended; missing while it runs.
    pub endtime: Option<Int>,
    /// `RUNNING` or missing while it runs.
    pub status: Option<Text>,
}

impl Task {
    /// Is it still running?
    pub fn is_running(&self) -> bool {
        self.endtime.is_none() && self.status.as_ref().is_none_or(|status| status.0 == "RUNNING")
    }
}

/// An entry of `GET /nodes/N/apt/versions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PackageVersion {
    /// Its name.
    pub package: Text,
    /// The installed version, despite its name.
    pub old_version: Option<Text>,
    /// `Installed`, `NotInstalled`, `ConfigFiles`, …
    pub current_state: Option<Text>,
}

/// `GET /nodes/N/apt/repositories`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Repositories {
    /// Files that could be read.
    pub files: List<RepositoryFile>,
    /// Files that could not.
    pub errors: List<RepositoryError>,
    /// What PVE has found out about the entries.
    pub infos: List<RepositoryInfo>,
}

/// Something about one entry of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RepositoryInfo {
    /// The file.
    pub path: Text,
    /// The number of the entry in it.
    pub index: Text,
    /// `origin`: whose it is, by its release file; `warning`, `badge`, ….
    pub kind: Text,
    /// `Debian`, `Proxmox`.
    pub message: Text,
}

/// One file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RepositoryFile {
    /// Its path.
    pub path: Text,
    /// Its entries.
    pub repositories: List<Repository>,
}

/// A file that could not be read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RepositoryError {
    /// Its path.
    pub path: Text,
    /// PVE's message.
    pub error: Text,
}

/// One entry or stanza.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Repository {
    /// It is enabled.
    pub enabled: Flag,
    /// `deb`.
    pub types: List<Text>,
    /// Base addresses.
    #[serde(rename = "URIs")]
    pub uris: List<Text>,
    /// Suites.
    pub suites: List<Text>,
    /// Components.
    pub components: List<Text>,
}
