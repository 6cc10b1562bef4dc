//! Whether there is quorum, and what took the votes away.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, UnixMs};

/// Whether there is quorum.
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
    /// No node that can be asked has it.
    Lost {
        /// Votes of the largest partition.
        votes: u32,
        /// Votes that it needs.
        needed: u32,
        /// Since when, as the members noted it.
        since: Option<UnixMs>,
    },
    /// No node reports its view.
    NotKnown,
}

/// One cause, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which cause it is.
    #[serde(flatten)]
    pub kind: CauseKind,
    /// How that is known: one sentence each.
    pub evidence: Vec<String>,
}

/// What took the votes away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum CauseKind {
    /// A node reboots because this run told it to.
    Reboots {
        /// The node in question.
        node: NodeName,
        /// When it was told to reboot.
        since: UnixMs,
        /// Has it used up the time that a boot may take?
        overdue: bool,
    },
    /// A node left cleanly: someone shut it down or reboots it.
    WentDown {
        /// The node in question.
        node: NodeName,
    },
    /// A node vanished without warning: power, kernel, or network.
    Vanished {
        /// The node in question.
        node: NodeName,
    },
    /// A node is silent, and no member noted when it left.
    Silent {
        /// The node in question.
        node: NodeName,
    },
    /// A node's shell answers, and its corosync does not run.
    CorosyncDown {
        /// The node in question.
        node: NodeName,
    },
    /// A node is up, but its corosync no longer reaches the others.
    CutOff {
        /// The node in question.
        node: NodeName,
    },
    /// A link to a node comes and goes.
    LinkFlaps {
        /// The node in question.
        node: NodeName,
    },
    /// The QDevice casts no vote here.
    DeviceAway {
        /// Votes that it would cast.
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
