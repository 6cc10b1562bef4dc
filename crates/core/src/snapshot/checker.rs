//! What PVE's own upgrade checker (`pve8to9 --full`) said on a node, line by line.

use serde::{Deserialize, Serialize};

/// One run of the checker on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckerReport {
    /// The program: `pve8to9`.
    pub tool: String,
    /// Its lines in their order, without colours, each with the lines that continue it.
    pub lines: Vec<CheckerLine>,
    /// Did it reach its summary? Without one it died on the way, and its report is not complete.
    pub finished: bool,
}

impl CheckerReport {
    /// The major release that the program prepares for: 9 for `pve8to9`.
    pub fn target_major(&self) -> Option<u64> {
        self.tool.rsplit_once("to").and_then(|(_, major)| major.parse().ok())
    }
}

/// One line of the checker's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckerLine {
    /// How the checker rates it.
    pub level: CheckerLevel,
    /// The heading that it is under: `CHECKING CLUSTER HEALTH/SETTINGS`.
    pub section: String,
    /// What it says; continuation lines joined by a space.
    pub text: String,
}

/// How the checker rates a line. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckerLevel {
    /// All is well.
    Pass,
    /// For information; not counted.
    Info,
    /// Not applicable.
    Skip,
    /// To be noticed.
    Notice,
    /// A warning.
    Warn,
    /// A failure.
    Fail,
}

impl std::fmt::Display for CheckerLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Info => "INFO",
            Self::Skip => "SKIP",
            Self::Notice => "NOTICE",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        })
    }
}
