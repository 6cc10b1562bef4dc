//! What happens between two nodes.

use serde::{Deserialize, Serialize};

use crate::ids::UnixMs;

/// What happens when one node is back and the next one has not been touched. Guests run then, and no node is out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BetweenNodes {
    /// Does the run pause here?
    pub pause: PauseBetween,
    /// How long the cluster is only watched before the next node, in seconds.
    pub soak_s: u64,
    /// No node is begun that would not be done by then; the run pauses instead.
    pub until: Option<UnixMs>,
}

/// After which nodes a run pauses by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseBetween {
    /// After none.
    #[default]
    Never,
    /// After the first one.
    AfterFirst,
    /// After each one.
    AfterEach,
}
