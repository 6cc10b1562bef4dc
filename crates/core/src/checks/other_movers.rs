//! Programs that move guests by themselves.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct OtherMovers;

kinds! {
    AtWork { node: NodeName, movers: Vec<String> } => Blocking, node,
        ("{} is running on {node} and moves guests by itself", some(&movers)),
        ("For the run, on {node}: systemctl disable --now {0}; afterwards: systemctl enable --now {0}", movers.join(" "));
}

impl Check for OtherMovers {
    const ID: &'static str = "other-movers";
    const EXPLAIN: &'static str =
        "ProxLB balances guests over all nodes. During a run it would move guests back onto the node that is being \
         emptied, and the two would push each other's guests around: blocking, on whichever node its service is \
         active. Disable it for the run (systemctl disable --now proxlb), since its node's reboot would start it again, and \
         enable it afterwards. One that runs outside of \
         the cluster is not seen: stop it too. PVE's own rebalancing is reported by ha-state.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(movers) = node.host.movers.known().filter(|movers| !movers.is_empty()) else { continue };
            found.push(Found::AtWork { node: node.name.clone(), movers: movers.iter().cloned().collect() });
        }
    }
}
