//! Membership and quorum: which nodes see each other, how many votes that is, and when a change is noticed.
//!
//! Each node has a view of its own. A clean stop is noticed at once, a vanished node after the token and consensus
//! timeouts. Quorum is `max((expected+2)/2, (total+2)/2)` and is never lowered automatically when nodes leave.

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
    /// The view of each running corosync. No entry: it does not run there.
    pub views: BTreeMap<NodeName, View>,
    /// Counts membership changes; part of the ring id.
    pub ring_seq: u32,
    /// Nodes that no token reaches on the link that migrations share.
    pub starved: BTreeSet<NodeName>,
    /// Nodes with more streams on that link than corosync can bear; starved once the timeouts are over.
    pub drowned: BTreeSet<NodeName>,
    /// Nodes whose link is saturated: they retransmit.
    pub strained: BTreeSet<NodeName>,
    /// `two_node: 1` in corosync.conf, which PVE never writes: one of two is enough, once both have seen each other.
    pub two_node: bool,
    /// Members that have seen all others since their corosync started (`wait_for_all`).
    pub seen_all: BTreeSet<NodeName>,
    /// Expected votes as lowered by `pvecm expected`, per node; rise by themselves when nodes join.
    pub lowered: BTreeMap<NodeName, u32>,
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
    /// Does it have quorum?
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

    /// Does this node have quorum, in its own view? A node without corosync has none.
    pub fn quorate(&self, node: &NodeName) -> bool {
        self.views.get(node).is_some_and(|view| view.quorate)
    }

    /// Does any node have quorum?
    pub fn anywhere_quorate(&self) -> bool {
        self.views.values().any(|view| view.quorate)
    }
}

impl World {
    /// Forms the membership from what is really there: which nodes run corosync and reach each other.
    pub(crate) fn form_membership(&mut self) {
        let groups = self.partitions();
        // The device votes for the larger part that reaches it; of two equal ones, for that with the lowest node id. A
        // node whose network did not come up reaches nothing.
        let reaches = |name: &NodeName| self.nodes.get(name).is_some_and(|node| !node.nics_renamed);
        let nodeid = |name: &NodeName| self.nodes.get(name).map_or(u32::MAX, |node| node.nodeid);
        let lowest = |group: &BTreeSet<NodeName>| group.iter().map(nodeid).min();
        let device_for = groups.iter().filter(|group| group.iter().any(reaches));
        let device_for = device_for.max_by_key(|group| (group.len(), std::cmp::Reverse(lowest(group))));
        let device_for = device_for.and_then(|group| group.first().cloned());
        let corosync = &mut self.corosync;
        let device_votes = corosync.qdevice.as_ref().filter(|q| q.alive).map_or(0, |q| q.votes);
        let configured = corosync.configured_votes();
        let old = std::mem::take(&mut corosync.views);
        for group in &groups {
            let qdevice_votes = if group.first() == device_for.as_ref() { device_votes } else { 0 };
            let total_votes = group.iter().filter_map(|n| corosync.votes.get(n)).sum::<u32>() + qdevice_votes;
            let lowered = group.iter().filter_map(|n| corosync.lowered.get(n)).max().copied();
            let expected = lowered.map_or(configured, |e| e.max(total_votes));
            for node in group {
                if lowered.is_some() && expected < configured {
                    corosync.lowered.insert(node.clone(), expected);
                } else {
                    corosync.lowered.remove(node);
                }
            }
            let two_node = corosync.two_node && corosync.votes.len() == 2;
            if group.len() == corosync.votes.len() {
                corosync.seen_all.extend(group.iter().cloned());
            }
            let waits = two_node && !group.iter().any(|node| corosync.seen_all.contains(node));
            let quorum = if two_node { 1 } else { ((expected + 2) / 2).max((total_votes + 2) / 2) };
            let unchanged = group.iter().all(|n| old.get(n).is_some_and(|view| view.members == *group));
            if !unchanged {
                corosync.ring_seq += 4;
            }
            let kept = group.first().and_then(|n| old.get(n)).filter(|_| unchanged).map(|view| view.ring_seq);
            let view = View {
                members: group.clone(),
                total_votes,
                expected,
                quorum,
                quorate: total_votes >= quorum && !waits,
                qdevice_votes,
                ring_seq: kept.unwrap_or(corosync.ring_seq),
            };
            for node in group {
                corosync.views.insert(node.clone(), view.clone());
            }
        }
        for (name, view) in self.corosync.views.clone() {
            self.membership_heard(&name, old.get(&name), &view);
        }
        self.quorum_may_have_changed();
    }

    /// Groups of running members that reach each other. Two nodes reach each other while one link is up on both.
    fn partitions(&self) -> Vec<BTreeSet<NodeName>> {
        let links = self.nodes.values().map(|node| node.links.len()).max().unwrap_or(0);
        let mut groups: Vec<BTreeSet<NodeName>> = Vec::new();
        for name in self.nodes.iter().filter(|(_, node)| node.corosync_up && node.is_up()).map(|(name, _)| name) {
            let mut mine = BTreeSet::from([name.clone()]);
            let reaches = |other: &NodeName| (0..links).any(|link| self.corosync_link_carries(name, other, link));
            groups.retain(|group| {
                let joined = group.first().is_some_and(&reaches);
                if joined {
                    mine.extend(group.iter().cloned());
                }
                !joined
            });
            groups.push(mine);
        }
        groups
    }

    fn quorum_may_have_changed(&mut self) {
        let any = self.corosync.anywhere_quorate();
        self.impact.note_quorum(self.now_ms, any);
        crate::safety_checker::one_side_speaks(self);
        self.split_may_have_begun();
    }

    /// Something vanished without notice: the others notice after the token and consensus timeouts.
    pub(crate) fn membership_after_loss(&mut self) {
        let at = self.now_ms + self.corosync.detection_ms();
        self.events.at(at, Event::Membership);
    }

    /// `systemctl stop corosync`: the others see it leave at once.
    pub fn corosync_stop(&mut self, node: &NodeName) {
        crate::safety_checker::corosync_stops(self, node);
        self.set_corosync(node, false);
    }

    /// `systemctl start corosync`.
    pub fn corosync_start(&mut self, node: &NodeName) {
        self.set_corosync(node, true);
    }

    pub(crate) fn set_corosync(&mut self, node: &NodeName, up: bool) {
        let Some(machine) = self.nodes.get_mut(node).filter(|machine| machine.is_up() || !up) else { return };
        if machine.corosync_up == up {
            return;
        }
        machine.corosync_up = up;
        if up && let Some(version) = machine.packages.installed.get("corosync") {
            machine.corosync_running = version.clone();
        }
        if !up {
            self.corosync.lowered.remove(node);
            self.corosync.seen_all.remove(node);
        }
        self.form_membership();
    }

    /// `pvecm expected N` on a node.
    pub fn pvecm_expected(&mut self, node: &NodeName, expected: u32) -> Result<(), WorldError> {
        let view = self.corosync.views.get(node).ok_or_else(|| WorldError::die("Cannot initialize CMAP service"))?;
        let quorum = ((expected + 2) / 2).max((view.total_votes + 2) / 2);
        if view.total_votes > expected || (view.quorate && view.total_votes < quorum) {
            return Err(WorldError::die("Unable to set expected votes: CS_ERR_INVALID_PARAM"));
        }
        let members = view.members.clone();
        crate::safety_checker::votes_lowered(self, &members, expected);
        for member in members {
            self.corosync.lowered.insert(member, expected);
        }
        self.form_membership();
        Ok(())
    }

    /// A cable is pulled out or plugged in.
    pub fn set_link(&mut self, node: &NodeName, number: usize, up: bool) {
        let Some(link) = self.nodes.get_mut(node).and_then(|machine| machine.links.get_mut(number)) else { return };
        if link.up == up {
            return;
        }
        link.up = up;
        self.reached_again(node);
        self.link_heard(node, number, up);
        self.membership_after_loss();
    }

    /// Someone at the console has restored the names of the network cards: sshd was running all the time.
    fn reached_again(&mut self, node: &NodeName) {
        let named = |machine: &&mut super::node::Node| machine.nics_renamed && machine.links.iter().all(|link| link.up);
        if let Some(machine) = self.nodes.get_mut(node).filter(named) {
            machine.nics_renamed = false;
            machine.ssh_up = machine.is_up();
        }
    }

    /// Fails where /etc/pve is read-only.
    pub(crate) fn need_quorum(&self, node: &NodeName) -> Result<(), WorldError> {
        if self.writable(node) { Ok(()) } else { Err(WorldError::NoQuorum) }
    }
}
