//! The cluster is as it should be at the end: every node a member, up to date, HA idle, Ceph clean.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{ceph_unsettled, ha_unsettled};
use super::why::read;
use crate::command::Command;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// The look at the whole cluster at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalCheck {}

fn left_to_do(snapshot: &Snapshot) -> Result<Vec<Why>, Why> {
    let mut left = ha_unsettled(snapshot)?;
    for node in snapshot.nodes.values() {
        let name = &node.name;
        if !*read(&node.online)? {
            left.push(Why::NotAMember(name.clone()));
        }
        let packages = read(&node.packages)?;
        if !packages.pending.is_empty() {
            left.push(Why::UpdatesPending(name.clone(), packages.pending.len()));
        }
        let kernel = read(&node.kernel)?;
        if kernel.reboot_needed() {
            left.push(Why::OldKernel {
                node: name.clone(),
                runs: kernel.running.clone(),
                boots: kernel.will_boot().clone(),
            });
        }
    }
    if let Some(ceph) = read(&snapshot.ceph)? {
        left.extend(ceph_unsettled(ceph));
        let waiting = snapshot.nodes.keys().flat_map(|node| ceph.waiting_for_a_restart(node));
        left.extend(waiting.map(Why::CephWaitsForARestart));
    }
    Ok(left)
}

impl StepKind for FinalCheck {
    fn verb(&self) -> &'static str {
        "final-check"
    }

    fn title(&self) -> String {
        "every node a member and up to date, HA idle, Ceph clean".to_owned()
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
        StepStatus::done_when_empty(left_to_do(snapshot))
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
