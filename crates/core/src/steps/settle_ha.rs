//! HA has nothing under way: no guest is travelling, and none is about to travel back.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{HaNodeState, HaRequest, HaServiceState, Snapshot};

/// Waits until the HA manager rests, before the next node is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleHa {
    /// The node whose turn ends.
    pub node: NodeName,
}

/// What HA still has to do, in words.
pub(super) fn unsettled(snapshot: &Snapshot) -> Result<Vec<String>, String> {
    let ha = super::read(&snapshot.ha)?;
    let mut left = Vec::new();
    for (node, state) in &ha.nodes {
        if *state != HaNodeState::Online && *state != HaNodeState::Gone {
            left.push(format!("HA has {node} as {state:?}"));
        }
    }
    for (guest, service) in &ha.services {
        if service.request == HaRequest::Ignored {
            continue;
        }
        let wanted = match service.request {
            HaRequest::Started => HaServiceState::Started,
            _ => HaServiceState::Stopped,
        };
        match service.state {
            Some(state) if state == wanted => {}
            Some(HaServiceState::Error) => left.push(format!(
                "HA has given {guest} up (state Error): mend it, then `ha-manager set {guest} --state disabled; \
                 ha-manager set {guest} --state started`"
            )),
            Some(state) => left.push(format!("HA has {guest} in state {state:?}")),
            None => left.push(format!("HA has not taken {guest} up yet")),
        }
        if let Some(home) = ha.goes_back(*guest) {
            left.push(format!("{guest} is about to travel back to {home}"));
        }
    }
    Ok(left)
}

impl StepKind for SettleHa {
    fn verb(&self) -> &'static str {
        "settle-ha"
    }

    fn title(&self) -> String {
        "HA has nothing under way".to_owned()
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        super::done_when_empty(unsettled(snapshot))
    }

    fn after(&self, _snapshot: &mut Snapshot) {}

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.ha_s, settle_s: 0, attempts: 0 }
    }
}
