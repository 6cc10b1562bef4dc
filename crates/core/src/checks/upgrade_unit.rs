//! Package upgrades of an earlier run.

use super::check::{Asked, Check, HALF, Waivable, kinds};
use super::support::{online, some};
use crate::ids::{NodeName, UnitName};
use crate::policy::Policy;
use crate::snapshot::{Snapshot, UnitOutcome, UnitState};

pub(super) struct EarlierUpgrade;

kinds! {
    AtWork { node: NodeName, unit: UnitName } => Blocking, node,
        ("the package upgrade {unit} is still running on {node}"),
        ("Continue its run: quorate resume. Or wait: systemctl status {unit} on {node}");
    Failed { node: NodeName, unit: UnitName, how: String, tail: Vec<String> } => Warning, node,
        ("an earlier package upgrade {unit} on {node} failed ({how}): {}", some(&tail)),
        ("On {node}: dpkg --audit; then systemctl reset-failed {unit}");
}

impl Check for EarlierUpgrade {
    const ID: &'static str = "upgrade-unit";
    const EXPLAIN: &'static str =
        "The package upgrade of a node runs there as a systemd unit of its own, and continues when Quorate ends. One \
         that is still running is blocking: continue its run with `quorate resume`, or wait. One that failed is a \
         warning with the last lines of its output: check that dpkg is in order, then clear it with `systemctl \
         reset-failed UNIT`.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly(HALF);
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(Some(earlier)) = node.upgrade_unit.known() else { continue };
            let (node, unit) = (node.name.clone(), earlier.unit.clone());
            match &earlier.state {
                UnitState::Running => found.push(Found::AtWork { node, unit }),
                UnitState::Ended(UnitOutcome::Failed { how, tail }) => {
                    found.push(Found::Failed { node, unit, how: how.to_string(), tail: tail.clone() });
                }
                UnitState::Ended(UnitOutcome::Success) => {}
            }
        }
    }
}
