//! Expected votes are lowered, so that those who are left have quorum.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Class, Limits, RestoreVotes, Step, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Only ever made by [`crate::recovery::lowering`], never by the planner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowerVotes {
    /// Where the command is given: a member of the partition that counts. corosync tells the other members.
    pub node: NodeName,
    /// What is expected from then on.
    pub expected: u32,
    /// What is configured, a QDevice included.
    pub configured: u32,
    /// Nodes that a person has seen to be off.
    pub off: BTreeSet<NodeName>,
}

impl StepKind for LowerVotes {
    fn verb(&self) -> &'static str {
        "lower-votes"
    }

    fn title(&self) -> String {
        let off: Vec<&str> = self.off.iter().map(NodeName::as_str).collect();
        format!("lower the expected votes from {} to {}, without {}", self.configured, self.expected, off.join(", "))
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match snapshot.quorum.get(&self.node).map(|view| super::read(view)) {
            None => StepStatus::Blocked(vec![format!("{} was not asked for its view", self.node)]),
            Some(Err(why)) => StepStatus::Blocked(vec![why]),
            Some(Ok(view)) if view.expected_votes <= self.expected => StepStatus::Done,
            // Never ready by itself: it is sent in the moment in which it is judged, or not at all.
            Some(Ok(_)) => StepStatus::Impossible("it was not lowered; `quorate recover` judges anew".to_owned()),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        for view in snapshot.quorum.values_mut().filter_map(|view| view.known_mut()) {
            if view.members.contains_key(&self.node) {
                view.expected_votes = self.expected;
                view.quorum = self.expected / 2 + 1;
                view.quorate = view.total_votes >= view.quorum;
            }
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(Command::shell(&self.node, &["pvecm", "expected", &self.expected.to_string()]))
    }

    fn owes(&self) -> Option<Step> {
        Some(RestoreVotes { expected: self.configured }.into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        // One try: whether it may be tried again is judged anew, by a person.
        Limits { deadline_s: 60, settle_s: 10, attempts: 1 }
    }
}
