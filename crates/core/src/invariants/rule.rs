//! What a safety rule is, and what it may know besides the snapshot.

use std::collections::BTreeSet;

use super::outcome::RuleOutcome;
use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::Step;

/// What a rule may know besides the snapshot.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// What the operator allows.
    pub policy: &'a Policy,
    /// Guests that may be down now, because the operator consented to it and their node is being upgraded.
    pub may_be_down: BTreeSet<GuestId>,
    /// The current node, if there is one: the only one that may be out.
    pub current_node: Option<NodeName>,
    /// Nodes that the operator confirmed powered off; expected votes may be lowered for these only.
    pub nodes_confirmed_off: BTreeSet<NodeName>,
    /// Guests that are moving. They take room, and their rules hold, on both ends.
    pub moving: Vec<Moving>,
}

/// A guest that is moving.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moving {
    /// The guest that moves.
    pub guest: GuestId,
    /// The node that it leaves.
    pub from: NodeName,
    /// The node that it moves to.
    pub to: NodeName,
}

impl Moving {
    /// The move that a step makes, if it makes one.
    pub fn of(step: &Step) -> Option<Self> {
        let step = step.moves()?;
        Some(Self { guest: step.guest, from: step.from.clone(), to: step.to.clone() })
    }
}

impl<'a> Context<'a> {
    /// No node is being upgraded, nothing moves, nothing may be down.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            may_be_down: BTreeSet::new(),
            current_node: None,
            nodes_confirmed_off: BTreeSet::new(),
            moving: Vec::new(),
        }
    }
}

/// A safety rule.
pub trait Invariant {
    /// Every way in which it can be broken, or in which that is not known, each with its figures and its sentence.
    type Evidence: std::error::Error;
    /// The rule's id: `one-node-out`.
    fn id(&self) -> &'static str;
    /// Why it is a rule: what happens to a cluster where it is broken.
    fn why(&self) -> &'static str;
    /// What it demands: with [`Invariant::why`] the text of `quorate explain` and of `docs/invariants.md`.
    fn explain(&self) -> &'static str;
    /// What to do where it is broken before a run, with the literal command where there is one.
    fn remedy(&self) -> &'static str;
    /// Can its outcome change because guests move? If not, a plan check evaluates it once for all moves in a row.
    fn sees_moves(&self) -> bool {
        true
    }
    /// Does it hold?
    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<Self::Evidence>;
    /// The same where it has held, and since then only these guests have begun to move or moved: a plan check asks a
    /// thousand times, and a rule about single guests needs to look at those only.
    fn still_holds(
        &self,
        snapshot: &Snapshot,
        context: &Context<'_>,
        moved: &BTreeSet<GuestId>,
    ) -> RuleOutcome<Self::Evidence> {
        let _ = moved;
        self.holds(snapshot, context)
    }
}
