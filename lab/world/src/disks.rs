//! What is wrong with the disks of a machine. What is not said here is well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Disks that are not as they should be; `disks` of a `[[node]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disks {
    /// ZFS pools that are not well, with their state: `rpool = "DEGRADED"`. One that is `ONLINE` has errors.
    pub pools: BTreeMap<String, String>,
    /// Mirrors of the kernel's own RAID, with their disks as /proc/mdstat shows them: `md0 = "U_"`. One without disks is
    /// not assembled.
    pub arrays: BTreeMap<String, String>,
    /// What SMART says of a disk other than `PASSED`: `"/dev/sda" = "FAILED!"`.
    pub smart: BTreeMap<String, String>,
    /// Its disks, where they were recorded: all of them, and no other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recorded: Vec<RecordedDisk>,
    /// Paths of multipath devices, with the device and what its checker says: `sdb = "mpatha faulty"`.
    pub paths: BTreeMap<String, String>,
}

/// A disk as a node has listed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedDisk {
    /// `/dev/sda`.
    pub device: String,
    /// Its model, or `unknown`.
    pub model: String,
    /// Its serial number, or `unknown`.
    pub serial: String,
    /// What SMART says.
    pub health: String,
}

impl Disks {
    /// Is there nothing to say?
    pub fn are_well(&self) -> bool {
        *self == Self::default()
    }
}
