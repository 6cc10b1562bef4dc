//! Clocks that no time server keeps.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct TimeSync;

kinds! {
    NotKept { node: NodeName } => Warning, node,
        ("the clock of {node} is not kept by a time server"),
        ("On {node}: timedatectl; apt install chrony");
}

impl Check for TimeSync {
    const ID: &'static str = "time-sync";
    const EXPLAIN: &'static str =
        "Ceph's monitors and the cluster's file system need clocks that agree. A node whose clock is not kept by a \
         time server drifts, and most of all across a reboot, when it starts from the clock of its board: a warning. \
         See `timedatectl` and `chronyc tracking` on the node; install chrony if there is none. How far the clocks are \
         apart now is reported by clock-skew.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let loose = online(snapshot).filter(|node| node.host.time_synchronised.is(&false));
        found.extend(loose.map(|node| Found::NotKept { node: node.name.clone() }));
    }
}
