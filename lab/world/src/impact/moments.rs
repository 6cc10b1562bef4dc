//! Harm with its place and its moment, so that it can be told whose it is.

use quorate_core::ids::{GuestId, NodeName};

use crate::faults::FaultKind;

/// A guest did not serve for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The guest.
    pub guest: GuestId,
    /// Where it ran.
    pub node: NodeName,
    /// When it began, Unix milliseconds.
    pub from_ms: u64,
    /// When it ended, if it has.
    pub until_ms: Option<u64>,
    /// Did its process run all the while, and its storage not answer?
    pub stalled: bool,
}

/// What happened when and where.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    /// Faults.
    pub faults: Vec<(u64, FaultKind)>,
    /// Times of guests in which they did not serve.
    pub outages: Vec<Outage>,
    /// Times without quorum; the last may not be over.
    pub no_quorum: Vec<(u64, Option<u64>)>,
    /// Nodes that were reset by their watchdog.
    pub fences: Vec<(u64, NodeName)>,
    /// Live moves to an older release.
    pub backward: Vec<(u64, GuestId)>,
}

impl Moments {
    /// The guest serves again.
    pub(super) fn ends(&mut self, guest: GuestId, now_ms: u64) {
        let last = self.outages.iter_mut().rev().find(|outage| outage.guest == guest);
        if let Some(outage) = last.filter(|outage| outage.until_ms.is_none()) {
            outage.until_ms = Some(now_ms);
        }
    }
}
