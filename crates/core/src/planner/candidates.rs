//! A guest as something that moves: where it may be, what it takes there, what its move costs.

use std::collections::BTreeMap;

use crate::ids::{GuestId, GuestKind, NodeName, StorageId};
use crate::placement::{
    Obstacle, as_stopped, disk_bytes, disks_by_storage, footprint_bytes, obstacle_here, obstacle_there,
};
use crate::snapshot::{AffinityRule, Guest};
use crate::steps::Travel;
use crate::version::Version;

use super::cost::{PER_MOVE, PER_RESTART};
use super::instance::{Item, NodeSet};
use super::problem::{Candidate, MOST_BYTES, Mover, Reader};

impl Reader<'_> {
    /// As one that is shut down for its move, or why it cannot be.
    pub(super) fn offline(&self, guest: &Guest, home: usize) -> Result<Candidate, String> {
        let candidate = self.candidate(guest, home, Travel::Offline).map_err(|why| why.text().to_owned())?;
        if !candidate.spec.allowed.without(home).is_empty() {
            return Ok(candidate);
        }
        let each = candidate.refusals.iter().map(|(node, why)| format!("{}: {why}", self.names[*node].as_str()));
        Err(each.collect::<Vec<_>>().join("; "))
    }

    pub(super) fn candidate(&self, guest: &Guest, home: usize, travel: Travel) -> Result<Candidate, Obstacle> {
        let runs = guest.may_be_running() || self.half_way.contains(&guest.id);
        let stopped = (travel == Travel::Offline).then(|| as_stopped(guest));
        let guest = stopped.as_ref().unwrap_or(guest);
        obstacle_here(guest, self.policy)?;
        let mut refusals = BTreeMap::new();
        // Outside a rule it may be now, but not come back to.
        let may_return = self.strict_rule(guest.id, &guest.node).is_none();
        let mut allowed = if may_return { NodeSet::EMPTY.with(home) } else { NodeSet::EMPTY };
        for (number, node) in self.snapshot.nodes.values().enumerate().filter(|(number, _)| *number != home) {
            let why = obstacle_there(self.snapshot, guest, node).err().map(|obstacle| obstacle.text().to_owned());
            match why.or_else(|| self.strict_rule(guest.id, &node.name)) {
                None => allowed = allowed.with(number),
                Some(why) => drop(refusals.insert(number, why)),
            }
        }
        let facts = guest.migration.known();
        let disks = facts.map_or(0, disk_bytes);
        let live_vm = runs && guest.id.kind == GuestKind::Vm && travel != Travel::Offline;
        let memory = if live_vm { guest.memory_bytes } else { 0 };
        let bytes = disks.saturating_add(memory).min(MOST_BYTES);
        let restart = if runs && !live_vm { PER_RESTART } else { 0 };
        let machine = facts.and_then(|facts| facts.running_machine.as_deref()).filter(|_| live_vm);
        let by_storage = facts.map(disks_by_storage).unwrap_or_default();
        let number = |storage: &StorageId| self.storages.binary_search(storage).unwrap_or(usize::MAX);
        let disks = by_storage.iter().map(|(storage, bytes)| (number(storage), (*bytes).min(MOST_BYTES))).collect();
        let spec = Item {
            disks,
            memory_bytes: if runs { footprint_bytes(guest).min(MOST_BYTES) } else { 0 },
            cpus: if runs { u64::from(guest.cpus) } else { 0 },
            cost: bytes + PER_MOVE + restart,
            home,
            allowed,
            ends: self.ends(guest.id, home, allowed),
            apart: Vec::new(),
            forward_only: live_vm,
            least_qemu: machine.and_then(machine_version).map_or(0, |version| self.ranks.least_qemu(&version)),
        };
        Ok(Candidate { mover: Mover { guest: guest.id, travel, bytes }, spec, refusals })
    }

    /// A rule that forbids a node outright.
    pub(super) fn strict_rule(&self, guest: GuestId, node: &NodeName) -> Option<String> {
        let forbids = |rule: &&AffinityRule| {
            matches!(rule, AffinityRule::Node(rule)
                if rule.strict && rule.guests.contains(&guest) && !rule.nodes.contains_key(node))
        };
        match self.ha.rules.iter().find(forbids)? {
            AffinityRule::Node(rule) => Some(format!("the HA rule {} does not allow it", rule.id)),
            AffinityRule::Resource(_) => None,
        }
    }
}

/// `9.2` from `pc-q35-9.2+pve1`.
fn machine_version(machine: &str) -> Option<Version> {
    let version = machine.rsplit('-').next()?.split('+').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| Version::new(version))
}
