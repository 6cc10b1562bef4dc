//! A CD image on local storage is ejected: it would block the guest's migration. [`InsertMedia`] undoes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, InsertMedia, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{EMPTY_DRIVE, guest};
use super::why::read;
use crate::command::{Command, Method};
use crate::ids::{GuestId, NodeName};
use crate::policy::{ConsentKind, Deadlines};
use crate::snapshot::{DiskUse, Snapshot};

/// Empties one CD drive of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EjectMedia {
    /// The guest.
    pub guest: GuestId,
    /// The node it is on.
    pub node: NodeName,
    /// The drive: `ide2`.
    pub drive: String,
    /// The image, for the record: to put it back its name is needed.
    pub volid: String,
    /// Nodes that have an image of this name: on these it can be put back.
    #[serde(default)]
    pub lies_on: BTreeSet<NodeName>,
}

impl EjectMedia {
    /// What undoes it.
    pub fn back(&self) -> InsertMedia {
        let Self { guest, node: _, drive, volid, lies_on } = self.clone();
        InsertMedia { guest, drive, volid, lies_on }
    }

    fn emptied(&self, snapshot: &mut Snapshot) {
        let guest = snapshot.guests.get_mut(&self.guest);
        if let Some(facts) = guest.and_then(|guest| guest.migration.known_mut()) {
            facts.local_disks.retain(|disk| disk.drive != self.drive || disk.usage != DiskUse::Cdrom);
            facts.cd_drives.insert(self.drive.clone(), EMPTY_DRIVE.to_owned());
        }
    }
}

impl StepKind for EjectMedia {
    fn verb(&self) -> &'static str {
        "eject-media"
    }

    fn title(&self) -> String {
        format!("eject {} from {} of {}", self.volid, self.drive, self.guest)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Drive(self.guest, &self.drive),
            class: Class::RiskTaking,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Configures,
            consent: Some(ConsentKind::EjectMedia),
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: 2,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Later(self.back().into())
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let facts = match guest(snapshot, self.guest).and_then(|guest| read(&guest.migration)) {
            Ok(facts) => facts,
            Err(why) => return StepStatus::blocked(why),
        };
        let mounted = |disk: &&crate::snapshot::LocalDisk| disk.usage == DiskUse::Cdrom && disk.drive == self.drive;
        match facts.local_disks.iter().find(mounted) {
            None => StepStatus::Done,
            Some(disk) if disk.volid != self.volid => {
                StepStatus::Impossible(Why::DriveHolds {
                    drive: self.drive.clone(),
                    holds: disk.volid.clone(),
                    not: self.volid.clone(),
                })
            }
            Some(_) => StepStatus::Ready,
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        let path = format!("/nodes/{}/qemu/{}/config", self.node, self.guest.vmid);
        Some(Command::api(Method::Put, path, &[(self.drive.as_str(), "none,media=cdrom")]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 120, settle_s: 10, attempts: 3 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.emptied(snapshot)),
            promise: Change::Nothing,
        }
    }
}
