//! Safety rules, each stated once as a predicate over one snapshot. One file per rule, one line here.
//!
//! Evaluated in five places: preflight, plan check, the guard before each step, the simulator's checker and the model
//! checker. A rule never asks how a state came about; what it must know besides the snapshot is in [`Context`], above
//! all which guests are moving.
//!
//! A node that is offline cannot be asked, and its gaps make no rule unknown. A gap on a node that is online does.

mod guard;
mod outcome;
mod rule;
#[cfg(test)]
pub(crate) mod sample;
mod support;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use guard::{Moment, Refusal, guard};
pub(crate) use guard::{RuleOutcomes, outcomes, outcomes_of_moves, refusals, with_moves};
pub use outcome::{Grounds, Missing, RuleOutcome};
pub use rule::{Context, Invariant, Moving};

use crate::ids::GuestId;
use crate::snapshot::Snapshot;

/// Declares the rules: one line each.
macro_rules! invariants {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[allow(missing_docs, reason = "each way in which the rule is broken says in its message what it is")]
            pub mod $module;
        )+

        /// Every rule.
        pub const ALL: &[RuleId] = &[$(RuleId::$name),+];

        /// A rule, by its name. In text and in JSON it is the rule's id: `one-node-out`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each rule's file says what it is")]
        pub enum RuleId {
            $($name),+
        }

        impl RuleId {
            /// As text: `one-node-out`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $module::$name.id()),+ }
            }

            /// Why it is a rule: what happens to a cluster where it is broken.
            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $module::$name.why()),+ }
            }

            /// What it demands: with [`RuleId::why`] the text of `quorate explain` and of `docs/invariants.md`.
            pub fn explain(self) -> &'static str {
                match self { $(Self::$name => $module::$name.explain()),+ }
            }

            /// What to do where it is broken before a run, with the literal command where there is one.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $module::$name.remedy()),+ }
            }

            /// Can it change because guests move?
            pub fn sees_moves(self) -> bool {
                match self { $(Self::$name => $module::$name.sees_moves()),+ }
            }

            /// Does it hold?
            pub fn holds(self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<Evidence> {
                match self { $(Self::$name => $module::$name.holds(snapshot, context).map(Evidence::$name)),+ }
            }

            /// Does it still hold, where it has held and only these guests have moved since?
            /// [`Invariant::still_holds`].
            pub fn still_holds(
                self,
                snapshot: &Snapshot,
                context: &Context<'_>,
                moved: &BTreeSet<GuestId>,
            ) -> RuleOutcome<Evidence> {
                match self {
                    $(Self::$name => $module::$name.still_holds(snapshot, context, moved).map(Evidence::$name)),+
                }
            }
        }

        /// The evidence of some rule: how it is broken, or which reading is missing.
        #[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs, reason = "each rule's file says what it is")]
        pub enum Evidence {
            $(#[error(transparent)] $name(<$module::$name as Invariant>::Evidence)),+
        }
    };
}

invariants! {
    one_node_out::OneNodeOut,
    quorum_margin::QuorumMargin,
    no_guest_on_a_node_we_stop::NoGuestOnANodeWeStop,
    forward_only::ForwardOnly,
    memory_fits::MemoryFits,
    rules_kept::RulesKept,
    ceph_redundancy::CephRedundancy,
    ceph_order::CephOrder,
    corosync_one_at_a_time::CorosyncOneAtATime,
    votes_lowered_only_if_confirmed_off::VotesLoweredOnlyIfConfirmedOff,
    fence_safe::FenceSafe,
}

impl RuleId {
    /// What `quorate explain` and `docs/invariants.md` say about it, one paragraph after the other.
    pub fn paragraphs(self) -> [String; 3] {
        let remedy = format!("Where it is broken before a run: {}.", self.remedy());
        [self.explain().to_owned(), self.why().to_owned(), remedy]
    }
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}

impl std::str::FromStr for RuleId {
    type Err = NoSuchRule;

    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        ALL.iter().copied().find(|rule| rule.id() == text).ok_or_else(|| NoSuchRule(text.to_owned()))
    }
}

/// No rule has this id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no safety rule is called {0}")]
pub struct NoSuchRule(String);
