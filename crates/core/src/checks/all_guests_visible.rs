//! Does the list of guests hold all guests?

use super::support::{Report, online};
use super::{Check, Finding, Severity, Subject};
use crate::ids::GuestId;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct AllGuestsVisible;

impl Check for AllGuestsVisible {
    fn id(&self) -> &'static str {
        "all-guests-visible"
    }

    fn explain(&self) -> &'static str {
        "PVE leaves guests out of every list that a token may not see, without a word. A guest that was not seen would be \
         rebooted with its node. So the token needs VM.Audit on /vms, and the lists of the API are compared with what \
         `qm list` and `pct list` show on each node itself. Mend it by giving the token the role on / with propagation."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        if snapshot.sees_all_guests.is(&false) {
            report.add(
                Severity::Blocking,
                Subject::Cluster,
                "the token does not see all guests: VM.Audit on /vms is missing",
                "Give the token a role with VM.Audit on / with propagation: pveum acl modify / --tokens TOKEN --roles ROLE",
            );
        }
        for node in online(snapshot) {
            for listed in node.local_guests.known().into_iter().flatten() {
                let id = GuestId { vmid: listed.vmid, kind: listed.kind };
                if !snapshot.guests.contains_key(&id) {
                    report.add(
                        Severity::Blocking,
                        id,
                        format!("{id} is on {} and missing from the API's list of guests", node.name),
                        format!("Give the token VM.Audit on /vms/{}, or on / with propagation", id.vmid),
                    );
                }
            }
        }
        report.findings()
    }
}
