//! Safety rules, each stated once as a predicate over one snapshot. One file per rule, one line here.
//!
//! Evaluated in five places: preflight, plan check, the guard before each step, the simulator's oracle and the
//! model checker.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

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

/// A safety rule.
pub trait Invariant: Sync {
    /// Its id: `one-node-out`.
    fn id(&self) -> &'static str;
    /// Why it is a rule: what happens to a cluster where it is broken.
    fn why(&self) -> &'static str;
    /// Does it hold?
    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> Verdict;
}
