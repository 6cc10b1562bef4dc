//! How many guests may migrate at once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many guests may migrate at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Throttle {
    /// As many as the plan wants.
    #[default]
    AsPlanned,
    /// One at a time.
    OneAtATime,
    /// None starts; those under way finish.
    Hold,
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsPlanned => "guests migrate as planned",
            Self::OneAtATime => "guests migrate one at a time",
            Self::Hold => "no new migration starts",
        })
    }
}
