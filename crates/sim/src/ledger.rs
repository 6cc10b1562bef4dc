//! The ledger of harm, computed in the world as it happens.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};
use serde::{Deserialize, Serialize};

/// Harm as it is counted.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Consented downtime per guest.
    pub consents: BTreeMap<GuestId, u64>,
    /// Harm lines for people: time (Unix ms) and what happened.
    pub events: Vec<(u64, String)>,
    /// Nodes that were upgraded since the beginning.
    pub nodes_upgraded: BTreeSet<NodeName>,
}

/// What a run is judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerReport {
    /// Always `ledger`.
    pub kind: String,
    /// No harm at all, nothing left open.
    pub clean: bool,
    /// Nodes whose packages were upgraded.
    pub nodes_upgraded: u32,
    /// Seconds in which no partition had quorum.
    pub quorum_lost_s: u64,
    /// Guests that ran and do not run any more, or were killed without a restart.
    pub guests_lost: u32,
    /// Guests that ran on two nodes at once.
    pub guests_doubled: u32,
    /// Downtime nobody had consented to.
    pub unconsented_downtime_s: u64,
    /// Downtime within consents.
    pub consented_downtime_s: u64,
    /// Longest pause of a live migration.
    pub blackout_ms_max: u64,
    /// Nodes reset by their watchdog.
    pub fences: u32,
    /// Bytes Ceph moved because OSDs were put out.
    pub ceph_bytes_rebalanced: u64,
    /// Rules broken.
    pub rules_broken: u32,
    /// Moves to an older release.
    pub backward_moves: u32,
    /// What was changed and not put back.
    pub obligations_open: u32,
    /// Completed moves.
    pub moves: u32,
    /// The planner's bound, handed in.
    pub moves_bound: u32,
    /// Virtual seconds.
    pub virtual_s: u64,
    /// Wall seconds, handed in.
    pub wall_s: f64,
    /// Harm lines for people.
    pub events: Vec<String>,
}
