//! A split brain: two partitions that both believe they are the cluster, because someone lowered the votes of one.
//!
//! Each has its own copy of /etc/pve and its own HA master. What the other side runs looks dead from here: its node is
//! not seen, is assumed to be fenced a minute later, its lock runs out after two more, and its services are recovered,
//! although they run. The world has one HA manager; of the second only this recovery is modelled, because that does
//! harm. Guests on storages that let only one client write at a time do not come up twice and are left out.

use quorate_core::ids::{GuestId, NodeName};

use super::World;
use super::events::Event;
use super::guest::{Guest, Media};
use super::ha::RequestState;
use super::node::Power;

/// A minute until a node that is not seen is fenced, two until its lock has run out.
const RECOVERY_MS: u64 = 180_000;

impl World {
    /// First members of the partitions that have quorum: more than one is a split brain.
    pub(crate) fn quorate_sides(&self) -> Vec<NodeName> {
        let views =
            self.corosync.views.iter().filter(|(name, view)| view.quorate && view.members.first() == Some(*name));
        views.map(|(name, _)| name.clone()).collect()
    }

    /// Checked whenever the membership has changed.
    pub(crate) fn split_may_have_begun(&mut self) {
        if self.quorate_sides().len() > 1 {
            self.events.at(self.now_ms + RECOVERY_MS, Event::SplitRecovery(self.corosync.ring_seq));
        }
    }

    /// The split has lasted for long enough, if the membership is still the same: each side starts what the other runs.
    pub(crate) fn on_split_recovery(&mut self, ring_seq: u32) {
        let sides = self.quorate_sides();
        if sides.len() < 2 || self.corosync.ring_seq != ring_seq {
            return;
        }
        for side in sides {
            for id in self.taken_for_dead(&side) {
                let text = format!("the partition of {side} takes {id} for dead and starts it");
                self.impact.note(self.now_ms, text);
                self.process_begins(id, &side);
            }
        }
    }

    /// Services that run, but outside this side, on disks that any node may write to.
    fn taken_for_dead(&self, side: &NodeName) -> Vec<GuestId> {
        let Some(view) = self.corosync.views.get(side) else { return Vec::new() };
        if self.nodes.get(side).is_none_or(|node| node.power != Power::On) {
            return Vec::new();
        }
        let wanted = self.ha.resources.iter().filter(|(_, resource)| resource.state == RequestState::Started);
        let guests = wanted.filter_map(|(id, _)| self.guests.get(id));
        let elsewhere = guests.filter(|guest| guest.is_running() && guest.runs_on.is_disjoint(&view.members));
        elsewhere.filter(|guest| self.anybody_may_write(guest)).map(|guest| guest.id).collect()
    }

    /// A SAN's volumes have no lock of their own; Ceph serves one partition only, files on a NAS are locked by QEMU.
    fn anybody_may_write(&self, guest: &Guest) -> bool {
        let disks = guest.disks.iter().filter(|disk| disk.media == Media::Disk);
        let kinds = disks.map(|disk| disk.storage.as_ref().and_then(|id| self.storages.get(id)));
        kinds.into_iter().all(|storage| storage.is_some_and(|storage| storage.shared && storage.kind == "lvm"))
    }
}
