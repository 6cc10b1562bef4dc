//! Migrations over a network that corosync uses too: what a storm of them does to the token.
//!
//! A node's link is *saturated* while its streams carry at least nine tenths of what it can. That alone costs
//! retransmits, which corosync writes into its journal. With more streams than
//! [`Options::streams_that_starve_corosync`](super::store::Options) on a saturated link no token gets through: over that
//! link no node is reached. Another link that is up takes over; without one the node leaves the membership after token
//! and consensus timeouts. A rate limit (`bwlimit`) that leaves room on the link prevents all that.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::NodeName;

use super::World;
use super::events::Event;

/// A link is saturated from this share of its capacity (in percent).
pub const SATURATED_PERCENT: u64 = 90;
/// How often corosync logs retransmits while a link is saturated.
const COMPLAINT_MS: u64 = 5_000;

impl World {
    /// The streams have changed: which nodes' corosync suffers now?
    pub(super) fn storm_may_have_changed(&mut self, streams: &BTreeMap<NodeName, u64>) {
        if self.options.migration_link.is_none() {
            return;
        }
        let saturated = self.saturated_nodes();
        let limit = u64::from(self.options.streams_that_starve_corosync);
        let drowned: BTreeSet<NodeName> = saturated.iter().filter(|name| streams[*name] > limit).cloned().collect();
        for name in saturated.difference(&self.corosync.strained.clone()) {
            self.events.at(self.now_ms + 1_000, Event::CorosyncStrain(name.clone()));
        }
        self.corosync.strained = saturated;
        if drowned != self.corosync.drowned {
            self.corosync.drowned = drowned;
            self.events.at(self.now_ms + self.corosync.detection_ms(), Event::Starved(self.corosync.drowned.clone()));
        }
    }

    /// Nodes whose share of the migration network is used up.
    fn saturated_nodes(&self) -> BTreeSet<NodeName> {
        let mut carried: BTreeMap<&NodeName, u64> = BTreeMap::new();
        for m in self.migrations.running.values().filter(|m| m.sends()) {
            for node in [&m.source, &m.target] {
                *carried.entry(node).or_default() += m.bytes_per_s;
            }
        }
        let enough = self.options.migration_bytes_per_s / 100 * SATURATED_PERCENT;
        carried.into_iter().filter(|(_, bytes)| *bytes >= enough).map(|(node, _)| node.clone()).collect()
    }

    /// Packets got lost on a saturated link.
    pub(crate) fn on_corosync_strain(&mut self, node: &NodeName) {
        if !self.corosync.strained.contains(node) || !self.nodes.get(node).is_some_and(|machine| machine.corosync_up) {
            return;
        }
        let first = self.rng.between(0x100, 0xfff0);
        self.journal(node, "corosync", format!("[TOTEM ] Retransmit List: {first:x} {:x} {:x}", first + 1, first + 3));
        self.events.at(self.now_ms + COMPLAINT_MS, Event::CorosyncStrain(node.clone()));
    }

    /// The token and consensus timeouts are over. A node that is still starved is unreachable over that link.
    pub(crate) fn on_starved(&mut self, drowned: &BTreeSet<NodeName>) {
        // Another storm has begun or this one has calmed down meanwhile: its own event is scheduled.
        if *drowned != self.corosync.drowned || *drowned == self.corosync.starved {
            return;
        }
        let Some(link) = self.options.migration_link else { return };
        let changed: Vec<NodeName> = drowned.symmetric_difference(&self.corosync.starved).cloned().collect();
        self.corosync.starved = drowned.clone();
        for name in changed {
            self.link_heard(&name, link, !drowned.contains(&name));
        }
        self.form_membership();
    }

    /// Does corosync get through between two nodes on this link?
    pub fn corosync_link_carries(&self, one: &NodeName, other: &NodeName, link: usize) -> bool {
        let jammed = self.options.migration_link == Some(link);
        [one, other].into_iter().all(|name| {
            let up = self.nodes.get(name).and_then(|node| node.links.get(link)).is_some_and(|link| link.up);
            up && !(jammed && self.corosync.starved.contains(name))
        })
    }
}
