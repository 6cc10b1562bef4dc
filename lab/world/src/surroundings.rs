//! What a machine's operating system reports besides what its node is made of: boot partitions, network cards, the
//! upgrade checker. No behaviour.

use std::collections::BTreeMap;
use std::net::IpAddr;

use quorate_core::ids::NodeName;
use quorate_core::version::Version;

use super::disks::Disks;

/// Other properties of a machine's operating system, as its tools report them.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// File system of `/`.
    pub root: String,
    /// EFI system partitions that proxmox-boot-tool keeps; none on a machine that was installed on LVM.
    pub boot_partitions: Vec<BootPartition>,
    /// Further lines of `proxmox-boot-tool status`, as it prints them.
    pub boot_complaints: Vec<String>,
    /// Free bytes on `/boot/efi`, which is mounted where proxmox-boot-tool keeps nothing; none where it never is.
    pub efi_free_bytes: Option<u64>,
    /// Does a time server keep the clock? Where nothing is said, it does unless the clock is wrong.
    pub time_kept: Option<bool>,
    /// Its network cards.
    pub nics: Vec<String>,
    /// Those whose names a `.link` file of systemd fixes.
    pub pinned_nics: Vec<String>,
    /// Modules that are built on the machine, as `dkms status` lists them.
    pub dkms: Vec<String>,
    /// The packages that asked for a reboot, if any did: `/run/reboot-required` is gone after it.
    pub reboot_required: Option<Vec<String>>,
    /// Additional lines that PVE's checker prints: `FAIL: systemd-boot meta-package installed`.
    pub checker_says: Vec<String>,
    /// What it printed when it was recorded: that and nothing else until a package is installed or the node boots.
    pub recorded_checker: Option<RecordedChecker>,
    /// Its interfaces with their addresses, where they are not simply those of its links and the next ones.
    pub interfaces: Vec<Address>,
    /// Addresses besides those of the links, with their networks: `10.10.3.1/24`.
    pub addresses: Vec<String>,
    /// Devices and files that guests may need, with type and mode as `ls -l` shows them.
    pub paths: BTreeMap<String, String>,
    /// Feature flags that a kernel shows besides.
    pub kernel_flags: BTreeMap<Version, Vec<String>>,
    /// Largest packet of its network cards.
    pub mtu: u32,
    /// Nodes at which its logins fail, with what ssh says.
    pub login_fails: BTreeMap<NodeName, String>,
    /// Nodes that packets of this size or more do not reach.
    pub narrow: BTreeMap<NodeName, u32>,
    /// What is wrong with its disks.
    pub disks: Disks,
}

/// Devices that every node has.
const DEVICES: [&str; 6] = ["/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/null", "/dev/random", "/dev/urandom"];

impl Surroundings {
    /// With these devices and files besides the usual ones; what is not below /dev is a program.
    pub fn with_paths(paths: &[String]) -> Self {
        let mode = |path: &str| if path.starts_with("/dev/") { "crw-rw-rw-" } else { "-rwxr-xr-x" };
        let mut own = Self::default();
        own.paths.extend(paths.iter().map(|path| (path.clone(), mode(path).to_owned())));
        own
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            root: "ext4".to_owned(),
            boot_partitions: Vec::new(),
            boot_complaints: Vec::new(),
            efi_free_bytes: Some(980 << 20),
            time_kept: None,
            nics: vec!["eno1".to_owned()],
            pinned_nics: Vec::new(),
            dkms: Vec::new(),
            reboot_required: None,
            checker_says: Vec::new(),
            recorded_checker: None,
            interfaces: Vec::new(),
            addresses: Vec::new(),
            paths: DEVICES.map(|path| (path.to_owned(), "crw-rw-rw-".to_owned())).into(),
            kernel_flags: BTreeMap::new(),
            mtu: 1500,
            login_fails: BTreeMap::new(),
            narrow: BTreeMap::new(),
            disks: Disks::default(),
        }
    }
}

/// An address of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface: `vmbr0`.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
    /// Length of its network's prefix.
    pub prefix: u8,
    /// Largest packet of the interface.
    pub mtu: u32,
}

/// What an upgrade checker printed.
#[derive(Clone, Debug)]
pub struct RecordedChecker {
    /// The program.
    pub tool: String,
    /// Heading, level and text of each line.
    pub lines: Vec<[String; 3]>,
    /// Did it reach its summary?
    pub finished: bool,
}

/// A partition that proxmox-boot-tool writes kernels to.
#[derive(Clone, Debug)]
pub struct BootPartition {
    /// Id of its file system.
    pub uuid: String,
    /// `uefi` or `grub`.
    pub loader: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Kernels on it; none means the installed ones.
    pub kernels: Option<Vec<String>>,
    /// Is the disk still there?
    pub present: bool,
}
