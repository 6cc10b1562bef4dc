//! A random placement problem as a whole cluster: a snapshot that `quorate plan --from` could read.
//!
//! From this snapshot the planner must read the same placement problem again.

use std::collections::BTreeMap;

use quorate_core::fixture::Fixture;
use quorate_core::ids::{GuestId, NodeName};
use quorate_core::observed::Observed;
use quorate_core::placement::VM_OVERHEAD_BYTES;
use quorate_core::policy::Policy;
use quorate_core::snapshot::{Memory, Snapshot, TargetRefusal};

use super::family::Case;

/// The policy that leaves the placement problem unchanged: no headroom, because the capacities already exclude it.
pub(super) fn policy() -> Policy {
    Policy { headroom_percent: 0, parallel_migrations: Some(4), ..Policy::default() }
}

/// Turns the placement problem into a snapshot.
pub(super) fn snapshot(case: &Case) -> Snapshot {
    let nodes = case.instance.places.len();
    let name = |node: usize| NodeName::new(format!("pve{}", node + 1));
    let mut fixture = Fixture::cluster(nodes as u32);
    for (node, place) in case.instance.places.iter().enumerate() {
        // Usable memory is computed in whole percent.
        let total_bytes = place.capacity_bytes.div_ceil(100) * 100;
        fixture = fixture.node(name(node).as_str(), |node| {
            node.memory = Observed::Known(Memory { total_bytes, used_bytes: 0, host_bytes: 0 })
        });
    }
    let mut vmid = 100;
    let mut first: BTreeMap<usize, GuestId> = BTreeMap::new();
    for (number, item) in case.instance.items.iter().enumerate() {
        let mut members = Vec::new();
        for _ in 0..case.guests[number] {
            vmid += 1;
            let id = GuestId::vm(vmid);
            let share = (item.memory_bytes / case.guests[number]).saturating_sub(VM_OVERHEAD_BYTES);
            fixture =
                fixture.vm(vmid, name(item.home).as_str(), 0).guest(id, |guest| guest.memory_bytes = share * 512 / 513);
            fixture = fixture.facts(id, |facts| {
                for node in (0..nodes).filter(|node| !item.allowed.has(*node)) {
                    facts.refused.insert(name(node), vec![TargetRefusal::Other("not for this guest".to_owned())]);
                }
            });
            members.push(id);
        }
        first.extend(members.first().map(|id| (number, *id)));
        if members.len() > 1 {
            fixture = members.iter().fold(fixture, |fixture, id| fixture.managed(*id));
            fixture = fixture.together(&format!("together-{number}"), &members);
        }
    }
    for (number, item) in case.instance.items.iter().enumerate() {
        for other in item.apart.iter().filter(|other| **other > number) {
            let pair = [first[&number], first[other]];
            fixture = pair.iter().fold(fixture, |fixture, id| fixture.managed(*id));
            fixture = fixture.apart(&format!("apart-{number}-{other}"), &pair);
        }
    }
    fixture.snapshot()
}
