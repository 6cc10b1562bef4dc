//! Where a step stands.

use serde::{Deserialize, Serialize};

use super::why::Why;

/// Where a step stands, judged by nothing but a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// Its own needs are met; it may be started.
    Ready,
    /// Its command has stopped half-way, and something is down until the rest of it is sent.
    HalfDone,
    /// It is under way, and this is the evidence.
    Running(Why),
    /// Its goal is reached.
    Done,
    /// Something it needs is not true, or not known; waiting may help.
    Blocked(Vec<Why>),
    /// It can never be done as it stands; a new plan is needed.
    Impossible(Why),
}

impl StepStatus {
    /// Blocked for one reason.
    pub(super) fn blocked(why: Why) -> Self {
        Self::Blocked(vec![why])
    }

    /// Of a step that waits until nothing is left; a missing reading is something that is left.
    pub(super) fn done_when_empty(left: Result<Vec<Why>, Why>) -> Self {
        match left {
            Ok(left) if left.is_empty() => Self::Done,
            Ok(left) => Self::Blocked(left),
            Err(why) => Self::blocked(why),
        }
    }
}
