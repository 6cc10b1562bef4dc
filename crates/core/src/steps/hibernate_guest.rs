//! A VM that cannot move hibernates for the upgrade of its node, with the operator's consent: its memory is written to a
//! storage, and its start goes on from there.
//!
//! PVE locks it as `suspending` meanwhile and as `suspended` afterwards. Where the writing fails, the VM goes on as if
//! nothing had been, and PVE leaves the first lock for a person to see (qemu-server, `RunState::vm_suspend`).

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StartGuest, StepKind, StepStatus, Undo, Why};
use super::support::{guest, guest_job, guest_state, ha_wants, node, power, set_lock, set_status};
use super::why::read;
use crate::command::Command;
use crate::ids::{GuestId, NodeName, StorageId};
use crate::policy::{ConsentKind, Deadlines};
use crate::snapshot::{GuestStatus, HaRequest, Lock, SUSPENDED, Snapshot};

/// Hibernates one VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HibernateGuest {
    /// The guest.
    pub guest: GuestId,
    /// The node it is on.
    pub node: NodeName,
    /// The storage that takes its state.
    pub storage: StorageId,
}

impl HibernateGuest {
    /// Seconds that it takes besides writing the memory.
    pub const ESTIMATE_S: u64 = 15;

    /// The lock while its memory is written, and after that has failed.
    const SUSPENDING: &'static str = "suspending";

    /// What can be done with one that runs: PVE refuses it for HA's guests, and for want of the storage.
    fn needs(&self, snapshot: &Snapshot) -> StepStatus {
        let lock = match guest(snapshot, self.guest).and_then(|guest| read(&guest.lock)) {
            Ok(lock) => lock,
            Err(why) => return StepStatus::blocked(why),
        };
        match lock {
            Some(lock) if lock.0 == Self::SUSPENDING => return StepStatus::blocked(Why::NotHibernated(self.guest)),
            Some(lock) => return StepStatus::blocked(Why::Locked(self.guest, lock.0.clone())),
            None => {}
        }
        if ha_wants(snapshot, self.guest).is_some_and(|(request, _)| request != HaRequest::Ignored) {
            return StepStatus::Impossible(Why::HaHibernatesNone(self.guest));
        }
        let there = node(snapshot, &self.node).and_then(|node| read(&node.storages));
        match there.map(|there| there.get(&self.storage).is_some_and(|state| state.active)) {
            Ok(true) => StepStatus::Ready,
            Ok(false) => StepStatus::blocked(Why::StateHasNoStorage(self.storage.clone(), self.node.clone())),
            Err(why) => StepStatus::blocked(why),
        }
    }

    fn hibernated(&self, snapshot: &mut Snapshot) {
        set_status(snapshot, self.guest, &self.node, GuestStatus::Stopped);
        set_lock(snapshot, self.guest, Some(Lock(SUSPENDED.to_owned())));
    }
}

impl StepKind for HibernateGuest {
    fn verb(&self) -> &'static str {
        "hibernate-guest"
    }

    fn title(&self) -> String {
        format!("hibernate {} on {}, its state on {}", self.guest, self.node, self.storage)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::GuestOn(self.guest, &self.node),
            class: Class::RiskTaking,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Stops,
            consent: Some(ConsentKind::HibernateGuests),
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Later(StartGuest { guest: self.guest, node: self.node.clone() }.into())
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        if let Some(job) = guest_job(snapshot, self.guest, &["qmsuspend"]) {
            return StepStatus::Running(Why::Task(job.clone()));
        }
        match guest_state(snapshot, self.guest, &self.node) {
            Err(status) => status,
            // With a lock or without: nothing of it runs, and what was started is over.
            Ok(GuestStatus::Stopped) => StepStatus::Done,
            Ok(GuestStatus::Running) => self.needs(snapshot),
            Ok(GuestStatus::Paused) => StepStatus::blocked(Why::Paused(self.guest)),
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        let params = [("todisk", "1"), ("statestorage", self.storage.as_str())];
        Some(power(self.guest, &self.node, "suspend", &params))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // As long as its memory may take to be sent to another node.
        Limits { deadline_s: deadlines.migration_s, settle_s: 15, attempts: 2 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.hibernated(snapshot)),
            promise: Change::Nothing,
        }
    }
}
