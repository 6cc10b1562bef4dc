//! Why a guest may not start to migrate yet.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::signs::Sign;
use super::throttle::Throttle;

/// The name under which the throttle refuses, like a rule's id.
pub const WATCH: &str = "corosync-watch";

/// Why a guest may not start to migrate yet.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBack {
    /// Corosync already complains.
    #[error("{WATCH} ({throttle}): {sign}")]
    BySign {
        /// How many guests may migrate at once.
        throttle: Throttle,
        /// What corosync complains about.
        sign: Sign,
    },
    /// There is one link, and it is too early to know what the last guest's migration does to it.
    #[error(
        "{WATCH} (one more at a time): corosync has one link only, and the last migration has just started: whether \
         the heartbeat survives it is not known yet"
    )]
    LastOneJustSetOut,
}
