//! Settings of guests: which mean the same on every node, which need something there, and which nobody can test.

use quorate_core::snapshot::HostFile;

use crate::wire::guest::Config;

/// Settings of a VM that are the same wherever it runs, or that are judged elsewhere. What is not here is untested.
const VM_SETTINGS: &[&str] = &[
    "acpi",
    "agent",
    "allow-ksm",
    "amd-sev",
    "arch",
    "args",
    "autostart",
    "balloon",
    "bios",
    "boot",
    "bootdisk",
    "cdrom",
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "cores",
    "cpu",
    "cpulimit",
    "cpuunits",
    "description",
    "digest",
    "freeze",
    "hookscript",
    "hotplug",
    "intel-tdx",
    "ivshmem",
    "keephugepages",
    "keyboard",
    "kvm",
    "localtime",
    "lock",
    "machine",
    "memory",
    "meta",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "nameserver",
    "numa",
    "onboot",
    "ostype",
    "parent",
    "protection",
    "reboot",
    "running-nets-host-mtu",
    "runningcpu",
    "runningmachine",
    "scsihw",
    "searchdomain",
    "shares",
    "smbios1",
    "smp",
    "snaptime",
    "sockets",
    "spice_enhancements",
    "sshkeys",
    "startdate",
    "startup",
    "tablet",
    "tags",
    "tdf",
    "template",
    "vcpus",
    "vga",
    "vmgenid",
    "vmstate",
    "vmstatestorage",
    "watchdog",
];

/// The same, of settings with a number. PVE itself lists shared folders and devices of the host.
const VM_NUMBERED: &[&str] = &[
    "audio", "efidisk", "hostpci", "ide", "ipconfig", "net", "parallel", "rng", "sata", "scsi", "serial", "tpmstate",
    "unused", "usb", "virtio", "virtiofs",
];

/// Settings of a container.
const CT_SETTINGS: &[&str] = &[
    "arch",
    "cmode",
    "console",
    "cores",
    "cpulimit",
    "cpuunits",
    "debug",
    "description",
    "digest",
    "entrypoint",
    "env",
    "features",
    "hookscript",
    "hostname",
    "lock",
    "lxc",
    "memory",
    "nameserver",
    "onboot",
    "ostype",
    "parent",
    "protection",
    "rootfs",
    "searchdomain",
    "snaptime",
    "startup",
    "swap",
    "tags",
    "template",
    "timezone",
    "tty",
    "unprivileged",
];

/// Settings of a container with a number.
const CT_NUMBERED: &[&str] = &["dev", "mp", "net", "unused"];

/// Raw settings of a container that are the same on every node. Those of the first cgroups have a check of their own.
const RAW_SETTINGS: &[&str] = &[
    "lxc.apparmor.allow_incomplete",
    "lxc.apparmor.allow_nesting",
    "lxc.apparmor.raw",
    "lxc.autodev",
    "lxc.cap.",
    "lxc.cgroup.",
    "lxc.cgroup2.",
    "lxc.console.",
    "lxc.devtty.dir",
    "lxc.environment",
    "lxc.group",
    "lxc.hook.version",
    "lxc.init.",
    "lxc.kmsg",
    "lxc.log.",
    "lxc.mount.auto",
    "lxc.prlimit.",
    "lxc.pty.max",
    "lxc.signal.",
    "lxc.start.",
    "lxc.sysctl.",
    "lxc.tty.max",
];

/// Raw settings whose value is a path that must be there.
const RAW_PATHS: &[&str] = &["lxc.include", "lxc.mount.fstab", "lxc.seccomp.profile"];

/// Places in memory, processors by number and large pages are those of one host; what is not known may be anything.
pub(super) fn untested_of_vm(config: &Config) -> impl Iterator<Item = String> + '_ {
    let known = |key: &str| VM_SETTINGS.contains(&key) || is_numbered(key, VM_NUMBERED);
    let of_its_host = |key: &str| config.text(key).is_some_and(|text| text.contains("hostnodes="));
    let tested = move |key: &str| if is_numbered(key, &["numa"]) { !of_its_host(key) } else { known(key) };
    config.keys().filter(move |key| !tested(key)).map(str::to_owned)
}

/// What of a container's settings is not known.
pub(super) fn untested_of_ct(config: &Config) -> impl Iterator<Item = String> + '_ {
    let known = |key: &str| CT_SETTINGS.contains(&key) || is_numbered(key, CT_NUMBERED);
    config.keys().filter(move |key| !known(key)).map(str::to_owned)
}

fn is_numbered(key: &str, prefixes: &[&str]) -> bool {
    let numbers = prefixes.iter().filter_map(|prefix| key.strip_prefix(prefix));
    numbers.into_iter().any(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a raw setting of a container means for a move.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    /// The same on every node.
    Same,
    /// This path must be there.
    Path(&'a str, HostFile),
    /// What is at this path is its node's own.
    OfItsNode(&'a str),
    /// Nobody can say.
    Untested,
}

/// What it means, by key and value.
pub(super) fn raw<'a>(key: &str, value: &'a str) -> Raw<'a> {
    let mut words = value.split_whitespace();
    let first = words.next().unwrap_or_default();
    match key {
        "lxc.mount.entry" if first.starts_with('/') => mounted(first),
        "lxc.mount.entry" => Raw::Same,
        "lxc.apparmor.profile" if matches!(first, "generated" | "unconfined" | "unchanged") => Raw::Same,
        "lxc.cgroup2.devices.allow" => match has_dynamic_number(words.next().unwrap_or_default()) {
            true => Raw::Untested,
            false => Raw::Same,
        },
        "lxc.cgroup2.cpuset.cpus" | "lxc.cgroup2.cpuset.mems" => Raw::Untested,
        _ if RAW_PATHS.contains(&key) && first.starts_with('/') => Raw::Path(first, HostFile::Any),
        _ if key.starts_with("lxc.hook.") && first.starts_with('/') => Raw::Path(first, HostFile::Program),
        _ if RAW_SETTINGS.iter().any(|known| key == *known || (key.starts_with(known))) => Raw::Same,
        _ => Raw::Untested,
    }
}

/// Devices and what the kernel shows are there or not. A folder of PVE's mounts is there where its storage is. Any other
/// may be there and be another one.
fn mounted(path: &str) -> Raw<'_> {
    let below = |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match ["/dev", "/sys", "/proc", "/run", "/mnt/pve", "/lib/modules", "/usr"].iter().any(below) {
        true => Raw::Path(path, HostFile::Any),
        false => Raw::OfItsNode(path),
    }
}

/// Linux gives numbers from these ranges to drivers as they come (Documentation/admin-guide/devices.txt), so that they
/// differ from node to node.
fn has_dynamic_number(device: &str) -> bool {
    let major = device.split(':').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| (234..=254).contains(&major) || (384..=511).contains(&major))
}
