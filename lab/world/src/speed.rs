//! Durations that depend on the machines and their package archive, not on Proxmox VE.

/// How fast this cluster's machines are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpeed {
    /// Seconds from power-on to the first answer of sshd, the shortest and the longest. Servers reportedly need
    /// 45 to 130 s, with a long power-on self-test 5 to 10 minutes; containers that act as nodes need half a minute.
    pub boot_s: (u64, u64),
    /// From the start of a dist-upgrade to its first package: lists, dependencies, download.
    pub download_ms: u64,
    /// Per package: from this duration to one and a half times as long. A usual point release takes 2 to 3 minutes.
    pub package_ms: u64,
}

impl Default for MachineSpeed {
    fn default() -> Self {
        Self { boot_s: (45, 130), download_ms: 20_000, package_ms: 7_000 }
    }
}
