//! Why a run rests between two nodes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a run rests between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "between")]
pub enum WhyBetween {
    /// Somebody asked for it.
    #[error("{by} asked for a pause here")]
    Asked {
        /// Who asked, in words.
        by: String,
    },
    /// The run was told to pause after its first node.
    #[error("the first node is done, and the run pauses after it (--pause-after-first)")]
    AfterFirst,
    /// The run was told to pause after each node.
    #[error("a node is done, and the run asks before each one (--approve-each-node)")]
    AfterEach,
    /// The next node would not be done in time.
    #[error("the next node takes about {} min, and {} min are left (--until)", needs_s.div_ceil(60), has_s / 60)]
    TooLate {
        /// What the next node takes, in seconds.
        needs_s: u64,
        /// What is left of the time, in seconds.
        has_s: u64,
    },
}
