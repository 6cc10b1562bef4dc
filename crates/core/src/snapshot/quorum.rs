//! Votes, members and links, as each node sees them for itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;

/// One node's own view (corosync-quorumtool -s, corosync-cfgtool -n).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumView {
    /// Does this node consider itself part of a quorate partition?
    pub quorate: bool,
    /// Votes that the cluster expects.
    pub expected_votes: u32,
    /// Votes present.
    pub total_votes: u32,
    /// Votes needed.
    pub quorum: u32,
    /// Members present, by name, QDevice not included.
    pub members: BTreeMap<NodeName, Member>,
    /// A QDevice, if configured.
    pub qdevice: Option<Qdevice>,
    /// Links to each other node that this node can reach; an unreachable node is missing.
    pub links: BTreeMap<NodeName, Vec<Link>>,
    /// Links configured per node.
    pub configured_links: u32,
    /// Its own addresses on them, in the order of the links, as corosync.conf has them.
    #[serde(default)]
    pub link_addresses: Vec<String>,
}

/// The cluster file system on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtcPve {
    /// There is quorum, as pmxcfs sees it.
    Writable,
    /// There is none, or pmxcfs has lost corosync: nothing starts, moves or is configured.
    ReadOnly,
    /// pve-cluster does not run.
    NotMounted,
}

/// A member of the partition, as one node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// corosync's node id.
    pub node_id: u32,
    /// Votes it contributes.
    pub votes: u32,
}

/// A quorum device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qdevice {
    /// Votes that it casts when it is alive.
    pub votes: u32,
    /// Is it alive and casting them?
    pub casting: bool,
}

/// One knet link to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Number of the link: 0, 1, …
    pub number: u32,
    /// Does it carry traffic now?
    pub connected: bool,
}
