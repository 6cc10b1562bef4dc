//! What has been read so far, on the way from a snapshot to the placement problem.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestId, NodeName, StorageId};
use crate::placement::StatePlace;
use crate::plan::{Hindrance, Reason};
use crate::policy::Policy;
use crate::snapshot::{Ha, Snapshot};
use crate::steps::Step;

use super::Mover;
use super::instance::{Item, Place};
use super::releases::Ranks;

/// A guest that can move, before guests that must stay together are merged.
pub(super) struct Candidate {
    pub(super) mover: Mover,
    pub(super) spec: Item,
    pub(super) refusals: BTreeMap<usize, Hindrance>,
}

/// What has been read so far.
pub(super) struct Reader<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) ha: &'a Ha,
    /// Changes that are still to undo.
    pub(super) to_undo: &'a [Step],
    /// Where guests were when the run began.
    pub(super) homes: &'a BTreeMap<GuestId, NodeName>,
    /// Nodes that come before all others: the current node, and those on which a change is still to undo.
    pub(super) begun: Vec<NodeName>,
    /// Guests that we shut down and still have to start.
    pub(super) to_start: BTreeSet<GuestId>,
    /// Guests that we stopped to move them and still have to start.
    pub(super) half_way: BTreeSet<GuestId>,
    pub(super) number: BTreeMap<&'a NodeName, usize>,
    pub(super) names: Vec<NodeName>,
    pub(super) places: Vec<Place>,
    /// All storages of the cluster in order; their index here is their number.
    pub(super) storages: Vec<StorageId>,
    pub(super) ranks: Ranks,
    pub(super) reasons: Vec<Reason>,
    pub(super) candidates: BTreeMap<GuestId, Candidate>,
    /// Running guests that stay, with their node.
    pub(super) stay: BTreeMap<GuestId, usize>,
    pub(super) shut_down: BTreeMap<usize, Vec<GuestId>>,
    /// Those of them that hibernate, with the place of their state.
    pub(super) hibernate: BTreeMap<GuestId, StatePlace>,
}
