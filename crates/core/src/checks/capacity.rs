//! Room for every node's guests with that node out. Not the rule `memory-fits`, which is about moves, but a bound on it
//! from the same figures, without a placement.

use super::check::{Asked, Check, PLAN, Waivable, kinds};
use super::stuck::stuck;
use super::support::{gib, has_turn, online};
use crate::ids::{GuestId, NodeName};
use crate::placement::{footprint_bytes, usable_bytes};
use crate::policy::{GuestPolicy, Policy};
use crate::snapshot::{Guest, Snapshot};

pub(super) struct Capacity;

kinds! {
    NoRoom { node: NodeName, need: u64, room: u64 } => Blocking, node,
        ("with {node} out its guests need {}, the others have {} free: {} are missing",
            gib(need), gib(room), gib(need - room)),
        ("Shut guests down for the run, lower their memory, or lower headroom-percent");
    LargestGuest { guest: GuestId, node: NodeName, bytes: u64, hole: u64 } => Warning, guest,
        ("{guest} on {node} needs {}, no other node has more than {} free", gib(bytes), gib(hole)),
        ("Other guests have to make room first; the plan says whether they can");
    Tightest { node: NodeName, spare: u64 } => Info, Cluster,
        ("it is tightest with {node} out: {} are left for guests then", gib(spare)),
        ("Nothing to do.");
}

impl Check for Capacity {
    const ID: &'static str = "capacity";
    const EXPLAIN: &'static str =
        "With each node out in turn: does the configured memory of its running guests, with overhead, fit into what is \
         free on the others under the headroom limit? Simple sums, and so a lower bound: if they do not fit, no plan \
         exists, and it is blocking. If the largest guest of a node is larger than the free memory of any other, it is \
         a warning: others must make room first, or it cannot go. Shut guests down for the run, lower their memory, or \
         lower headroom-percent in the configuration.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly(PLAN);
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        let mut tightest: Option<(u64, &NodeName)> = None;
        for node in online(snapshot).filter(|node| has_turn(snapshot, node, policy)) {
            let name = &node.name;
            let Some(holes) = holes(snapshot, policy, name) else { continue };
            let leaving = leaving(snapshot, policy, name);
            let need = leaving.iter().map(|guest| footprint_bytes(guest)).fold(0, u64::saturating_add);
            let room = holes.iter().copied().fold(0, u64::saturating_add);
            if need > room {
                found.push(Found::NoRoom { node: name.clone(), need, room });
                continue;
            }
            let largest = leaving.iter().max_by_key(|guest| (footprint_bytes(guest), guest.id));
            let hole = holes.iter().copied().max().unwrap_or(0);
            if let Some(guest) = largest.filter(|guest| footprint_bytes(guest) > hole) {
                let bytes = footprint_bytes(guest);
                found.push(Found::LargestGuest { guest: guest.id, node: name.clone(), bytes, hole });
            }
            let spare = room - need;
            if tightest.is_none_or(|(least, _)| spare < least) {
                tightest = Some((spare, name));
            }
        }
        found.extend(tightest.map(|(spare, name)| Found::Tightest { node: name.clone(), spare }));
    }
}

/// Guests that have to go somewhere else: running, and neither to be shut down nor to hibernate.
fn leaving<'a>(snapshot: &'a Snapshot, policy: &Policy, node: &'a NodeName) -> Vec<&'a Guest> {
    let down = |guest: &Guest| [GuestPolicy::Shutdown, GuestPolicy::Hibernate].iter().any(|way| policy.allows(guest, *way));
    let stays = |guest: &&Guest| down(guest) && stuck(snapshot, policy, guest).is_some();
    snapshot.guests_on(node).filter(|guest| guest.may_be_running()).filter(|guest| !stays(guest)).collect()
}

/// What is free for guests on each other node; none if the memory of one is not known.
fn holes(snapshot: &Snapshot, policy: &Policy, out: &NodeName) -> Option<Vec<u64>> {
    let others = online(snapshot).filter(|node| node.name != *out);
    let hole = |node: &crate::snapshot::Node| {
        let running = snapshot.guests_on(&node.name).filter(|guest| guest.may_be_running());
        // Those that its own reboot starts need their room as well.
        let starting = snapshot.starts_with(&node.name).filter(|_| has_turn(snapshot, node, policy));
        let taken = running.chain(starting).map(footprint_bytes);
        Some(usable_bytes(node.memory.known()?, policy).saturating_sub(taken.fold(0, u64::saturating_add)))
    };
    others.map(hole).collect()
}
