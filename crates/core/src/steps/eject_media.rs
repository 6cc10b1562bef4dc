//! A CD image on local storage is ejected: it would block the guest's migration. Owes [`InsertMedia`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Class, InsertMedia, Limits, Step, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::{GuestId, NodeName};
use crate::policy::Deadlines;
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
    /// The image, for the record: whoever wants it back needs its name.
    pub volid: String,
    /// Nodes on which an image of this name lies: on these it can be put back.
    #[serde(default)]
    pub lies_on: BTreeSet<NodeName>,
}

/// What an empty CD drive holds by its configuration.
pub(super) const EMPTY_DRIVE: &str = "none";

impl StepKind for EjectMedia {
    fn verb(&self) -> &'static str {
        "eject-media"
    }

    fn subject(&self) -> Option<String> {
        Some(format!("{}.{}", self.guest, self.drive))
    }

    fn title(&self) -> String {
        format!("eject {} from {} of {}", self.volid, self.drive, self.guest)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let facts = match super::guest(snapshot, self.guest).and_then(|guest| super::read(&guest.migration)) {
            Ok(facts) => facts,
            Err(why) => return StepStatus::Blocked(vec![why]),
        };
        let mounted = |disk: &&crate::snapshot::LocalDisk| disk.usage == DiskUse::Cdrom && disk.drive == self.drive;
        match facts.local_disks.iter().find(mounted) {
            None => StepStatus::Done,
            Some(disk) if disk.volid != self.volid => {
                StepStatus::Impossible(format!("{} now holds {}, not {}", self.drive, disk.volid, self.volid))
            }
            Some(_) => StepStatus::Ready,
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        let guest = snapshot.guests.get_mut(&self.guest);
        if let Some(facts) = guest.and_then(|guest| guest.migration.known_mut()) {
            facts.local_disks.retain(|disk| disk.drive != self.drive || disk.usage != DiskUse::Cdrom);
            facts.cd_drives.insert(self.drive.clone(), EMPTY_DRIVE.to_owned());
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        let path = format!("/nodes/{}/qemu/{}/config", self.node, self.guest.vmid);
        Some(Command::api(Method::Put, path, &[(self.drive.as_str(), "none,media=cdrom")]))
    }

    fn owes(&self) -> Option<Step> {
        Some(InsertMedia::of(self).into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 120, settle_s: 10, attempts: 3 }
    }
}
