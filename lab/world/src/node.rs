//! A machine: power, boots, kernels, packages, services. Types only; the behaviour is in `power`, `packages` and
//! `services`.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{BootId, GuestId, NodeName, UnitName};
use quorate_core::version::Version;

use super::events::Rng;
pub use super::surroundings::{Address, BootPartition, RecordedChecker, Surroundings};
use serde::{Deserialize, Serialize};

/// One machine of the cluster, as it really is.
#[derive(Clone, Debug)]
pub struct Node {
    /// Short host name.
    pub name: NodeName,
    /// Number in corosync.conf.
    pub nodeid: u32,
    /// Corosync links in order; the first address is also the API's.
    pub links: Vec<Link>,
    /// Is it on, going down, off, booting?
    pub power: Power,
    /// The kernel's random id of this boot; the last one's while it is off.
    pub boot_id: BootId,
    /// When this boot's kernel started.
    pub booted_ms: u64,
    /// How many boots this machine has had; seeds the next boot id.
    pub boots: u32,
    /// Installed memory.
    pub memory_bytes: u64,
    /// Memory the host itself uses (system, Ceph).
    pub host_used_bytes: u64,
    /// Logical processors.
    pub cpus: u32,
    /// Model name from /proc/cpuinfo.
    pub cpu_model: String,
    /// Feature flags from /proc/cpuinfo.
    pub cpu_flags: Vec<String>,
    /// Running, bootable and pinned kernels.
    pub kernel: Kernel,
    /// Installed and available packages.
    pub packages: Packages,
    /// The pve-manager that its services still run, where another one was installed since they started.
    pub old_manager: Option<Version>,
    /// The certificate that its API shows since it was renewed, by its SHA-256; none where it is the one that was pinned.
    pub renewed_certificate: Option<String>,
    /// What `/root/.bashrc` prints in every session, also in those with a command.
    pub greeting: Option<String>,
    /// Has it no package of Ceph's daemons, in a cluster in which others have?
    pub compute_only: bool,
    /// Services by systemd name without `.service`.
    pub services: BTreeMap<String, Service>,
    /// Transient units started with systemd-run since this boot.
    pub units: BTreeMap<UnitName, Unit>,
    /// Files below /var/log that units append to, by path; survive a reboot.
    pub unit_logs: BTreeMap<String, Vec<String>>,
    /// Free bytes on `/`.
    pub root_free_bytes: u64,
    /// Free bytes on `/boot`.
    pub boot_free_bytes: u64,
    /// The machine's clock minus the true time.
    pub clock_skew_ms: i64,
    /// Bridges.
    pub bridges: Vec<String>,
    /// `active`, `notfound`, ...
    pub subscription: String,
    /// APT sources.
    pub repositories: Vec<Repository>,
    /// Guests whose configuration lies on this node (`/etc/pve/nodes/N/`).
    pub guests: BTreeSet<GuestId>,
    /// Guests with a process on this node, whatever /etc/pve says.
    pub processes: BTreeSet<GuestId>,
    /// Does sshd answer?
    pub ssh_up: bool,
    /// Does pveproxy answer?
    pub api_up: bool,
    /// pveproxy restarts: connections are refused until this moment.
    pub api_refused_until_ms: u64,
    /// Is corosync running here?
    pub corosync_up: bool,
    /// Version of the running corosync process (a package upgrade changes it only by a restart).
    pub corosync_running: Version,
    /// Is this the first join since boot (so that onboot guests wait for quorum)?
    pub startall_pending: bool,
    /// If set, every API call that reaches this node fails with this text (a fault).
    pub api_error: Option<String>,
    /// The journal, as far as the world writes one; the newest lines, across boots.
    pub journal: Vec<JournalLine>,
    /// Did this boot find its network cards under other names, so that nothing reaches it?
    pub nics_renamed: bool,
    /// Has pmxcfs lost corosync? Then `/etc/pve` is read-only here whatever the votes, until it is restarted.
    pub pmxcfs_alone: bool,
    /// pmxcfs does not run until this moment: `/etc/pve` is an empty directory here.
    pub pmxcfs_away_until_ms: u64,
    /// Nothing is reported about this node to the others until this moment.
    pub pvestatd_hangs_until_ms: u64,
    /// When it goes down by a shutdown that is scheduled (`shutdown +10`), and what follows.
    pub shutdown_due: Option<(u64, AfterDown)>,
    /// Other properties of its operating system.
    pub surroundings: Surroundings,
}

/// One corosync link of one node.
#[derive(Clone, Debug)]
pub struct Link {
    /// IP address.
    pub address: String,
    /// Is the cable plugged in?
    pub up: bool,
}

/// The machine's power state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Power {
    /// The system is up.
    On,
    /// systemd is stopping it.
    GoingDown {
        /// When this began.
        since_ms: u64,
        /// What follows.
        then: AfterDown,
        /// Present stage.
        stage: DownStage,
    },
    /// No power, or halted.
    Off,
    /// From power-on to the first service.
    Booting {
        /// When this began.
        since_ms: u64,
    },
    /// Powered, but the system does not come up (a fault).
    Hung,
}

/// What follows a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDown {
    /// Boot again.
    Reboot,
    /// Stay off.
    Off,
}

/// Stages of an orderly shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownStage {
    /// HA stops or moves its services first.
    HaDrain,
    /// pve-guests shuts the remaining guests down.
    Guests,
    /// Services stop; the API still answers.
    Services,
    /// A unit does not stop (a fault): the API is gone, corosync still runs.
    Hangs,
}

/// Kernels, as `uname -r` writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The running kernel.
    pub running: Version,
    /// Bootable kernels.
    pub installed: Vec<Version>,
    /// Pinned for every boot.
    pub pinned: Option<Version>,
    /// Pinned for the next boot.
    pub next_boot: Option<Version>,
}

/// Packages of one node.
#[derive(Clone, Debug, Default)]
pub struct Packages {
    /// Installed versions (of the packages that the world knows).
    pub installed: BTreeMap<String, Version>,
    /// Candidates in this node's package lists, as of its last `apt update`.
    pub lists: BTreeMap<String, Version>,
    /// When PVE last wrote `/var/lib/pve-manager/pkgupdates`: after a refresh that succeeded.
    pub lists_at_ms: u64,
    /// Packages that are held (`apt-mark hold`).
    pub held: BTreeSet<String>,
    /// What apt keeps back for reasons of its own.
    pub kept: BTreeSet<String>,
    /// What an upgrade would remove.
    pub removals: BTreeSet<String>,
    /// Half-configured packages (`dpkg --audit`).
    pub broken: Vec<String>,
    /// dpkg was interrupted: apt refuses until `dpkg --configure -a`.
    pub interrupted: bool,
    /// Who holds `/var/lib/dpkg/lock-frontend`: a process id.
    pub locked_by: Option<u32>,
}

/// A service, in systemd's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `active`, `inactive`, `failed`.
    pub active_state: String,
    /// `running`, `dead`, `exited`.
    pub sub_state: String,
    /// `enabled`, `disabled`, `not-found`.
    pub unit_state: String,
    /// One line for people.
    pub description: String,
}

/// A transient unit (systemd-run).
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its name, without `.service`.
    pub name: UnitName,
    /// Where its output goes.
    pub log_path: Option<String>,
    /// When it started.
    pub started_ms: u64,
    /// Main process.
    pub pid: u32,
    /// Was dpkg told what to do with changed configuration files (`--force-confold`, `--force-confdef`)?
    pub answers_itself: bool,
    /// Whether it runs or how it ended.
    pub state: UnitState,
}

/// State of a transient unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitState {
    /// `active`/`running`.
    Running,
    /// Ended with this status; 0 shows as `active`/`exited` (RemainAfterExit), others as `failed`.
    Exited(i32),
}

/// One APT source stanza. Where a stanza has several of something, they are separated by blanks, as in its file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Repository {
    /// File under /etc/apt.
    pub path: String,
    /// Is it switched on?
    pub enabled: bool,
    /// URI.
    pub uri: String,
    /// Suite.
    pub suite: String,
    /// Component.
    pub component: String,
    /// `deb`, or what else it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<String>,
    /// Whose it is by its release file, where its address does not show that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl Node {
    /// Is the operating system up, so that guests can run?
    pub fn is_up(&self) -> bool {
        matches!(self.power, Power::On | Power::GoingDown { .. })
    }

    /// Seconds since boot; 0 while it is not up.
    pub fn uptime_s(&self, now_ms: u64) -> u64 {
        if self.is_up() { now_ms.saturating_sub(self.booted_ms) / 1000 } else { 0 }
    }

    /// Does pveproxy answer at this moment?
    pub fn api_answers(&self, now_ms: u64) -> bool {
        self.api_up && now_ms >= self.api_refused_until_ms
    }

    /// Feature flags as its running kernel shows them.
    pub fn cpu_flags(&self) -> impl Iterator<Item = &String> {
        self.cpu_flags.iter().chain(self.surroundings.kernel_flags.get(&self.kernel.running).into_iter().flatten())
    }

    /// Installed version of a package.
    pub fn installed(&self, package: &str) -> Option<&Version> {
        self.packages.installed.get(package)
    }
}

impl Kernel {
    /// What the next boot brings up: next-boot pin, pin, newest installed.
    pub fn will_boot(&self) -> Version {
        let newest = self.installed.iter().max().unwrap_or(&self.running);
        self.next_boot.as_ref().or(self.pinned.as_ref()).unwrap_or(newest).clone()
    }
}

/// One line of a node's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLine {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// The unit, without `.service`.
    pub unit: &'static str,
    /// The message.
    pub text: String,
}

/// A fresh random id in the kernel's form.
pub(crate) fn random_boot_id(rng: &mut Rng) -> BootId {
    let (a, b) = (rng.next_u64(), rng.next_u64());
    BootId::new(format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        (b >> 48) & 0xfff,
        b & 0xffff_ffff_ffff
    ))
}
