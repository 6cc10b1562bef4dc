//! Names in the configuration that this cluster does not have.

use super::check::{Asked, Check, Waivable, kinds};
use crate::ids::{GuestId, NodeName};
use crate::placement::{MapFault, map_faults};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct PolicyNames;

kinds! {
    NoSuchGuest { guest: GuestId } => Warning, guest,
        ("the policy names {guest}, which this cluster does not have"),
        ("Correct the name in the configuration, or remove the line");
    StorageMap { fault: MapFault } => Blocking, Cluster,
        ("the policy's {fault}"),
        ("Correct storage-map in the configuration: each group has local storages of this cluster, and no node has two");
    NoSuchNode { node: NodeName } => Blocking, node,
        ("the policy names {node}, which is no node of this cluster"),
        ("Correct the name in the configuration, or remove the line");
}

impl Check for PolicyNames {
    const ID: &'static str = "policy-names";
    const EXPLAIN: &'static str =
        "A guest, node or storage that the configuration names and the cluster does not have is most often a typing error: the \
         guest that was meant is then treated like any other. A warning for guests, which come and go, and blocking \
         for nodes, because the order of the run depends on them. Also blocking is a storage-map that does not fit the \
         cluster: a storage in it that does not exist or is shared, or a node that has two of a group, so that it is \
         not clear which is meant. Correct the name in the configuration.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("the order of the run depends on the nodes that are named");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        let guests = policy.guests.keys().filter(|guest| !snapshot.guests.contains_key(guest));
        found.extend(guests.map(|guest| Found::NoSuchGuest { guest: *guest }));
        found.extend(map_faults(snapshot, policy).into_iter().map(|fault| Found::StorageMap { fault }));
        let nodes = policy.first.iter().chain(&policy.last).filter(|node| !snapshot.nodes.contains_key(*node));
        found.extend(nodes.map(|node| Found::NoSuchNode { node: node.clone() }));
    }
}
