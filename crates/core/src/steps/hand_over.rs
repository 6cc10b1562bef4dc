//! A node that was drained is handed over to its administrator, until it is given back.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{node, take_offline};
use super::wait_back::WaitBack;
use super::why::read;
use crate::command::Command;
use crate::ids::{NodeName, StorageId};
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Hands a node over: from its start on the node may be switched off and on, as often as its administrator likes. It is
/// not ended by anything that is seen, but by a person (`quorate undrain`, or an abort); then the node must be back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The node.
    pub node: NodeName,
    /// Storages that its return does not wait for, as [`WaitBack`] has them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<StorageId>,
}

impl HandOver {
    /// How long hardware work is taken to last, in seconds: nobody knows, and a plan needs a figure.
    pub const ESTIMATE_S: u64 = 3600;
}

impl StepKind for HandOver {
    fn verb(&self) -> &'static str {
        "hand-over"
    }

    fn title(&self) -> String {
        format!("{} is yours, until you give it back (quorate undrain {})", self.node, self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::RiskTaking,
            on_node: OnNode::HandsOver,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    // However it ends: first the node must serve again.
    fn undo(&self) -> Undo {
        Undo::Later(WaitBack { node: self.node.clone(), without: self.without.clone() }.into())
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match node(snapshot, &self.node).and_then(|node| read(&node.online)) {
            Ok(true) => StepStatus::Ready,
            Ok(false) => StepStatus::blocked(Why::NotAMember(self.node.clone())),
            Err(why) => StepStatus::blocked(why),
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        None
    }

    // What the rules wait for before it: Ceph and another hand's work on a node.
    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ceph_clean_s, settle_s: 0, attempts: 1 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::cluster(|snapshot| take_offline(snapshot, &self.node)),
            after: Change::Nothing,
            promise: Change::Nothing,
        }
    }
}
