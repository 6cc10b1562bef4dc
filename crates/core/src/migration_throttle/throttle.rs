//! How many guests may travel.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many may travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Throttle {
    /// As many as the plan has.
    #[default]
    AsPlanned,
    /// One.
    OneAtATime,
    /// None sets out.
    Hold,
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsPlanned => "guests travel as planned",
            Self::OneAtATime => "guests travel one at a time",
            Self::Hold => "no guest sets out",
        })
    }
}
