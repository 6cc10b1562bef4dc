//! HA is told not to take a guest back by itself.
//!
//! Without this the manager moves a guest straight back to a node that its rules prefer, and each guest moves
//! twice or more (pve-ha-manager, `failback`, PVE 9.0 and later). When it is allowed again and the guest's rules prefer
//! another node, HA moves it there; where that node is older this is not possible, and an aborted run leaves it to the
//! operator.

use serde::{Deserialize, Serialize};

use super::{Act, Reading, SettingKind};
use crate::command::Command;
use crate::ids::{GuestId, GuestKind};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;
use crate::steps::profile::{About, Class, Limits, OnNode};
use crate::steps::status::StepStatus;
use crate::steps::support::{helper, node};
use crate::steps::why::{Why, read};
use crate::version::Version;

pub(super) const VERBS: [&str; 2] = ["hold-failback", "restore-failback"];

/// `failback 0` for one HA resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failback {
    /// The guest.
    pub guest: GuestId,
}

impl SettingKind for Failback {
    fn title(&self, act: Act) -> String {
        match act {
            Act::Set => format!("switch HA failback of {} off", self.guest),
            Act::Undo => format!("switch HA failback of {} on again", self.guest),
        }
    }

    fn about(&self) -> About<'_> {
        About::Guest(self.guest)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn on_node(&self) -> OnNode {
        OnNode::Nothing
    }

    fn estimate_s(&self) -> u64 {
        2
    }

    // A synchronous configuration change: short limits.
    fn limits(&self, _act: Act, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 120, settle_s: 10, attempts: 3 }
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Reading, Why> {
        Ok(match read(&snapshot.ha)?.services.get(&self.guest).map(|service| service.failback) {
            Some(false) => Reading::Set,
            Some(true) => Reading::NotSet,
            // A guest that HA does not manage any more has no failback: there is nothing left to undo.
            None => Reading::Gone(Why::NotManaged(self.guest)),
        })
    }

    fn may(&self, act: Act, snapshot: &Snapshot) -> StepStatus {
        match act {
            Act::Set => StepStatus::Ready,
            Act::Undo => match takes_it_back(snapshot, self.guest) {
                Ok(None) => StepStatus::Ready,
                Ok(Some(why)) => StepStatus::Impossible(why),
                Err(why) => StepStatus::blocked(why),
            },
        }
    }

    // By a shell and not by the API: an order of the API has no condition where it takes effect.
    fn command(&self, act: Act, snapshot: &Snapshot) -> Option<Command> {
        let value = match act {
            Act::Set => "0",
            Act::Undo => "1",
        };
        let on = helper(snapshot, snapshot.guests.get(&self.guest).map(|guest| &guest.node))?;
        let path = format!("/cluster/ha/resources/{}", self.guest);
        Some(Command::shell(&on, &["pvesh", "set", &path, "--failback", value]))
    }

    fn write(&self, act: Act, snapshot: &mut Snapshot) {
        if let Some(service) = snapshot.ha.known_mut().and_then(|ha| ha.services.get_mut(&self.guest)) {
            service.failback = act == Act::Undo;
        }
    }
}

/// Would HA move a running VM to an older release? Its state may not be readable there.
fn takes_it_back(snapshot: &Snapshot, guest: GuestId) -> Result<Option<Why>, Why> {
    let ha = read(&snapshot.ha)?;
    let Some(seen) = snapshot.guests.get(&guest).filter(|seen| seen.may_be_running() && guest.kind == GuestKind::Vm)
    else {
        return Ok(None);
    };
    let pulled = ha.preferred(guest, &snapshot.nodes.keys().collect()).unwrap_or_default();
    let here = node(snapshot, &seen.node)?;
    for name in pulled.into_iter().filter(|name| **name != seen.node) {
        let there = node(snapshot, name)?;
        let away = there.online == Observed::Known(false);
        if away
            || is_older(&there.qemu_version, &here.qemu_version)?
            || is_older(&there.pve_version, &here.pve_version)?
        {
            return Ok(Some(Why::HaTakesBack { guest, from: seen.node.clone(), to: name.clone(), away }));
        }
    }
    Ok(None)
}

fn is_older(there: &Observed<Version>, here: &Observed<Version>) -> Result<bool, Why> {
    Ok(read(there)? < read(here)?)
}
