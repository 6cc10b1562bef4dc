//! The placement problem: what the snapshot, the policy and the state of a run leave open.
//!
//! In: a [`Snapshot`], a [`Policy`] and an [`Ongoing`]. Out: a `Problem`, whose [`instance`] has numbers instead of
//! names and knows nothing about Proxmox; or every [`Reason`](crate::plan::Reason) why there can be no plan, all at
//! once. `reading` goes through the snapshot after `needs` has checked what is required, `guests` says where one guest
//! may be, `rules` what HA's rules say about several, and `ends` where guests should be at the end.

pub(super) mod ends;
mod guests;
pub mod instance;
mod needs;
mod reader;
pub(super) mod reading;
mod releases;
mod rules;
pub(super) mod world;

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestId, NodeName, PlanId, StorageId, UnitName};
use crate::placement::StatePlace;
use crate::plan::{Hindrance, Plan};
use crate::policy::{GuestPolicy, Policy};
use crate::snapshot::{DiskUse, Guest, Ha, HaRequest, HaService, Node, Snapshot};
use crate::steps::{MoveMode, Step};

use instance::Instance;

/// The state of a run that a plan has to continue from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ongoing {
    /// The plan that the new one replaces.
    pub parent: Option<PlanId>,
    /// The current node: its node step has begun and not ended, so it comes first.
    pub current_node: Option<NodeName>,
    /// Steps that undo this run's changes, oldest first: each of them is in the plan.
    pub to_undo: Vec<Step>,
    /// Where guests were when the run began, if not where they are now: `end = "home"` moves them back there.
    pub homes: BTreeMap<GuestId, NodeName>,
    /// Storages that the current node's return does not wait for, as it was planned before its turn: by now more may be
    /// away because of it.
    pub without: BTreeSet<StorageId>,
    /// The node that is drained, where that is all that the run is for.
    pub drain: Option<Drain>,
    /// The name of the upgrade unit on the nodes.
    pub unit: UnitName,
}

/// A node that is drained, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The node.
    pub node: NodeName,
    /// Was it handed over and given back? Then nothing has to leave it any more.
    pub given_back: bool,
}

impl Ongoing {
    /// For a drain in which nothing has begun yet.
    pub fn drain(node: NodeName, unit: UnitName) -> Self {
        Self { drain: Some(Drain { node, given_back: false }), ..Self::fresh(unit) }
    }

    /// For a run in which nothing has begun yet.
    pub fn fresh(unit: UnitName) -> Self {
        Self {
            parent: None,
            current_node: None,
            to_undo: Vec::new(),
            homes: BTreeMap::new(),
            without: BTreeSet::new(),
            drain: None,
            unit,
        }
    }
}

/// A guest that moves.
#[derive(Clone, Debug)]
pub(super) struct Mover {
    pub(super) guest: GuestId,
    pub(super) mode: MoveMode,
    /// Memory and local disks that are copied, in bytes.
    pub(super) bytes: u64,
}

/// The placement problem with its names.
#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) names: Vec<NodeName>,
    pub(super) instance: Instance,
    /// The guests of each item of the instance: one, or several that must stay together.
    pub(super) movers: Vec<Vec<Mover>>,
    /// By item: the nodes that it may not be on, and why.
    pub(super) refusals: Vec<BTreeMap<usize, Hindrance>>,
    /// By node: guests that are shut down while it is upgraded.
    pub(super) shut_down: BTreeMap<usize, Vec<GuestId>>,
    /// Those of them that hibernate, with the place of their state.
    pub(super) hibernate: BTreeMap<GuestId, StatePlace>,
    /// Guests that were stopped for their move and are not started yet.
    pub(super) half_way: BTreeSet<GuestId>,
}

impl Problem<'_> {
    /// Is this guest shut down for its move and started after it?
    pub(super) fn stops_to_move(&self, mover: &Mover) -> bool {
        let runs = self.snapshot.guests.get(&mover.guest).is_some_and(Guest::may_be_running);
        mover.mode == MoveMode::Offline && (runs || self.half_way.contains(&mover.guest))
    }

    /// The guests of an item: one, or several that must stay together.
    pub(super) fn guests_of(&self, item: usize) -> Vec<GuestId> {
        self.movers[item].iter().map(|mover| mover.guest).collect()
    }

    /// What the moves of a plan cost, in the measure that plans are compared in.
    pub(super) fn cost_of(&self, plan: &Plan) -> u64 {
        self.cost_of_guests(plan.steps().filter_map(|(_, planned)| planned.step.moves()).map(|step| step.guest))
    }

    /// What it costs to move each of these once.
    pub(super) fn cost_of_guests(&self, guests: impl Iterator<Item = GuestId>) -> u64 {
        let mut item_of: BTreeMap<GuestId, usize> = BTreeMap::new();
        for (item, movers) in self.movers.iter().enumerate() {
            item_of.extend(movers.iter().map(|mover| (mover.guest, item)));
        }
        let moves = guests.filter_map(|guest| item_of.get(&guest).copied());
        // Guests that move together are one item with the cost of all.
        let share = |item: usize| self.instance.items[item].cost / self.movers[item].len().max(1) as u64;
        moves.map(share).fold(0, u64::saturating_add)
    }
}

/// Does the node get a node step: in a drain only the one that is drained; otherwise one with packages to upgrade, something to boot for, or a node step that has begun?
pub(super) fn has_turn(snapshot: &Snapshot, node: &Node, ongoing: &Ongoing) -> bool {
    if let Some(drain) = &ongoing.drain {
        return drain.node == node.name;
    }
    let broken = node.packages.known().is_some_and(|packages| !packages.broken.is_empty());
    ongoing.current_node.as_ref() == Some(&node.name) || snapshot.is_up_to_date(node) == Some(false) || broken
}

/// The node on which a step undoes a change.
pub(super) fn node_of(to_undo: &Step) -> Option<NodeName> {
    to_undo.node().cloned()
}

/// The HA service of this guest, if HA manages it.
pub(super) fn managed(ha: &Ha, guest: GuestId) -> Option<&HaService> {
    ha.services.get(&guest).filter(|service| service.request != HaRequest::Ignored)
}

/// The CD images of a guest that are ejected before it moves, as pairs of drive and image.
pub(super) fn media(guest: &Guest, policy: &Policy) -> Vec<(String, String)> {
    if policy.of(guest) != Some(GuestPolicy::Eject) {
        return Vec::new();
    }
    let disks = guest.migration.known().into_iter().flat_map(|facts| &facts.local_disks);
    disks.filter(|disk| disk.usage == DiskUse::Cdrom).map(|disk| (disk.drive.clone(), disk.volid.clone())).collect()
}
