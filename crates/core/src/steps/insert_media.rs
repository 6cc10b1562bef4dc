//! A CD image that we ejected is put back, where the guest is by now: pays back [`super::EjectMedia`].
//!
//! Promises that nothing is put over what somebody else has put in meanwhile. Does not fetch an image: where the guest
//! ends on a node that does not have it, the image is named in the report and left to the operator.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::eject_media::EMPTY_DRIVE;
use super::{Class, EjectMedia, Limits, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::{GuestId, NodeName};
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Puts one image into one CD drive of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsertMedia {
    /// The guest.
    pub guest: GuestId,
    /// The drive: `ide2`.
    pub drive: String,
    /// The image: `local:iso/debian.iso`.
    pub volid: String,
    /// Nodes on which an image of this name lies.
    pub lies_on: BTreeSet<NodeName>,
}

impl InsertMedia {
    /// What pays back an ejection.
    pub fn of(eject: &EjectMedia) -> Self {
        let EjectMedia { guest, node: _, drive, volid, lies_on } = eject.clone();
        Self { guest, drive, volid, lies_on }
    }

    /// Why it cannot be put back on a node, if that is so.
    pub fn out_of_reach(&self, node: &NodeName) -> Option<String> {
        if self.lies_on.contains(node) {
            return None;
        }
        let names: Vec<&str> = self.lies_on.iter().map(NodeName::as_str).collect();
        let names = if names.is_empty() { "no node that could be asked".to_owned() } else { names.join(", ") };
        let Self { guest, drive, volid, .. } = self;
        Some(format!(
            "{guest} is on {node}, and {volid} lies on {names}: copy it there and put it into {drive} by hand"
        ))
    }
}

impl StepKind for InsertMedia {
    fn verb(&self) -> &'static str {
        "insert-media"
    }

    fn subject(&self) -> Option<String> {
        Some(format!("{}.{}", self.guest, self.drive))
    }

    fn title(&self) -> String {
        format!("put {} back into {} of {}", self.volid, self.drive, self.guest)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let guest = match super::guest(snapshot, self.guest) {
            Ok(guest) => guest,
            Err(why) => return StepStatus::Blocked(vec![why]),
        };
        let facts = match super::read(&guest.migration) {
            Ok(facts) => facts,
            Err(why) => return StepStatus::Blocked(vec![why]),
        };
        match facts.cd_drives.get(&self.drive).map(String::as_str) {
            // Whatever is in the drive now, or that there is none any more, is somebody's will.
            None => StepStatus::Done,
            Some(held) if held != EMPTY_DRIVE => StepStatus::Done,
            Some(_) => match self.out_of_reach(&guest.node) {
                Some(why) => StepStatus::Impossible(why),
                None => super::not_locked(snapshot, self.guest),
            },
        }
    }

    fn after(&self, snapshot: &mut Snapshot) {
        let guest = snapshot.guests.get_mut(&self.guest);
        if let Some(facts) = guest.and_then(|guest| guest.migration.known_mut()) {
            facts.cd_drives.insert(self.drive.clone(), self.volid.clone());
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let node = &snapshot.guests.get(&self.guest)?.node;
        let path = format!("/nodes/{node}/qemu/{}/config", self.guest.vmid);
        let medium = format!("{},media=cdrom", self.volid);
        Some(Command::api(Method::Put, path, &[(self.drive.as_str(), medium.as_str())]))
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 120, settle_s: 10, attempts: 3 }
    }
}
