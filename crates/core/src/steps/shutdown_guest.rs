//! A guest that cannot move is shut down for the upgrade of its node, with the operator's consent.
//!
//! One that HA manages is asked in the same way: PVE turns the call into a request to HA (`hastop`), which then keeps
//! it stopped. HA would answer a plain shutdown from inside with a restart. HA ends a guest by force when the timeout
//! of the request has passed (pve-ha-manager), so it is given one that the run does not wait for.

use serde::{Deserialize, Serialize};


use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StartGuest, StepKind, StepStatus, Undo, Why};
use super::support::{guest_job, guest_state, ha_wants, not_locked, power, set_ha, set_status};
use crate::command::Command;
use crate::ids::{GuestId, NodeName};
use crate::policy::{ConsentKind, Deadlines};
use crate::snapshot::{GuestStatus, HaRequest, HaServiceState, Snapshot};

/// Asks the guest to shut down; it is never killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownGuest {
    /// The guest.
    pub guest: GuestId,
    /// The node it is on.
    pub node: NodeName,
}

impl ShutdownGuest {
    /// Seconds until a guest of usual size has shut down.
    pub const ESTIMATE_S: u64 = 60;

    pub(super) fn stopped(&self, snapshot: &mut Snapshot) {
        set_status(snapshot, self.guest, &self.node, GuestStatus::Stopped);
        set_ha(snapshot, self.guest, HaRequest::Stopped, HaServiceState::Stopped);
    }
}

impl StepKind for ShutdownGuest {
    fn verb(&self) -> &'static str {
        "shutdown-guest"
    }

    fn title(&self) -> String {
        format!("shut {} down on {}", self.guest, self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::GuestOn(self.guest, &self.node),
            class: Class::RiskTaking,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Stops,
            consent: Some(ConsentKind::ShutdownGuests),
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Later(StartGuest { guest: self.guest, node: self.node.clone() }.into())
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = guest_job(snapshot, self.guest, &["qmshutdown", "vzshutdown", "hastop"]) {
            return StepStatus::Running(Why::Task(job.clone()));
        }
        match guest_state(snapshot, self.guest, &self.node) {
            Err(status) => status,
            Ok(GuestStatus::Stopped) => match ha_wants(snapshot, self.guest) {
                None | Some((HaRequest::Ignored, _)) => StepStatus::Done,
                Some((HaRequest::Started, _)) => StepStatus::Ready,
                Some((_, Some(HaServiceState::Stopped))) => StepStatus::Done,
                Some(_) => StepStatus::Running(Why::HaHasNotNoted(self.guest)),
            },
            Ok(GuestStatus::Running) => match ha_wants(snapshot, self.guest) {
                Some((HaRequest::Stopped | HaRequest::Disabled, _)) => StepStatus::Running(Why::HaShutsDown(self.guest)),
                _ => not_locked(snapshot, self.guest),
            },
            Ok(GuestStatus::Paused) => StepStatus::blocked(Why::Paused(self.guest)),
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let managed = ha_wants(snapshot, self.guest).is_some_and(|(request, _)| request != HaRequest::Ignored);
        let timeout: &[(&str, &str)] = if managed { &[("timeout", HA_TIMEOUT_S)] } else { &[] };
        Some(power(self.guest, &self.node, "shutdown", timeout))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 600, settle_s: 15, attempts: 2 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.stopped(snapshot)),
            promise: Change::Nothing,
        }
    }
}

/// Longer than any deadline of a run: the run pauses long before HA would use force.
const HA_TIMEOUT_S: &str = "86400";
