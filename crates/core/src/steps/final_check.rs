//! The cluster is as it should be at the end: every node a member, up to date, HA idle, Ceph clean.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{ceph_unsettled, ha_unsettled};
use super::why::read;
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{Outdated, Snapshot};

/// The look at the whole cluster at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalCheck {
    /// After a drain, which has upgraded nothing: what is pending is no matter of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
}

/// What ends by itself: waiting is enough.
fn unsettled(snapshot: &Snapshot) -> Result<Vec<Why>, Why> {
    let mut left = ha_unsettled(snapshot)?;
    for node in snapshot.nodes.values() {
        if !*read(&node.online)? {
            left.push(Why::NotAMember(node.name.clone()));
        }
        read(&node.packages)?;
        read(&node.kernel)?;
    }
    if let Some(ceph) = read(&snapshot.ceph)? {
        left.extend(ceph_unsettled(ceph));
    }
    Ok(left)
}

/// What no waiting ends: a node that has got something to do since its node step, or that never had one.
fn needs_a_turn(snapshot: &Snapshot) -> Option<Why> {
    snapshot.nodes.values().find_map(|node| {
        let name = node.name.clone();
        let pending = node.packages.known().map_or(0, |packages| packages.pending.len());
        let outdated = snapshot.outdated(node).into_iter().next();
        let outdated = outdated.map(|outdated| outdated_there(&name, outdated));
        outdated.or_else(|| (pending > 0).then_some(Why::UpdatesPending(name, pending)))
    })
}

fn outdated_there(node: &NodeName, outdated: Outdated) -> Why {
    match outdated {
        Outdated::Kernel { running, next } => Why::OldKernel { node: node.clone(), runs: running, boots: next },
        Outdated::Daemon(daemon) => Why::CephWaitsForARestart(daemon),
        Outdated::Manager { .. } | Outdated::Asked(_) => Why::Outdated(node.clone(), outdated),
    }
}

impl StepKind for FinalCheck {
    fn verb(&self) -> &'static str {
        "final-check"
    }

    fn title(&self) -> String {
        let up_to_date = if self.drained { "" } else { " and up to date" };
        format!("check the whole cluster: every node a member{up_to_date}, HA idle, Ceph clean")
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Cluster,
            class: Class::Restoring,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: 10,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 0, attempts: 0 }
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match needs_a_turn(snapshot).filter(|_| !self.drained) {
            Some(why) => StepStatus::Impossible(why),
            None => StepStatus::done_when_empty(unsettled(snapshot)),
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        None
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::Nothing,
            promise: Change::Nothing,
        }
    }
}
