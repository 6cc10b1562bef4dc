//! How many guests may travel at once, as the corosync watch lets them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many may travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// As many as the plan has.
    #[default]
    AsPlanned,
    /// One.
    OneAtATime,
    /// None sets out.
    Hold,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsPlanned => "guests travel as planned",
            Self::OneAtATime => "guests travel one at a time",
            Self::Hold => "no guest sets out",
        })
    }
}
