//! What has changed in the cluster by another hand than this run's.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName};
use crate::recovery::span;
use crate::text::listed;

/// Something that no step of this run explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum OutsideChange {
    /// A node is in another boot.
    Rebooted {
        /// The node.
        node: NodeName,
        /// How long it had been up when that was seen, in seconds, if it was read.
        up_s: Option<u64>,
        /// The guests that ran there before.
        guests: BTreeSet<GuestId>,
    },
    /// A guest that ran is stopped.
    Stopped {
        /// The guest.
        guest: GuestId,
        /// The node it is on.
        node: NodeName,
    },
    /// A guest runs on another node.
    Moved {
        /// The guest.
        guest: GuestId,
        /// Where it ran before.
        from: NodeName,
        /// Where it runs now.
        to: NodeName,
    },
}

impl OutsideChange {
    /// The guests that it took down, as far as they do not run again since.
    pub fn takes_down(&self) -> BTreeSet<GuestId> {
        match self {
            Self::Rebooted { guests, .. } => guests.clone(),
            Self::Stopped { guest, .. } => [*guest].into(),
            Self::Moved { .. } => BTreeSet::new(),
        }
    }

    /// Must the operator know before the run goes on? A guest that only moved is planned for as it is now.
    pub fn pauses(&self) -> bool {
        match self {
            Self::Rebooted { .. } | Self::Stopped { .. } => true,
            Self::Moved { .. } => false,
        }
    }
}

impl fmt::Display for OutsideChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rebooted { node, up_s, guests } => {
                write!(f, "{node} has rebooted, and not by this run")?;
                if let Some(up_s) = up_s {
                    write!(f, " (up for {} when that was seen)", span(*up_s))?;
                }
                match guests.is_empty() {
                    true => f.write_str("; no guest ran there"),
                    false => write!(f, ", with {} on it", listed(guests)),
                }
            }
            Self::Stopped { guest, node } => write!(f, "{guest} on {node} has stopped, and not by this run"),
            Self::Moved { guest, from, to } => write!(f, "{guest} has moved {from} → {to}, and not by this run"),
        }
    }
}
