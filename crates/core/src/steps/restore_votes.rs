//! Expected votes are again what the configuration says.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{QuorumView, Snapshot};

/// Pays [`super::LowerVotes`] back. corosync does most of it: expected votes rise by themselves with every node that
/// joins (votequorum). What is left is done as soon as the members reach the full quorum without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreVotes {
    /// What was configured when they were lowered, a QDevice included.
    pub expected: u32,
}

impl RestoreVotes {
    /// What is to be expected: less than before only where the administrator has taken nodes out of the configuration.
    fn target(&self, snapshot: &Snapshot, view: &QuorumView) -> u32 {
        let device = view.qdevice.map_or(0, |device| device.votes);
        let configured = snapshot.configured_votes.known();
        let configured = configured.map(|votes| votes.values().copied().fold(device, u32::saturating_add));
        configured.map_or(self.expected, |configured| configured.min(self.expected))
    }

    /// Views of the nodes that tell theirs. One that does not is no member, or is asked again at the next look.
    fn views<'a>(&self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a NodeName, &'a QuorumView)> {
        snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?)))
    }
}

impl StepKind for RestoreVotes {
    fn verb(&self) -> &'static str {
        "restore-votes"
    }

    fn title(&self) -> String {
        format!("expect {} votes again, as configured", self.expected)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let mut missing = Vec::new();
        let mut ready = false;
        for (name, view) in self.views(snapshot) {
            let target = self.target(snapshot, view);
            let needed = target / 2 + 1;
            if view.expected_votes >= target {
                continue;
            }
            ready |= view.total_votes >= needed;
            missing.push(format!(
                "{name} expects {} votes of {target}, and {} are there: {needed} are needed before it can be told to",
                view.expected_votes, view.total_votes
            ));
        }
        match (self.views(snapshot).next().is_none(), missing.is_empty()) {
            (true, _) => StepStatus::Blocked(vec!["no node tells how many votes it expects".to_owned()]),
            (false, true) => StepStatus::Done,
            (false, false) if ready => StepStatus::Ready,
            (false, false) => StepStatus::Blocked(missing),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        for view in snapshot.quorum.values_mut().filter_map(|view| view.known_mut()) {
            view.expected_votes = self.expected;
            view.quorum = self.expected / 2 + 1;
            view.quorate = view.total_votes >= view.quorum;
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let mut views = self.views(snapshot);
        let (node, view) = views.find(|(_, view)| view.quorate && view.expected_votes < self.target(snapshot, view))?;
        let target = self.target(snapshot, view).to_string();
        Some(Command::shell(node, &["pvecm", "expected", &target]))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // Until a node comes back: a machine that has died takes a person and a day.
        Limits { deadline_s: (deadlines.boot_s + deadlines.rejoin_s).max(86_400), settle_s: 10, attempts: 3 }
    }
}
