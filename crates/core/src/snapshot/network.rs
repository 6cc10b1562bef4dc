//! A node's addresses, and its ways to the other nodes as a migration takes them.

use core::net::IpAddr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;
use crate::observed::Observed;

/// What a node's migrations go over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeNetwork {
    /// The address that the cluster has for it: where migrations go that have no network of their own.
    pub own: Observed<IpAddr>,
    /// The addresses of its interfaces that are up.
    pub addresses: Observed<Vec<Address>>,
    /// The way to each other node that was online, tried as PVE takes it.
    pub ways: Observed<BTreeMap<NodeName, Way>>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `vmbr0`.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
    /// Length of its network's prefix.
    pub prefix: u8,
    /// Largest packet of the interface, in bytes.
    pub mtu: u32,
}

/// A way to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The addresses that PVE logs in at: the node's own, and the one in the network of migrations.
    pub logins: Vec<Login>,
    /// Do packets of this size, the largest that its own interface sends, not arrive where small ones do?
    pub lost_packets: Option<u32>,
}

/// A login at another node, as PVE makes it for a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Where.
    pub at: IpAddr,
    /// What ssh said if it failed.
    pub failed: Option<String>,
}

impl NodeNetwork {
    /// Nothing was read, for this reason.
    pub fn unseen(source: &str, why: &str) -> Self {
        Self {
            own: Observed::unknown(source, why),
            addresses: Observed::unknown(source, why),
            ways: Observed::unknown(source, why),
        }
    }
}

impl Default for NodeNetwork {
    /// For a snapshot that was exported before these were read.
    fn default() -> Self {
        Self::unseen("the exported snapshot", "it was written before this was read")
    }
}

/// A network: `10.0.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    /// From its text; none if it is no network.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        Self::new(base.parse().ok()?, prefix.parse().ok()?)
    }

    /// The network of an address.
    pub fn new(base: IpAddr, prefix: u32) -> Option<Self> {
        (prefix <= if base.is_ipv4() { 32 } else { 128 }).then_some(Self { base, prefix })
    }

    /// Is the address in it?
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()).checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()).checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Address {
    /// Is this address in the same network?
    pub fn reaches(&self, other: IpAddr) -> bool {
        Network::new(self.ip, u32::from(self.prefix)).is_some_and(|network| network.contains(other))
    }
}
