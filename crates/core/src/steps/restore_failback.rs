//! HA may take a guest back again: pays back [`super::HoldFailback`].

use serde::{Deserialize, Serialize};

use super::hold_failback::{FAILBACK_LIMITS, failback, failback_command, set_failback};
use super::{Class, Limits, StepKind, StepStatus, node, read};
use crate::command::Command;
use crate::ids::{GuestId, GuestKind};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;
use crate::version::Version;

/// Sets `failback 1` for one HA resource. If its rules prefer another node, HA moves it there now; where that node is
/// older, this can not be done, and an aborted run leaves it to the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreFailback {
    /// The guest.
    pub guest: GuestId,
}

impl StepKind for RestoreFailback {
    fn verb(&self) -> &'static str {
        "restore-failback"
    }

    fn subject(&self) -> Option<String> {
        Some(self.guest.to_string())
    }

    fn title(&self) -> String {
        format!("switch HA failback of {} on again", self.guest)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        match failback(snapshot, self.guest) {
            // A guest that HA does not manage any more has no failback: there is nothing left to pay back.
            Ok(Some(true) | None) => StepStatus::Done,
            Ok(Some(false)) => match takes_it_back(snapshot, self.guest) {
                Ok(None) => StepStatus::Ready,
                Ok(Some(why)) => StepStatus::Impossible(why),
                Err(why) => StepStatus::Blocked(vec![why]),
            },
            Err(why) => StepStatus::Blocked(vec![why]),
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        set_failback(snapshot, self.guest, true);
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(failback_command(self.guest, "1"))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        FAILBACK_LIMITS
    }
}

/// Would HA take a running VM to an older release? Its state may not be readable there. Why, and what to do instead.
fn takes_it_back(snapshot: &Snapshot, guest: GuestId) -> Result<Option<String>, String> {
    let ha = read(&snapshot.ha)?;
    let Some(seen) = snapshot.guests.get(&guest).filter(|seen| seen.may_be_running() && guest.kind == GuestKind::Vm)
    else {
        return Ok(None);
    };
    let pulled = ha.preferred(guest, &snapshot.nodes.keys().collect()).unwrap_or_default();
    let here = node(snapshot, &seen.node)?;
    for name in pulled.into_iter().filter(|name| **name != seen.node) {
        let there = node(snapshot, name)?;
        let older = if there.online == Observed::Known(false) {
            "is away and may be older"
        } else if is_older(&there.qemu_version, &here.qemu_version)? || is_older(&there.pve_version, &here.pve_version)? {
            "is older"
        } else {
            continue;
        };
        return Ok(Some(format!(
            "HA would take {guest} from {} to {name}, which {older}; once {name} is upgraded: \
             `ha-manager set {guest} --failback 1`",
            seen.node
        )));
    }
    Ok(None)
}

fn is_older(there: &Observed<Version>, here: &Observed<Version>) -> Result<bool, String> {
    Ok(read(there)? < read(here)?)
}
