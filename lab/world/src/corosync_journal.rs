//! What corosync writes into a node's journal: retransmits, links, lost tokens, new memberships.

use std::collections::BTreeSet;

use quorate_core::ids::NodeName;

use super::World;
use super::corosync::View;
use super::node::JournalLine;

/// How many lines a node's journal keeps.
const KEPT: usize = 2_000;

impl World {
    /// Adds a line to a node's journal.
    pub(crate) fn journal(&mut self, node: &NodeName, unit: &'static str, text: String) {
        let at_ms = self.clock_ms(node);
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.journal.push(JournalLine { at_ms, unit, text });
        if machine.journal.len() > KEPT {
            machine.journal.drain(..KEPT / 4);
        }
    }

    /// A link of this node went down or came up: every running member at its other end logs it.
    pub(super) fn link_heard(&mut self, node: &NodeName, link: usize, up: bool) {
        let Some(nodeid) = self.nodes.get(node).map(|machine| machine.nodeid) else { return };
        let peers = self.nodes.values().filter(|peer| peer.name != *node && peer.corosync_up && peer.is_up());
        let peers: Vec<(NodeName, u32)> = peers.map(|peer| (peer.name.clone(), peer.nodeid)).collect();
        let word = if up { "up" } else { "down" };
        for (peer, peer_id) in peers {
            self.journal(&peer, "corosync", format!("[KNET  ] link: host: {nodeid} link: {link} is {word}"));
            self.journal(node, "corosync", format!("[KNET  ] link: host: {peer_id} link: {link} is {word}"));
        }
    }

    /// A member's view has changed.
    pub(super) fn membership_heard(&mut self, node: &NodeName, old: Option<&View>, new: &View) {
        let members = |view: Option<&View>| view.map(|view| view.members.clone()).unwrap_or_default();
        let (before, now) = (members(old), members(Some(new)));
        if before == now && old.is_some_and(|view| view.quorate == new.quorate) {
            return;
        }
        let left: BTreeSet<NodeName> = before.difference(&now).cloned().collect();
        let vanished =
            left.iter().any(|name| self.nodes.get(name).is_none_or(|machine| machine.corosync_up || !machine.is_up()));
        if vanished {
            let (token, consensus) = (self.corosync.token_ms, self.corosync.token_ms * 12 / 10);
            let text = format!(
                "[TOTEM ] A processor failed, forming new configuration: token timed out ({token}ms), waiting \
                 {consensus}ms for consensus."
            );
            self.journal(node, "corosync", text);
        }
        let ids = |names: &mut dyn Iterator<Item = &NodeName>| {
            let mut ids: Vec<u32> = names.filter_map(|name| self.nodes.get(name)).map(|node| node.nodeid).collect();
            ids.sort_unstable();
            ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
        };
        let (all, gone) = (ids(&mut now.iter()), ids(&mut left.iter()));
        let came = ids(&mut now.difference(&before));
        let first = all.split(' ').next().unwrap_or("1").to_owned();
        let mut formed = format!("[TOTEM ] A new membership ({first}.{:x}) was formed. Members", new.ring_seq);
        if !came.is_empty() {
            formed += &format!(" joined: {came}");
        }
        if !gone.is_empty() {
            formed += &format!(" left: {gone}");
        }
        self.journal(node, "corosync", formed);
        if old.is_none_or(|view| view.quorate != new.quorate) {
            let text = match new.quorate {
                true => "[QUORUM] This node is within the primary component and will provide service.",
                false => "[QUORUM] This node is within the non-primary component and will NOT provide any services.",
            };
            self.journal(node, "corosync", text.to_owned());
        }
        self.journal(node, "corosync", format!("[QUORUM] Members[{}]: {all}", now.len()));
    }
}
