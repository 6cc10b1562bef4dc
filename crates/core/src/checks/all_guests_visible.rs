//! Does the list of guests hold all guests?

use super::check::{Asked, Check, UNSEEN, Waivable, kinds};
use super::support::online;
use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct AllGuestsVisible;

kinds! {
    NotAllSeen => Blocking, Cluster,
        ("the token does not see all guests: VM.Audit on /vms is missing"),
        ("Give the token a role with VM.Audit on / with propagation: pveum acl modify / --tokens TOKEN --roles ROLE");
    GuestHidden { guest: GuestId, node: NodeName } => Blocking, guest,
        ("{guest} is on {node} and missing from the API's list of guests"),
        ("Give the token VM.Audit on /vms/{}, or on / with propagation", guest.vmid);
}

impl Check for AllGuestsVisible {
    const ID: &'static str = "all-guests-visible";
    const EXPLAIN: &'static str =
        "PVE silently leaves guests that a token may not see out of every list. A guest that was not seen would be \
         rebooted with its node. So the token needs VM.Audit on /vms, and the lists of the API are compared with what \
         `qm list` and `pct list` show on each node itself. To fix it, give the token the role on / with propagation.";
    const WAIVABLE: Waivable = Waivable::Never(UNSEEN);
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        if snapshot.sees_all_guests.is(&false) {
            found.push(Found::NotAllSeen);
        }
        for node in online(snapshot) {
            let listed = node.local_guests.known().into_iter().flatten();
            let ids = listed.map(|listed| GuestId { vmid: listed.vmid, kind: listed.kind });
            let hidden = ids.filter(|id| !snapshot.guests.contains_key(id));
            found.extend(hidden.map(|guest| Found::GuestHidden { guest, node: node.name.clone() }));
        }
    }
}
