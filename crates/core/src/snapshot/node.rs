//! A node: what it is, what runs on it, what is installed on it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::HostFacts;
use crate::ids::{BootId, GuestKind, NodeName, StorageId, UnitName, Vmid};
use crate::observed::Observed;
use crate::version::Version;

/// One member of the cluster's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its short host name, as in `/etc/pve/nodes/`.
    pub name: NodeName,
    /// What the login shell of root prints by itself, beside what programs print; none where it is silent. With it, nothing
    /// that is read by shell is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_text: Option<String>,
    /// The certificate that its API shows in place of the pinned one: nothing is sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_certificate: Option<OtherCertificate>,
    /// Does the cluster have it as a member now? As seen by *other* nodes (`/cluster/status`), never by itself.
    pub online: Observed<bool>,
    /// Which boot it is in, read on the node itself.
    pub boot: Observed<BootId>,
    /// Seconds since its boot.
    pub uptime_s: Observed<u64>,
    /// Physical memory.
    pub memory: Observed<Memory>,
    /// Processors.
    pub cpu: Observed<Cpu>,
    /// pve-manager's version, as installed.
    pub pve_version: Observed<Version>,
    /// pve-manager's version that answers: its services run it until they are restarted.
    #[serde(default = "unread")]
    pub running_manager: Observed<Version>,
    /// The packages that asked for a reboot (`/run/reboot-required`); `None` if none did.
    #[serde(default = "unread")]
    pub reboot_required: Observed<Option<Vec<String>>>,
    /// Is the system itself on its way down?
    #[serde(default = "unread")]
    pub going_down: Observed<Option<GoingDown>>,
    /// The QEMU package's version (`pve-qemu-kvm`): the target of a live migration must not have an older one.
    pub qemu_version: Observed<Version>,
    /// corosync's package version.
    pub corosync_version: Observed<Version>,
    /// Kernels installed, running, pinned.
    pub kernel: Observed<Kernel>,
    /// Pending updates and the state of dpkg.
    pub packages: Observed<Packages>,
    /// Our upgrade unit on this node, if systemd or its log still knows it.
    pub upgrade_unit: Observed<Option<UpgradeUnit>>,
    /// Package repositories, all files and both formats.
    pub repositories: Observed<Vec<Repository>>,
    /// State of the subscription key.
    pub subscription: Observed<SubscriptionStatus>,
    /// Free bytes on `/`.
    pub root_free_bytes: Observed<u64>,
    /// Free bytes on `/boot` (or what holds it).
    pub boot_free_bytes: Observed<u64>,
    /// The node's clock minus ours, in milliseconds.
    pub clock_skew_ms: Observed<i64>,
    /// Services that PVE lists, with their state.
    pub services: Observed<Vec<Service>>,
    /// Failed systemd units.
    pub failed_units: Observed<Vec<String>>,
    /// Guests as `qm list` and `pct list` show them on the node itself: not filtered by what a token may see.
    pub local_guests: Observed<Vec<LocalGuest>>,
    /// Storages as this node sees them.
    pub storages: Observed<BTreeMap<StorageId, StorageOnNode>>,
    /// Names of its bridges.
    pub bridges: Observed<BTreeSet<String>>,
    /// Can VMs take the state of the firewall's connections along when they move live (`has-dbus-vmstate`, since 9.0)?
    #[serde(default = "not_read")]
    pub moves_connections: Observed<bool>,
    /// What else its operating system reports, for advice.
    #[serde(default)]
    pub host: HostFacts,
}

impl Node {
    /// A node about which only the name is known.
    pub fn unseen(name: NodeName, why: &str) -> Self {
        fn gap<T>(name: &NodeName, why: &str) -> Observed<T> {
            Observed::unknown(name.as_str(), why)
        }
        Self {
            login_text: None,
            other_certificate: None,
            online: gap(&name, why),
            boot: gap(&name, why),
            uptime_s: gap(&name, why),
            memory: gap(&name, why),
            cpu: gap(&name, why),
            pve_version: gap(&name, why),
            running_manager: gap(&name, why),
            reboot_required: gap(&name, why),
            going_down: gap(&name, why),
            qemu_version: gap(&name, why),
            corosync_version: gap(&name, why),
            kernel: gap(&name, why),
            packages: gap(&name, why),
            upgrade_unit: gap(&name, why),
            repositories: gap(&name, why),
            subscription: gap(&name, why),
            root_free_bytes: gap(&name, why),
            boot_free_bytes: gap(&name, why),
            clock_skew_ms: gap(&name, why),
            services: gap(&name, why),
            failed_units: gap(&name, why),
            local_guests: gap(&name, why),
            storages: gap(&name, why),
            bridges: gap(&name, why),
            moves_connections: gap(&name, why),
            host: HostFacts::unseen(name.as_str(), why),
            name,
        }
    }
}

/// For a snapshot that was exported before this was read.
fn unread<T>() -> Observed<T> {
    Observed::unknown("the exported snapshot", "it was written before this was read")
}

/// In which way a system is on its way down, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoingDown {
    /// systemd stops everything (`systemctl is-system-running`: stopping).
    Now,
    /// It was told to go down later (`shutdown +10`).
    Later,
}

/// Memory of a node, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Physical memory in all.
    pub total_bytes: u64,
    /// In use now.
    pub used_bytes: u64,
    /// The host's own part of that: its system, Ceph, ZFS; and guests on their way here, which are not listed yet.
    #[serde(default)]
    pub host_bytes: u64,
}

/// Processors of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Logical processors.
    pub count: u32,
    /// Model name from /proc/cpuinfo.
    pub model: String,
    /// Feature flags.
    pub flags: BTreeSet<String>,
    /// Architecture, as `uname -m` names it. Releases that do not say run on x86_64 only.
    #[serde(default = "x86_64")]
    pub architecture: String,
}

/// For a snapshot that was exported before this was read: nothing is sent that a node may not know.
fn not_read() -> Observed<bool> {
    Observed::unknown("the exported snapshot", "it was written before this was read")
}

fn x86_64() -> String {
    "x86_64".to_owned()
}

/// Kernels of a node. Versions are release strings as `uname -r` gives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub running: Version,
    /// All that could be booted.
    pub installed: Vec<Version>,
    /// Pinned for every boot.
    pub pinned: Option<Version>,
    /// Pinned for the next boot only.
    pub next_boot: Option<Version>,
}

impl Kernel {
    /// The kernel that the next boot will bring up: next-boot pin, pin, or the newest installed.
    pub fn will_boot(&self) -> &Version {
        let newest = self.installed.iter().max().unwrap_or(&self.running);
        self.next_boot.as_ref().or(self.pinned.as_ref()).unwrap_or(newest)
    }

    /// Would a reboot bring up another kernel than the running one?
    pub fn reboot_needed(&self) -> bool {
        *self.will_boot() != self.running
    }
}

/// Packages of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    /// What `apt-get -s dist-upgrade` would install, by name.
    pub pending: Vec<PendingPackage>,
    /// What it would remove.
    pub removals: Vec<String>,
    /// Installed packages that it leaves as they are although newer ones are offered.
    #[serde(default)]
    pub kept_back: Vec<String>,
    /// Installed packages that an administrator holds (`apt-mark hold`).
    #[serde(default)]
    pub held: Vec<String>,
    /// Installed versions, to be compared with other nodes: of packages that are pending somewhere, or of which nodes
    /// have different versions.
    #[serde(default)]
    pub installed: BTreeMap<String, Version>,
    /// `dpkg --audit`: packages half installed or half configured; should be empty.
    pub broken: Vec<String>,
    /// Age of the package lists, in seconds, if known: since they were last read from the repositories with success.
    pub lists_age_s: Option<u64>,
    /// True while another process holds dpkg's lock.
    pub locked: bool,
}

/// One package that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPackage {
    /// The name of the package.
    pub name: String,
    /// Installed version; none for a new package.
    pub from: Option<Version>,
    /// Version that it would have then.
    pub to: Version,
    /// Origin as apt prints it: `Proxmox VE:stable`.
    pub origin: String,
}

/// Our detached upgrade on a node, found again by the unit's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeUnit {
    /// The unit's name.
    pub unit: UnitName,
    /// What systemd says of it.
    pub state: UnitState,
}

/// Another certificate than the pinned one, each by its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherCertificate {
    /// What the node shows.
    pub shown: String,
    /// What the configuration names.
    pub pinned: String,
}

/// State of a transient unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// It still runs.
    Running,
    /// It has ended, in this way.
    Ended(UnitOutcome),
}

/// How a unit ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitOutcome {
    /// Exit status 0.
    Success,
    /// Anything else: exit status or signal in words, and the last lines of its output.
    Failed {
        /// `exit status 100`, `signal KILL`.
        how: String,
        /// The last lines of the kept output.
        tail: Vec<String>,
    },
}

/// One package source: a one-line entry or a deb822 stanza.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// The file that it is in.
    pub path: String,
    /// Whether apt uses it.
    pub enabled: bool,
    /// `deb`, `deb-src`.
    pub types: Vec<String>,
    /// Base addresses.
    pub uris: Vec<String>,
    /// Suites: `trixie`, `trixie-updates`.
    pub suites: Vec<String>,
    /// Components: `main`, `pve-enterprise`.
    pub components: Vec<String>,
    /// Whose it is, by its own release file: `Debian`, `Proxmox`. None where PVE does not say.
    #[serde(default)]
    pub origin: Option<String>,
}

/// State of the subscription key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionStatus {
    /// Valid.
    Active,
    /// No key.
    NotFound,
    /// A key that is no use: invalid, expired, suspended, new.
    Invalid,
}

/// A service in `/nodes/N/services`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name, without `.service`.
    pub name: String,
    /// Is it running (or has it done its work, for one-shot units)?
    pub active: bool,
    /// systemd's sub-state: `running`, `dead`, `exited`.
    pub state: String,
    /// Is it installed and enabled, so that it should be active?
    pub enabled: bool,
}

/// A guest as the node itself lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalGuest {
    /// VM or container.
    pub kind: GuestKind,
    /// Its number in the cluster.
    pub vmid: Vmid,
    /// Anything but `stopped` counts as running: there is a live process.
    pub running: bool,
    /// Its name as configured: it may be anything.
    pub name: String,
}

/// A storage as one node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageOnNode {
    /// Reachable there now.
    pub active: bool,
    /// Free bytes.
    pub free_bytes: u64,
}
