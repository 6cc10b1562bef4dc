//! Why a step of a run is not done, or not yet.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::objection::Objection;
use crate::steps::Why;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyNotDone {
    /// Where the step stands.
    #[error(transparent)]
    Status(#[from] Why),
    /// Why it may not start.
    #[error(transparent)]
    Objection(#[from] Objection),
    /// Its command was sent, and its effect may take a moment to be seen.
    #[error("no effect seen yet")]
    NoEffectYet,
    /// The guest arrived and is stopped, but not by a command of this step.
    #[error("it is there and does not run; start it, and the run continues")]
    StartItYourself,
    /// The operator aborts the run.
    #[error("the run is aborted")]
    Aborted,
}

impl WhyNotDone {
    /// Does it depend on what other nodes have, which only a look at everything reads anew?
    pub(super) fn is_about_other_nodes(&self) -> bool {
        matches!(self, Self::Status(Why::StorageInactive(..)))
    }

    /// Several reasons in one line.
    pub fn line(reasons: &[Self]) -> String {
        reasons.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Of a list of another type.
    pub(super) fn all(reasons: impl IntoIterator<Item: Into<Self>>) -> Vec<Self> {
        reasons.into_iter().map(Into::into).collect()
    }
}
