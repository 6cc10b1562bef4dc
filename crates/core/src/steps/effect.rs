//! How a step changes the forecast.

use std::fmt;

use crate::snapshot::Snapshot;

/// The state while a step runs and once it is done. There are no defaults: a step that changes nothing says so.
#[derive(Debug)]
pub struct Effect<'a> {
    /// While it runs, where that is another state than the one before it.
    pub during: Change<'a>,
    /// Once it is done.
    pub after: Change<'a>,
    /// What is also true once it is done, because the step waits for it: what Ceph or HA do in that time.
    pub promise: Change<'a>,
}

/// A change of the state, by how much it affects.
pub enum Change<'a> {
    /// The state stays as it is.
    Nothing,
    /// Nodes, flags and modes change; the same guests run on the same nodes.
    Cluster(Box<dyn Fn(&mut Snapshot) + 'a>),
    /// Guests change too.
    Guests(Box<dyn Fn(&mut Snapshot) + 'a>),
}

impl<'a> Change<'a> {
    /// A change of [`Change::Cluster`].
    pub fn cluster(change: impl Fn(&mut Snapshot) + 'a) -> Self {
        Self::Cluster(Box::new(change))
    }

    /// A change of [`Change::Guests`].
    pub fn guests(change: impl Fn(&mut Snapshot) + 'a) -> Self {
        Self::Guests(Box::new(change))
    }

    /// Does it leave everything as it is?
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// May other guests run on a node after it, or the same ones elsewhere?
    pub fn reaches_guests(&self) -> bool {
        matches!(self, Self::Guests(_))
    }

    /// Applies the change.
    pub fn apply(&self, snapshot: &mut Snapshot) {
        match self {
            Self::Nothing => {}
            Self::Cluster(change) | Self::Guests(change) => change(snapshot),
        }
    }
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Cluster(_) => "Cluster",
            Self::Guests(_) => "Guests",
        })
    }
}
