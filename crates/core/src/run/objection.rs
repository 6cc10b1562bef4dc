//! What speaks against beginning a step now.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::migration_throttle::HeldBack;
use crate::invariants::{Refusal, RuleId};

/// One thing that speaks against beginning a step now.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objection {
    /// A safety rule refuses.
    #[error(transparent)]
    Rule(#[from] Refusal),
    /// The corosync watch holds a guest back.
    #[error(transparent)]
    CorosyncWatch(#[from] HeldBack),
}

impl Objection {
    /// Does a guest run on the node that the step takes down? Waiting does not make it leave; a new plan does.
    pub fn is_a_guest_there(&self) -> bool {
        matches!(self, Self::Rule(refusal) if refusal.rule == RuleId::NoGuestOnANodeWeStop)
    }

    /// Several, in one line.
    pub fn in_one_line(objections: &[Self]) -> String {
        objections.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }
}
