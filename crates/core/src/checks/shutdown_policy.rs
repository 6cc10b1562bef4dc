//! What HA does with services when a node shuts down.

use super::check::{Asked, Check, Waivable, kinds};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ShutdownPolicy;

kinds! {
    NotDefault { policy: String } => Info, Cluster,
        ("the HA shutdown policy is {policy}; drained nodes are not touched by it"),
        ("Nothing to do.");
}

impl Check for ShutdownPolicy {
    const ID: &'static str = "shutdown-policy";
    const EXPLAIN: &'static str =
        "The datacenter's HA shutdown policy says what happens to services on a node that goes down. A node is empty \
         and in maintenance mode when Quorate reboots it, so the policy plays no part in the run; it is shown when it \
         is not the default, because it decides what happens to a node that goes down otherwise.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let policy = snapshot.options.known().and_then(|options| options.ha_shutdown_policy.clone());
        found.extend(policy.filter(|policy| policy != "conditional").map(|policy| Found::NotDefault { policy }));
    }
}
