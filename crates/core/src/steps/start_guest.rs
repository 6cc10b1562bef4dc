//! A guest that we shut down is started again: undoes [`super::ShutdownGuest`], and [`super::HibernateGuest`], after which
//! PVE's start goes on from the saved state.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{can_start, guest, guest_job, guest_state, ha_wants, power, set_ha, set_lock, set_status};
use crate::command::Command;
use crate::ids::{GuestId, NodeName};
use crate::policy::Deadlines;
use crate::snapshot::{GuestStatus, HaRequest, HaServiceState, SUSPENDED, Snapshot};

/// Tasks about the guest that are waited for: its start, and a hibernation, at the end of which it is down.
const UNDER_WAY: &[&str] = &["qmstart", "vzstart", "hastart", "qmsuspend"];

/// Starts one guest where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartGuest {
    /// The guest.
    pub guest: GuestId,
    /// The node it is on.
    pub node: NodeName,
}

impl StartGuest {
    /// Seconds until it is seen running.
    pub const ESTIMATE_S: u64 = 15;

    pub(super) fn started(&self, snapshot: &mut Snapshot) {
        set_status(snapshot, self.guest, &self.node, GuestStatus::Running);
        set_ha(snapshot, self.guest, HaRequest::Started, HaServiceState::Started);
        let lock = guest(snapshot, self.guest).ok().and_then(|guest| guest.lock.known()).and_then(Option::as_ref);
        if lock.is_some_and(|lock| lock.0 == SUSPENDED) {
            set_lock(snapshot, self.guest, None);
        }
    }
}

impl StepKind for StartGuest {
    fn verb(&self) -> &'static str {
        "start-guest"
    }

    fn title(&self) -> String {
        format!("start {} on {}", self.guest, self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::GuestOn(self.guest, &self.node),
            class: Class::Restoring,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Starts,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::ThisIsOne
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = guest_job(snapshot, self.guest, UNDER_WAY) {
            return StepStatus::Running(Why::Task(job.clone()));
        }
        match guest_state(snapshot, self.guest, &self.node) {
            Err(status) => status,
            Ok(GuestStatus::Running | GuestStatus::Paused) => match ha_wants(snapshot, self.guest) {
                Some((HaRequest::Stopped | HaRequest::Disabled, _)) => StepStatus::Ready,
                _ => StepStatus::Done,
            },
            Ok(GuestStatus::Stopped) => match ha_wants(snapshot, self.guest) {
                Some((HaRequest::Started, _)) => StepStatus::Running(Why::HaStarts(self.guest)),
                _ => can_start(snapshot, self.guest),
            },
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(power(self.guest, &self.node, "start", &[]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 600, settle_s: 15, attempts: 3 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.started(snapshot)),
            promise: Change::Nothing,
        }
    }
}
