//! Expected votes are lowered, so that the nodes that are left have quorum.
//!
//! Only ever made by [`crate::recovery::lowering`], never by the planner. corosync does most of the undoing: expected
//! votes rise by themselves with every node that joins (votequorum). What is left is done as soon as the members reach
//! the full quorum without it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Act, Reading, SettingKind};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{QuorumView, Snapshot};
use crate::steps::profile::{About, Class, Limits, OnNode};
use crate::steps::status::StepStatus;
use crate::steps::why::{Why, read};

pub(super) const VERBS: [&str; 2] = ["lower-votes", "restore-votes"];

/// The expected votes of the nodes that are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedVotes {
    /// Where they are lowered: a member of the partition that counts. corosync tells the other members.
    pub node: NodeName,
    /// What is expected from then on.
    pub expected: u32,
    /// What is configured, a QDevice included.
    pub configured: u32,
    /// Nodes that an administrator confirmed powered off.
    pub off: BTreeSet<NodeName>,
}

impl ExpectedVotes {
    /// What should be expected: less than before only where the administrator has taken nodes out of the configuration.
    fn target(&self, snapshot: &Snapshot, view: &QuorumView) -> u32 {
        let device = view.qdevice.map_or(0, |device| device.votes);
        let configured = snapshot.configured_votes.known();
        let configured = configured.map(|votes| votes.values().copied().fold(device, u32::saturating_add));
        configured.map_or(self.configured, |configured| configured.min(self.configured))
    }

    /// Nodes whose view is known and that expect too little. One that does not report is no member, or is asked again
    /// at the next look.
    fn lowered<'a>(&self, snapshot: &'a Snapshot) -> impl Iterator<Item = (&'a NodeName, &'a QuorumView, u32)> {
        let known = snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?)));
        let with_target = known.map(|(name, view)| (name, view, self.target(snapshot, view)));
        with_target.filter(|(_, view, target)| view.expected_votes < *target)
    }

    /// The command that lowers them.
    pub fn lowers(&self) -> Command {
        expected(&self.node, self.expected)
    }

    /// It is sent at the moment at which it is checked, or not at all: never ready by itself.
    fn may_be_lowered(&self, snapshot: &Snapshot) -> StepStatus {
        match snapshot.quorum.get(&self.node).map(read) {
            None => StepStatus::blocked(Why::NoView(self.node.clone())),
            Some(Err(why)) => StepStatus::blocked(why),
            Some(Ok(_)) => StepStatus::Impossible(Why::NotLowered),
        }
    }

    fn may_be_raised(&self, snapshot: &Snapshot) -> StepStatus {
        let needed = |target: u32| target / 2 + 1;
        if self.lowered(snapshot).any(|(_, view, target)| view.total_votes >= needed(target)) {
            return StepStatus::Ready;
        }
        let too_few = self.lowered(snapshot).map(|(name, view, target)| Why::TooFewVotes {
            node: name.clone(),
            expects: view.expected_votes,
            of: target,
            there: view.total_votes,
            needed: needed(target),
        });
        StepStatus::Blocked(too_few.collect())
    }
}

fn expected(node: &NodeName, votes: u32) -> Command {
    Command::shell(node, &["pvecm", "expected", &votes.to_string()])
}

fn expect(view: &mut QuorumView, votes: u32) {
    view.expected_votes = votes;
    view.quorum = votes / 2 + 1;
    view.quorate = view.total_votes >= view.quorum;
}

impl SettingKind for ExpectedVotes {
    fn title(&self, act: Act) -> String {
        let Self { expected, configured, .. } = self;
        let off: Vec<&str> = self.off.iter().map(NodeName::as_str).collect();
        match act {
            Act::Set => {
                format!("lower the expected votes from {configured} to {expected}, without {}", off.join(", "))
            }
            Act::Undo => format!("expect {configured} votes again, as configured"),
        }
    }

    fn about(&self) -> About<'_> {
        About::Cluster
    }

    // Without quorum no rule about it could hold: the rule about lowering has the last word in the check.
    fn class(&self) -> Class {
        Class::Restoring
    }

    fn on_node(&self) -> OnNode {
        OnNode::Nothing
    }

    fn estimate_s(&self) -> u64 {
        10
    }

    fn limits(&self, act: Act, deadlines: &Deadlines) -> Limits {
        match act {
            // One try: whether it may be tried again is for an administrator to decide.
            Act::Set => Limits { deadline_s: 60, settle_s: 10, attempts: 1 },
            // Until a node comes back: to repair a dead machine takes a person and a day.
            Act::Undo => {
                let back_s = deadlines.boot_s + deadlines.rejoin_s;
                Limits { deadline_s: back_s.max(86_400), settle_s: 10, attempts: 3 }
            }
        }
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Reading, Why> {
        if snapshot.quorum.values().all(|view| view.known().is_none()) {
            return Err(Why::NoViews);
        }
        if self.lowered(snapshot).next().is_none() {
            return Ok(Reading::NotSet);
        }
        let here = snapshot.quorum.get(&self.node).and_then(|view| view.known());
        let is_lowered = here.is_some_and(|view| view.expected_votes <= self.expected);
        Ok(if is_lowered { Reading::Set } else { Reading::InPart })
    }

    fn may(&self, act: Act, snapshot: &Snapshot) -> StepStatus {
        match act {
            Act::Set => self.may_be_lowered(snapshot),
            Act::Undo => self.may_be_raised(snapshot),
        }
    }

    fn command(&self, act: Act, snapshot: &Snapshot) -> Option<Command> {
        match act {
            Act::Set => Some(self.lowers()),
            Act::Undo => {
                let (node, _, target) = self.lowered(snapshot).find(|(_, view, _)| view.quorate)?;
                Some(expected(node, target))
            }
        }
    }

    fn write(&self, act: Act, snapshot: &mut Snapshot) {
        for view in snapshot.quorum.values_mut().filter_map(|view| view.known_mut()) {
            match act {
                Act::Set if view.members.contains_key(&self.node) => expect(view, self.expected),
                Act::Set => {}
                Act::Undo => expect(view, self.configured),
            }
        }
    }
}
