//! A node that receives a guest has room for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::Findings;
use super::outcome::{Missing, RuleOutcome};
use crate::ids::{GuestId, NodeName};
use crate::placement::{footprint_bytes, usable_bytes};
use crate::snapshot::{Guest, Memory, Snapshot};

/// `memory-fits`. Counted is what guests may use, not what they use, and a guest that is moving counts on both ends.
/// What the host itself uses is not for guests, however small the headroom.
///
/// Only nodes that receive a guest are checked: an administrator may well run a node beyond the limit, and moving
/// guests away from it is no risk.
pub struct MemoryFits;

/// Nodes whose guests may take more than there is for them.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooFull {
    #[error(
        "guests on {node} and on their way there may take {}, {} of {} are for guests (headroom {headroom_percent} %, \
         the host itself uses {})", mib(*.need_bytes), mib(*.limit_bytes), mib(*.total_bytes), mib(*.host_bytes)
    )]
    Node {
        node: NodeName,
        need_bytes: u64,
        limit_bytes: u64,
        total_bytes: u64,
        headroom_percent: u8,
        host_bytes: u64,
    },
    #[error("guests on {node} that the token does not see")]
    GuestsNotSeen { node: NodeName },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for MemoryFits {
    type Evidence = TooFull;

    fn id(&self) -> &'static str {
        "memory-fits"
    }

    fn why(&self) -> &'static str {
        "A node that runs out of memory kills guests. It happens hours after the move, when their load returns."
    }

    fn explain(&self) -> &'static str {
        "A node that receives guests has room for all of them: configured memory and overhead stay under the headroom \
         limit, and a guest on its way counts on both ends. Where the host itself uses more than the headroom (Ceph, \
         ZFS: what is in use and belongs to no listed guest), that much stays free of guests instead; a plan keeps up \
         to 512 MiB more, so that a cache may grow between the plan and its last step. A node that receives no guest \
         is not checked: moving guests away from a node that is too full is no risk."
    }

    fn remedy(&self) -> &'static str {
        "Shut guests down for the run, lower their memory, or lower headroom-percent"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<TooFull> {
        let mut findings = Findings::new();
        let here = on_targets(snapshot, context);
        for node in snapshot.nodes.values() {
            let arriving: Vec<_> = context.moving.iter().filter(|moving| moving.to == node.name).collect();
            if arriving.is_empty() {
                continue;
            }
            if !findings.read(&snapshot.sees_all_guests).is_none_or(|all| *all) {
                findings.missing(TooFull::GuestsNotSeen { node: node.name.clone() });
            }
            let here = here.get(&node.name).copied().unwrap_or(0);
            let guests = arriving.iter().filter_map(|moving| snapshot.guests.get(&moving.guest));
            let coming = sum(guests.filter(|guest| guest.node != node.name).map(need_bytes));
            // While it is leaving, a guest that already shows on its target still takes its room here.
            let leaving = context.moving.iter().filter(|moving| moving.from == node.name);
            let leaving = leaving.filter_map(|moving| snapshot.guests.get(&moving.guest));
            let leaving = sum(leaving.filter(|guest| guest.node != node.name).map(need_bytes));
            let need = here.saturating_add(coming).saturating_add(leaving);
            let Some(memory) = findings.read(&node.memory) else { continue };
            // A guest on its way has its memory here from its first byte on, and it shows as the host's own.
            let under_way = arriving.iter().filter(|moving| has_begun(snapshot, moving.guest));
            let under_way = sum(under_way.filter_map(|moving| snapshot.guests.get(&moving.guest)).map(need_bytes));
            let host_bytes = memory.host_bytes.saturating_sub(under_way);
            let limit = usable_bytes(&Memory { host_bytes, ..*memory }, context.policy);
            if need > limit {
                findings.broken(TooFull::Node {
                    node: node.name.clone(),
                    need_bytes: need,
                    limit_bytes: limit,
                    total_bytes: memory.total_bytes,
                    headroom_percent: context.policy.headroom_percent,
                    host_bytes,
                });
            }
        }
        findings.outcome()
    }
}

/// What the guests on each target take already. One walk over all guests: a plan check asks a thousand times.
fn on_targets<'a>(snapshot: &Snapshot, context: &'a Context<'_>) -> BTreeMap<&'a NodeName, u64> {
    let targets: BTreeSet<&NodeName> = context.moving.iter().map(|moving| &moving.to).collect();
    // A list: there are few, and comparing names for equality is faster than for order.
    let mut here: Vec<(&NodeName, u64)> = targets.into_iter().map(|name| (name, 0)).collect();
    if here.is_empty() {
        return BTreeMap::new();
    }
    for guest in snapshot.guests.values() {
        if let Some((_, bytes)) = here.iter_mut().find(|(name, _)| **name == guest.node) {
            *bytes = bytes.saturating_add(need_bytes(guest));
        }
    }
    here.into_iter().collect()
}

/// Is PVE moving it now? If that is not known, its memory counts twice: as the host's and as its own.
fn has_begun(snapshot: &Snapshot, guest: GuestId) -> bool {
    let jobs = snapshot.jobs.known().into_iter().flatten();
    jobs.filter(|job| job.kind.is_migration()).any(|job| job.vmid == Some(guest.vmid))
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
