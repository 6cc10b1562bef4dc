//! systemd units that have failed.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct FailedUnits;

kinds! {
    Failed { node: NodeName, units: Vec<String> } => Warning, node,
        ("failed units on {node}: {}", some(&units)),
        ("On {node}: systemctl --failed; then systemctl reset-failed");
}

impl Check for FailedUnits {
    const ID: &'static str = "failed-units";
    const EXPLAIN: &'static str =
        "A unit that has failed is a warning: it may fail again after the reboot, and then it is unclear whether the \
         upgrade caused it. Look with `systemctl --failed` on the node, fix the cause, and clear old ones with \
         `systemctl reset-failed`.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let units = node.failed_units.known().filter(|units| !units.is_empty());
            found.extend(units.map(|units| Found::Failed { node: node.name.clone(), units: units.clone() }));
        }
    }
}
