//! HA is told not to take a guest back by itself.
//!
//! Without this the manager moves a guest straight back to a node that its rules prefer, and each guest travels
//! twice or more (pve-ha-manager, `failback`, PVE 9.0 and later).

use serde::{Deserialize, Serialize};

use super::{Class, Limits, RestoreFailback, Step, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::GuestId;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Sets `failback 0` for one HA resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldFailback {
    /// The guest.
    pub guest: GuestId,
}

impl StepKind for HoldFailback {
    fn verb(&self) -> &'static str {
        "hold-failback"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("switch HA failback of {} off", self.guest)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match failback(snapshot, self.guest) {
            Ok(Some(false)) => StepStatus::Done,
            Ok(Some(true)) => StepStatus::Ready,
            Ok(None) => StepStatus::Impossible(format!("{} is not managed by HA any more", self.guest)),
            Err(why) => StepStatus::Blocked(vec![why]),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_failback(snapshot, self.guest, false);
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(failback_command(self.guest, "0"))
    }

    fn owes(&self) -> Option<Step> {
        Some(RestoreFailback { guest: self.guest }.into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        FAILBACK_LIMITS
    }
}

/// A synchronous configuration change: short limits.
pub(super) const FAILBACK_LIMITS: Limits = Limits { deadline_s: 120, settle_s: 10, attempts: 3 };

pub(super) fn failback(snapshot: &Snapshot, guest: GuestId) -> Result<Option<bool>, String> {
    let ha = super::read(&snapshot.ha)?;
    Ok(ha.services.get(&guest).map(|service| service.failback))
}

pub(super) fn set_failback(snapshot: &mut Snapshot, guest: GuestId, failback: bool) {
    if let Some(service) = snapshot.ha.known_mut().and_then(|ha| ha.services.get_mut(&guest)) {
        service.failback = failback;
    }
}

pub(super) fn failback_command(guest: GuestId, value: &str) -> Command {
    Command::api(Method::Put, format!("/cluster/ha/resources/{guest}"), &[("failback", value)])
}
