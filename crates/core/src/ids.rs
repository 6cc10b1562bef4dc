//! Names of things. Newtypes, so that a node's name cannot be passed where a storage's is expected.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes a newtype over `String` that orders, prints and serialises as the plain text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The plain text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_id!(
    /// A cluster member by its short host name, as in `/etc/pve/nodes/`.
    NodeName
);
text_id!(
    /// A storage by its id in `storage.cfg`.
    StorageId
);
text_id!(
    /// A PVE task: `UPID:node:pid:pstart:start:type:id:user:`.
    Upid
);
text_id!(
    /// One boot of one machine: `/proc/sys/kernel/random/boot_id`.
    BootId
);
text_id!(
    /// A transient systemd unit of ours on a node.
    UnitName
);
text_id!(
    /// One run of Quorate over a cluster.
    RunId
);
text_id!(
    /// One process that drives a run: 16 hexadecimal digits, drawn at random once. Two drivers never share one, not even
    /// two that work on the same run one after the other.
    DriverId
);
text_id!(
    /// A plan by the SHA-256 of its content.
    PlanId
);
text_id!(
    /// A step within a run, readable and stable across new plans: `pve1.migrate.vm:101`.
    StepId
);

impl DriverId {
    /// The id of a random number.
    pub fn drawn(number: u64) -> Self {
        Self(format!("{number:016x}"))
    }
}

/// A guest's number, unique in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vmid(pub u32);

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A virtual machine or a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    /// A QEMU virtual machine.
    Vm,
    /// An LXC container.
    Ct,
}

impl GuestKind {
    /// The path element of the API: `qemu` or `lxc`.
    pub fn api(self) -> &'static str {
        match self {
            Self::Vm => "qemu",
            Self::Ct => "lxc",
        }
    }
}

/// A guest by kind and number; prints as HA's service id, `vm:101` or `ct:201`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestId {
    /// The number comes first, so that lists are in the order an administrator knows.
    pub vmid: Vmid,
    /// VM or container.
    pub kind: GuestKind,
}

impl GuestId {
    /// A virtual machine's id.
    pub fn vm(vmid: u32) -> Self {
        Self { vmid: Vmid(vmid), kind: GuestKind::Vm }
    }

    /// A container's id.
    pub fn ct(vmid: u32) -> Self {
        Self { vmid: Vmid(vmid), kind: GuestKind::Ct }
    }

    /// Reads `vm:101` or `ct:201`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, vmid) = text.split_once(':')?;
        let kind = match kind {
            "vm" => GuestKind::Vm,
            "ct" => GuestKind::Ct,
            _ => return None,
        };
        Some(Self { vmid: Vmid(vmid.parse().ok()?), kind })
    }
}

impl fmt::Display for GuestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.kind {
            GuestKind::Vm => format!("vm:{}", self.vmid),
            GuestKind::Ct => format!("ct:{}", self.vmid),
        };
        f.pad(&text)
    }
}

impl Serialize for GuestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GuestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not a guest id: {text:?} (vm:N or ct:N)")))
    }
}

/// A Ceph OSD's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OsdId(pub u32);

impl fmt::Display for OsdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "osd.{}", self.0)
    }
}

/// A moment, in milliseconds since 1970 UTC, by the clock of whatever runs it (in the lab: the lab's).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// Whole seconds since 1970 UTC.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `seconds` later.
    pub fn plus_s(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Whole seconds from `earlier` to here; 0 if `earlier` is later.
    pub fn since_s(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// Milliseconds from `other` to here; negative if `other` is later.
    pub fn ahead_ms(self, other: Self) -> i64 {
        let distance = i64::try_from(self.0.abs_diff(other.0)).unwrap_or(i64::MAX);
        if self < other { -distance } else { distance }
    }

    /// The moment this many milliseconds later, or earlier if negative.
    #[must_use]
    pub fn shifted(self, ms: i64) -> Self {
        Self(self.0.saturating_add_signed(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_id_prints_and_reads_as_has_service_id() {
        for text in ["vm:101", "ct:201"] {
            assert_eq!(GuestId::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(GuestId::parse("fa:1"), None);
        assert_eq!(GuestId::parse("vm:x"), None);
    }
}
