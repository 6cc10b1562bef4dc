//! What a look is to read, and what it may take over from the one before.

use quorate_core::ids::{GuestId, NodeName};
use quorate_core::observed::Observed;
use quorate_core::snapshot::Snapshot;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Read everything.
    Full,
    /// Read what changes while a run is under way; take the rest over from the previous snapshot.
    Watch,
}

/// One look.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// How closely.
    pub depth: Depth,
    /// The last snapshot; without one, a watch is a full look.
    pub previous: Option<&'a Snapshot>,
    /// API endpoints not to ask: the node under work.
    pub avoid: Vec<NodeName>,
    /// Nodes of the configuration file, for when no API answers.
    pub known_nodes: Vec<NodeName>,
    /// Nodes to read closely also in a watch, packages and Ceph's ok-to-stop included: the node under work.
    pub focus: Vec<NodeName>,
    /// Guests whose configuration is read anew also in a watch: we have just changed it.
    pub changed_guests: Vec<GuestId>,
    /// Of which nodes a full look, and a watch after a boot, read what serves as advice, PVE's checker among it.
    pub hosts: Hosts<'a>,
}

/// Whose advice is read: the upgrade checker computes for seconds on every node.
#[derive(Clone, Debug)]
pub enum Hosts<'a> {
    /// That of every node.
    All,
    /// That of these nodes; the rest is taken over from this snapshot, where it has it.
    Only(Vec<NodeName>, &'a Snapshot),
    /// Nobody's: this look serves something else.
    Nobody,
}

impl Look<'_> {
    /// A full look with no history.
    pub fn full() -> Self {
        Self {
            depth: Depth::Full,
            previous: None,
            avoid: vec![],
            known_nodes: vec![],
            focus: vec![],
            changed_guests: vec![],
            hosts: Hosts::All,
        }
    }

    /// Is everything of this node to be read, whatever was known?
    pub(super) fn closely(&self, node: &NodeName) -> bool {
        self.depth == Depth::Full || self.previous.is_none() || self.focus.contains(node)
    }
}

/// Takes a known old reading over, unless it is to be read anew. A future that is not needed sends nothing.
pub(super) async fn keep_or<T: Clone>(
    old: Option<&Observed<T>>,
    anew: bool,
    read: impl Future<Output = Observed<T>>,
) -> Observed<T> {
    match old {
        Some(Observed::Known(value)) if !anew => Observed::Known(value.clone()),
        _ => read.await,
    }
}
