//! A node that takes a guest in has room for it.

use super::support::Findings;
use super::{Context, Invariant, Verdict};
use crate::placement::{footprint_bytes, usable_bytes};
use crate::snapshot::{Guest, Snapshot};

/// `memory-fits`. Counted is what guests may use, not what they use, and a guest that travels counts on both ends.
///
/// Only nodes that take a guest in are judged: an administrator may well run a node beyond the limit, and moving
/// guests away from it is no risk.
pub(super) struct MemoryFits;

impl Invariant for MemoryFits {
    fn id(&self) -> &'static str {
        "memory-fits"
    }

    fn why(&self) -> &'static str {
        "A node that runs out of memory kills guests. It happens hours after the move, when their load returns."
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> Verdict {
        let mut findings = Findings::default();
        for node in snapshot.nodes.values() {
            let arriving: Vec<_> = context.moving.iter().filter(|moving| moving.to == node.name).collect();
            if arriving.is_empty() {
                continue;
            }
            if !findings.read(&snapshot.sees_all_guests).is_none_or(|all| *all) {
                findings.missing(format!("guests on {} that the token does not see", node.name));
            }
            let here = sum(snapshot.guests_on(&node.name).map(need_bytes));
            let guests = arriving.iter().filter_map(|moving| snapshot.guests.get(&moving.guest));
            let coming = sum(guests.filter(|guest| guest.node != node.name).map(need_bytes));
            // On its way away, a guest that shows on its target already still takes its room here.
            let leaving = context.moving.iter().filter(|moving| moving.from == node.name);
            let leaving = leaving.filter_map(|moving| snapshot.guests.get(&moving.guest));
            let leaving = sum(leaving.filter(|guest| guest.node != node.name).map(need_bytes));
            let need = here.saturating_add(coming).saturating_add(leaving);
            let Some(memory) = findings.read(&node.memory) else { continue };
            let limit = usable_bytes(memory, context.policy);
            if need > limit {
                findings.broken(format!(
                    "guests on {} and on their way there may take {}, {} of {} are for guests (headroom {} %)",
                    node.name,
                    mib(need),
                    mib(limit),
                    mib(memory.total_bytes),
                    context.policy.headroom_percent
                ));
            }
        }
        findings.verdict()
    }
}

/// A guest may claim any size.
fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

fn need_bytes(guest: &Guest) -> u64 {
    if guest.may_be_running() { footprint_bytes(guest) } else { 0 }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes / 1024 / 1024)
}
