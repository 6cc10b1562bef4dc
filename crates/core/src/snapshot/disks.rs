//! What a node's disks say of themselves: will it come up again after a reboot, with all of them?

use serde::{Deserialize, Serialize};

use crate::observed::Observed;

/// Advisory readings of a node's disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disks {
    /// What `/` is on: `/dev/mapper/pve-root`, `rpool/ROOT/pve-1`.
    pub root: Observed<String>,
    /// ZFS pools that `zpool status -x` complains about.
    pub pools: Observed<Vec<ZfsPool>>,
    /// Arrays of the kernel's own RAID (`/proc/mdstat`).
    pub arrays: Observed<Vec<MdArray>>,
    /// Disks, with what SMART says.
    pub smart: Observed<Vec<Disk>>,
    /// Paths of multipath devices.
    pub paths: Observed<Vec<DiskPath>>,
}

impl Disks {
    /// Nothing was read, for this reason.
    pub fn unseen(source: &str, why: &str) -> Self {
        fn gap<T>(source: &str, why: &str) -> Observed<T> {
            Observed::unknown(source, why)
        }
        Self {
            root: gap(source, why),
            pools: gap(source, why),
            arrays: gap(source, why),
            smart: gap(source, why),
            paths: gap(source, why),
        }
    }

    /// Disks about which there is nothing to say.
    #[cfg(any(test, feature = "fixtures"))]
    pub fn quiet() -> Self {
        use Observed::Known;
        Self {
            root: Known("/dev/mapper/pve-root".to_owned()),
            pools: Known(Vec::new()),
            arrays: Known(Vec::new()),
            smart: Known(Vec::new()),
            paths: Known(Vec::new()),
        }
    }
}

impl Default for Disks {
    /// For a snapshot that was exported before these were read.
    fn default() -> Self {
        Self::unseen("the exported snapshot", "it was written before this was read")
    }
}

/// A ZFS pool that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZfsPool {
    /// Its name: `rpool`.
    pub name: String,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `SUSPENDED`, …
    pub state: String,
    /// What zpool says about it, its first sentence.
    pub says: String,
}

/// An array of the kernel's own RAID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdArray {
    /// Its name: `md0`.
    pub name: String,
    /// Is it assembled and running? A container of a firmware RAID never is, and is left out.
    pub active: bool,
    /// Its disks as configured, and those in it that work; none for a kind without redundancy.
    pub disks: Option<(u32, u32)>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `/dev/sda`.
    pub device: String,
    /// Its model, as far as it has one.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// SMART's own word: `PASSED` (ATA, NVMe), `OK` (SCSI); `UNKNOWN` for a virtual one or behind a controller.
    pub health: String,
}

/// One path to a multipath device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPath {
    /// The multipath device: `mpatha`.
    pub map: String,
    /// The disk that is this path: `sdb`.
    pub device: String,
    /// What its checker says: `ready`, `ghost`, `faulty`, `shaky`, …
    pub state: String,
}
