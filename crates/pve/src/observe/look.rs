//! What a look reads, and what it may take over from the one before.

use quorate_core::ids::{GuestId, NodeName};
use quorate_core::observed::Observed;
use quorate_core::snapshot::Snapshot;

/// How much a look reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Read everything.
    Full,
    /// Read what changes during a run; take the rest over from the previous snapshot.
    Watch,
}

/// What one look reads.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// How much to read.
    pub depth: Depth,
    /// The last snapshot; without one, a watch is a full look.
    pub previous: Option<&'a Snapshot>,
    /// API endpoints not to ask: the current node.
    pub avoid: Vec<NodeName>,
    /// Nodes in the configuration file, for when no API answers.
    pub known_nodes: Vec<NodeName>,
    /// Nodes to read fully even in a watch, including packages and Ceph's ok-to-stop: the current node.
    pub focus: Vec<NodeName>,
    /// Guests whose configuration is read again even in a watch: we have just changed it.
    pub changed_guests: Vec<GuestId>,
    /// For which nodes a full look, and a watch after a boot, read the readings for advice, including PVE's checker.
    pub hosts: Hosts<'a>,
}

/// For which nodes readings for advice are read: the upgrade checker takes seconds on every node.
#[derive(Clone, Debug)]
pub enum Hosts<'a> {
    /// For every node.
    All,
    /// For these nodes; the others are taken over from this snapshot, if it has them.
    Only(Vec<NodeName>, &'a Snapshot),
    /// For no node: this look does not need them.
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

    /// Must everything about this node be read, whatever was known?
    pub(super) fn closely(&self, node: &NodeName) -> bool {
        self.depth == Depth::Full || self.previous.is_none() || self.focus.contains(node)
    }
}

/// Takes over a known old reading, unless it must be read again. A future that is not needed sends nothing.
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
