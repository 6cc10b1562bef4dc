//! Why a step may not start now.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::unsettled::MayStillHappen;
use crate::fence::Unfenced;
use crate::invariants::{Refusal, RuleId};
use crate::migration_throttle::HeldBack;

/// One reason why a step may not start now.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objection {
    /// A safety rule refuses.
    #[error(transparent)]
    Rule(#[from] Refusal),
    /// The migration throttle holds a guest back.
    #[error(transparent)]
    CorosyncWatch(#[from] HeldBack),
    /// Its order could have no condition.
    #[error(transparent)]
    Unfenced(#[from] Unfenced),
    /// An order that was sent before may still take effect.
    #[error(transparent)]
    Unsettled(#[from] MayStillHappen),
}

impl Objection {
    /// Does a guest run on the node that the step takes down? Waiting does not make it leave; a new plan does.
    pub fn is_a_guest_there(&self) -> bool {
        matches!(self, Self::Rule(refusal) if refusal.rule == RuleId::NoGuestOnANodeWeStop)
    }

    /// Several objections in one line.
    pub fn in_one_line(objections: &[Self]) -> String {
        objections.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}
