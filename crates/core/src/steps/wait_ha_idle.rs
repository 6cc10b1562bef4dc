//! HA has nothing under way: no guest is being moved, and none is about to move back.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo};
use super::support::{ha_unsettled};
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{HaRequest, HaServiceState, Snapshot};

/// Waits until the HA manager is idle, before the next node is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitHaIdle {
    /// The node whose node step ends.
    pub node: NodeName,
}

/// HA has brought every guest to the node and state that were asked for.
fn ha_is_idle(snapshot: &mut Snapshot) {
    let Some(ha) = snapshot.ha.known_mut() else { return };
    for service in ha.services.values_mut().filter(|service| service.state != Some(HaServiceState::Error)) {
        let started = service.request == HaRequest::Started;
        service.state = Some(if started { HaServiceState::Started } else { HaServiceState::Stopped });
        (service.target, service.maintenance_node) = (None, None);
    }
}

impl StepKind for WaitHaIdle {
    fn verb(&self) -> &'static str {
        "wait-ha-idle"
    }

    fn title(&self) -> String {
        "wait until HA is idle".to_owned()
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::Restoring,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: 30,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 0, attempts: 0 }
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        StepStatus::done_when_empty(ha_unsettled(snapshot))
    }


    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        None
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::Nothing,
            promise: Change::cluster(ha_is_idle),
        }
    }
}
