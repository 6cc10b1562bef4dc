//! Guests of nodes that are no more.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct OrphanedGuests;

kinds! {
    LeftBehind { guest: GuestId, node: NodeName, file: String, member: String } => Warning, guest,
        ("the configuration of {guest} is left below /etc/pve/nodes/{node}, and {node} is no node of this cluster"),
        ("It runs nowhere, and the run leaves it as it is. If its disks are on shared storage and it is still wanted, \
          give it to a node: mv /etc/pve/nodes/{node}/{file} /etc/pve/nodes/{member}/{file}. Otherwise remove it: \
          rm /etc/pve/nodes/{node}/{file}");
}

impl Check for OrphanedGuests {
    const ID: &'static str = "orphaned-guests";
    const EXPLAIN: &'static str =
        "After `pvecm delnode` the directory of the node below /etc/pve/nodes stays, and with it the configuration of \
         guests that were not moved before. The cluster lists them, and no node has them: nothing can be read of them, \
         and nothing runs. A warning, because they may have been forgotten. A guest whose disks are on shared storage \
         is given to another node by moving its file; otherwise the file is removed.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let member = online(snapshot).next().map_or("NODE".to_owned(), |node| node.name.to_string());
        found.extend(snapshot.orphans.iter().map(|(guest, node)| {
            let directory = if guest.kind == GuestKind::Vm { "qemu-server" } else { "lxc" };
            let file = format!("{directory}/{}.conf", guest.vmid);
            Found::LeftBehind { guest: *guest, node: node.clone(), file, member: member.clone() }
        }));
    }
}
