//! The reasons for which there is no plan, by their ids.

use crate::checks::{Finding, Severity, Subject};

/// A reason why there is no plan, or none that may be followed. `docs/plan.md` has a section for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNoPlan {
    /// A reading is missing without which nothing is planned.
    Unknown,
    /// A guest cannot leave its node.
    Immovable,
    /// There is no room for the guests of a node while it is out.
    NoRoom,
    /// What is proven to be impossible.
    Proof,
    /// HA rules cannot all be kept.
    Rules,
    /// The policy names a node that the cluster does not have.
    Order,
    /// A node is out for a reason that is not this run's.
    NodeOut,
    /// More nodes than a plan can have.
    TooBig,
    /// There is a plan, and the plan check refuses it.
    Check,
    /// The package lists of a node could not be read again: a plan would be about the wrong packages.
    PackageLists,
}

impl WhyNoPlan {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Unknown,
        Self::Immovable,
        Self::NoRoom,
        Self::Proof,
        Self::Rules,
        Self::Order,
        Self::NodeOut,
        Self::TooBig,
        Self::Check,
        Self::PackageLists,
    ];

    /// Its id, as in findings and `quorate explain`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Unknown => "plan-unknown",
            Self::Immovable => "plan-immovable",
            Self::NoRoom => "plan-no-room",
            Self::Proof => "plan-proof",
            Self::Rules => "plan-rules",
            Self::Order => "plan-order",
            Self::NodeOut => "plan-node-out",
            Self::TooBig => "plan-too-big",
            Self::Check => "plan-check",
            Self::PackageLists => "package-lists",
        }
    }

    /// The finding that says so; always blocking.
    pub fn finding(self, subject: Subject, problem: String, remedy: String) -> Finding {
        let (check, severity) = (self.id().to_owned(), Severity::Blocking);
        Finding { check, kind: String::new(), severity, subject, problem, remedy, waived: None }
    }

    /// Does the finding give this reason?
    pub fn is(self, finding: &Finding) -> bool {
        finding.check == self.id()
    }
}
