//! Safety rules, each stated once as a predicate over one snapshot. One file per rule, one line here.
//!
//! Evaluated in five places: preflight, plan check, the guard before each step, the simulator's oracle and the
//! model checker. A rule never asks how a state came about; what it must know besides the snapshot is in
//! [`Context`], above all which guests are travelling.
//!
//! A node that is offline cannot be asked, and its gaps make no rule unknown. A gap on a node that is online does.

mod guard;
#[cfg(test)]
pub(crate) mod sample;
mod support;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use guard::guard;
pub(crate) use guard::{Refusal, refusals, verdicts, verdicts_of_moves, with_moves};

use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::Step;

/// What a rule may know besides the snapshot.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// What the operator allows.
    pub policy: &'a Policy,
    /// Guests that may be down now, because the operator consented to it and their node is under work.
    pub may_be_down: BTreeSet<GuestId>,
    /// The node under work, if there is one: the only one that may be out.
    pub under_work: Option<NodeName>,
    /// Nodes that the operator attested dead; expected votes may go down for these only.
    pub attested_dead: BTreeSet<NodeName>,
    /// Guests that are travelling. They take room, and their rules hold, on both ends.
    pub moving: Vec<Moving>,
}

/// A guest on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moving {
    /// The guest.
    pub guest: GuestId,
    /// Where it comes from.
    pub from: NodeName,
    /// Where it goes.
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
    /// Nothing is under work, nothing travels, nothing may be down.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            may_be_down: BTreeSet::new(),
            under_work: None,
            attested_dead: BTreeSet::new(),
            moving: Vec::new(),
        }
    }
}

/// What a rule says of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It is broken, and this is the evidence: one sentence each, with figures.
    Broken(Vec<String>),
    /// It cannot be told, and this is what is missing. Only [`Verdict::Holds`] lets a step pass.
    Unknown(Vec<String>),
}

impl Verdict {
    /// The evidence, or what is missing; empty if the rule holds.
    pub fn evidence(&self) -> &[String] {
        match self {
            Self::Holds => &[],
            Self::Broken(evidence) | Self::Unknown(evidence) => evidence,
        }
    }
}

/// A safety rule.
pub trait Invariant: Sync {
    /// Its id: `one-node-out`.
    fn id(&self) -> &'static str;
    /// Why it is a rule: what happens to a cluster where it is broken.
    fn why(&self) -> &'static str;
    /// Can it change because guests move? Of one that cannot, a plan check asks once for all moves in a row.
    fn sees_moves(&self) -> bool {
        true
    }
    /// Does it hold?
    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> Verdict;
    /// The same where it has held, and since then nothing happened but that these guests have begun to move or moved: a
    /// plan check asks a thousand times, and of a rule about single guests only for those.
    fn still_holds(&self, snapshot: &Snapshot, context: &Context<'_>, moved: &BTreeSet<GuestId>) -> Verdict {
        let _ = moved;
        self.holds(snapshot, context)
    }
}

/// Declares the rules: one line each.
macro_rules! invariants {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module;)+

        /// Every rule.
        pub const ALL: &[&dyn Invariant] = &[$(&$module::$name),+];
    };
}

invariants! {
    one_node_out::OneNodeOut,
    quorum_margin::QuorumMargin,
    no_guest_on_a_node_we_stop::NoGuestOnANodeWeStop,
    forward_only::ForwardOnly,
    memory_fits::MemoryFits,
    rules_kept::RulesKept,
    ceph_redundancy::CephRedundancy,
    ceph_order::CephOrder,
    corosync_one_at_a_time::CorosyncOneAtATime,
    votes_lowered_only_if_attested::VotesLoweredOnlyIfAttested,
    fence_safe::FenceSafe,
}

/// The rule with this id.
pub fn by_id(id: &str) -> Option<&'static dyn Invariant> {
    ALL.iter().copied().find(|rule| rule.id() == id)
}
