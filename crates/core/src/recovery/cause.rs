//! How things stand, and what took the votes away.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, UnixMs};

/// Is there quorum?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum Standing {
    /// Some partition has it.
    Quorate {
        /// Votes that it has.
        votes: u32,
        /// Votes that it needs.
        needed: u32,
    },
    /// Nobody who can be asked has it.
    Lost {
        /// Votes of the largest partition.
        votes: u32,
        /// Votes that it needs.
        needed: u32,
        /// Since when, as the members heard it.
        since: Option<UnixMs>,
    },
    /// No node tells its view.
    NotKnown,
}

/// One cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What it is.
    #[serde(flatten)]
    pub kind: CauseKind,
    /// How that is known: one sentence each.
    pub evidence: Vec<String>,
}

/// What took the votes away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum CauseKind {
    /// A node reboots by order of this run.
    Reboots {
        /// Which.
        node: NodeName,
        /// Since when.
        since: UnixMs,
        /// Has it used up the time that a boot may take?
        overdue: bool,
    },
    /// A node left orderly: somebody shut it down or reboots it.
    WentDown {
        /// Which.
        node: NodeName,
    },
    /// A node vanished without a word: power, kernel, or network.
    Vanished {
        /// Which.
        node: NodeName,
    },
    /// A node is silent, and nobody heard it go.
    Silent {
        /// Which.
        node: NodeName,
    },
    /// A node's shell answers, and its corosync does not run.
    CorosyncDown {
        /// Which.
        node: NodeName,
    },
    /// A node lives, and its corosync reaches the others no more.
    CutOff {
        /// Which.
        node: NodeName,
    },
    /// A link to a node comes and goes.
    LinkFlaps {
        /// Which.
        node: NodeName,
    },
    /// The QDevice casts no vote here.
    DeviceAway {
        /// Votes that it would have.
        votes: u32,
    },
}

impl CauseKind {
    /// The node that it is about.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Reboots { node, .. }
            | Self::WentDown { node }
            | Self::Vanished { node }
            | Self::Silent { node }
            | Self::CorosyncDown { node }
            | Self::CutOff { node }
            | Self::LinkFlaps { node } => Some(node),
            Self::DeviceAway { .. } => None,
        }
    }
}
