//! A CD image that we ejected is put back, wherever the guest is now: undoes [`super::EjectMedia`].
//!
//! Never replaces an image that someone else has inserted meanwhile. Does not fetch an image: where the guest ends on a
//! node that does not have it, the image is named in the report and left to the operator.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, Step, StepKind, StepStatus, Undo, Why,
};
use super::support::{EMPTY_DRIVE, guest, not_locked};
use super::why::read;
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
    /// Nodes that have an image of this name.
    pub lies_on: BTreeSet<NodeName>,
}

impl InsertMedia {
    /// Why it cannot be put back on a node, if it cannot.
    pub fn out_of_reach(&self, node: &NodeName) -> Option<Why> {
        if self.lies_on.contains(node) {
            return None;
        }
        Some(Why::ImageElsewhere {
            guest: self.guest,
            node: node.clone(),
            volid: self.volid.clone(),
            lies_on: self.lies_on.iter().cloned().collect(),
            drive: self.drive.clone(),
        })
    }

    fn put_back(&self, snapshot: &mut Snapshot) {
        let guest = snapshot.guests.get_mut(&self.guest);
        if let Some(facts) = guest.and_then(|guest| guest.migration.known_mut()) {
            facts.cd_drives.insert(self.drive.clone(), self.volid.clone());
        }
    }
}

impl Step {
    /// The image that it puts back.
    pub fn puts_back(&self) -> Option<&InsertMedia> {
        if let Self::InsertMedia(step) = self { Some(step) } else { None }
    }
}

impl StepKind for InsertMedia {
    fn verb(&self) -> &'static str {
        "insert-media"
    }

    fn title(&self) -> String {
        format!("put {} back into {} of {}", self.volid, self.drive, self.guest)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Drive(self.guest, &self.drive),
            class: Class::Restoring,
            on_node: OnNode::Nothing,
            on_guest: OnGuest::Configures,
            consent: None,
            if_impossible: IfImpossible::HandOver,
            estimate_s: 2,
        }
    }

    fn undo(&self) -> Undo {
        Undo::ThisIsOne
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let guest = match guest(snapshot, self.guest) {
            Ok(guest) => guest,
            Err(why) => return StepStatus::blocked(why),
        };
        let facts = match read(&guest.migration) {
            Ok(facts) => facts,
            Err(why) => return StepStatus::blocked(why),
        };
        match facts.cd_drives.get(&self.drive).map(String::as_str) {
            // Whatever is in the drive now, or a drive that is gone, is what someone else wants.
            None => StepStatus::Done,
            Some(held) if held != EMPTY_DRIVE => StepStatus::Done,
            Some(_) => match self.out_of_reach(&guest.node) {
                Some(why) => StepStatus::Impossible(why),
                None => not_locked(snapshot, self.guest),
            },
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

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::guests(|snapshot| self.put_back(snapshot)),
            promise: Change::Nothing,
        }
    }
}
