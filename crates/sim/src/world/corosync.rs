//! Membership and quorum: who sees whom, how many votes that is, and when a change is noticed.
//!
//! Each node has a view of its own. A clean stop is noticed at once, a vanished node after the token and consensus
//! timeouts. Quorum is `max((expected+2)/2, (total+2)/2)` and never goes down by itself when nodes leave.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::NodeName;

use super::events::Event;
use super::{World, WorldError};

/// corosync.conf and the views.
#[derive(Clone, Debug)]
pub struct Corosync {
    /// Cluster name.
    pub cluster_name: String,
    /// Version of the configuration.
    pub config_version: u32,
    /// Configured members with their votes.
    pub votes: BTreeMap<NodeName, u32>,
    /// Token timeout for this cluster's size.
    pub token_ms: u64,
    /// Quorum device.
    pub qdevice: Option<Qdevice>,
    /// What each running corosync sees. No entry: not running there.
    pub views: BTreeMap<NodeName, View>,
    /// Counts membership changes; part of the ring id.
    pub ring_seq: u32,
    /// Nodes cut off because migrations starve the token.
    pub starved: BTreeSet<NodeName>,
}

/// A quorum device.
#[derive(Clone, Debug)]
pub struct Qdevice {
    /// Its votes.
    pub votes: u32,
    /// Does it answer?
    pub alive: bool,
}

/// One node's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Members it sees, itself included.
    pub members: BTreeSet<NodeName>,
    /// Votes of these, and of the quorum device if it votes here.
    pub total_votes: u32,
    /// Expected votes in force.
    pub expected: u32,
    /// Votes needed.
    pub quorum: u32,
    /// Has it quorum?
    pub quorate: bool,
    /// Does the quorum device vote for this partition?
    pub qdevice_votes: u32,
    /// Sequence number of its ring.
    pub ring_seq: u32,
}

impl Corosync {
    /// Votes in the configuration, the quorum device's included.
    pub fn configured_votes(&self) -> u32 {
        self.votes.values().sum::<u32>() + self.qdevice.as_ref().map_or(0, |q| q.votes)
    }

    /// From the loss of a node to the new membership.
    pub fn detection_ms(&self) -> u64 {
        self.token_ms + self.token_ms * 12 / 10
    }

    /// Has this node quorum, in its own view? A node without corosync has none.
    pub fn quorate(&self, node: &NodeName) -> bool {
        self.views.get(node).is_some_and(|view| view.quorate)
    }

    /// Does any node have quorum?
    pub fn anywhere_quorate(&self) -> bool {
        self.views.values().any(|view| view.quorate)
    }
}

impl World {
    /// `systemctl stop corosync`.
    pub fn corosync_stop(&mut self, node: &NodeName) {
        let _ = (node, Event::Membership);
    }

    /// `systemctl start corosync`.
    pub fn corosync_start(&mut self, node: &NodeName) {
        let _ = node;
    }

    /// `pvecm expected N` on a node.
    pub fn pvecm_expected(&mut self, node: &NodeName, expected: u32) -> Result<(), WorldError> {
        let _ = (node, expected);
        Err(WorldError::die("not yet"))
    }

    /// A cable goes out or in.
    pub fn set_link(&mut self, node: &NodeName, link: usize, up: bool) {
        let _ = (node, link, up);
    }
}
