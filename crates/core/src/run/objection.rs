//! Why a step may not start now.

use serde::{Deserialize, Serialize};
use thiserror::Error;

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
