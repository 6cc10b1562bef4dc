//! From what was seen and what is allowed to a plan for the whole run. Pure and deterministic.

use crate::ids::{NodeName, PlanId, UnitName};
use crate::plan::{NoPlan, Plan};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::Step;

/// What a plan in the middle of a run has to take up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ongoing {
    /// The plan that the new one replaces.
    pub parent: Option<PlanId>,
    /// The node whose turn has begun and not ended: it comes first.
    pub under_work: Option<NodeName>,
    /// What is owed, oldest first: every one of these is in the plan.
    pub owed: Vec<Step>,
    /// The name of the upgrade unit on the nodes.
    pub unit: UnitName,
}

impl Ongoing {
    /// Nothing has begun yet.
    pub fn fresh(unit: UnitName) -> Self {
        Self { parent: None, under_work: None, owed: Vec::new(), unit }
    }
}

/// Plans everything that is still to do.
///
/// # Errors
/// [`NoPlan`] names each reason: a reading that is missing, a guest that is stuck and by how much.
pub fn plan(_snapshot: &Snapshot, _policy: &Policy, _ongoing: &Ongoing) -> Result<Plan, NoPlan> {
    Err(NoPlan { findings: Vec::new() })
}
