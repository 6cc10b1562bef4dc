//! Do the clocks of the nodes agree?

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ClockSkew;

/// Reading a clock over the network is no better than this.
const WARNING_MS: u64 = 2_000;
/// HA compares time stamps of nodes: half of the 60 s after which a node is fenced.
const BLOCKING_MS: u64 = 30_000;

kinds! {
    Off { node: NodeName, off_ms: u64, ahead: bool } => if off_ms > BLOCKING_MS { Blocking } else { Warning }, node,
        ("the clock of {node} is {:.1} s {} the others", off_ms as f64 / 1000.0,
            if ahead { "ahead of" } else { "behind" }),
        ("Look at time synchronisation: chronyc tracking on {node}");
}

impl Check for ClockSkew {
    const ID: &'static str = "clock-skew";
    const EXPLAIN: &'static str =
        "HA relies on time stamps that other nodes wrote, Ceph's monitors want their clocks within 50 ms, and \
         certificates and tickets depend on the time. The clock of each node is compared with the median of all nodes, \
         so that a wrong clock on this machine is no finding. More than 2 s off is a warning, more than 30 s blocking: \
         HA might consider a node dead. Look at `chronyc tracking` on the node.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("HA relies on the clocks of the nodes");
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let Some(middle) = snapshot.clocks_ahead_ms() else { return };
        for (name, skew) in online(snapshot).filter_map(|node| Some((&node.name, *node.clock_skew_ms.known()?))) {
            let off_ms = skew.abs_diff(middle);
            if off_ms > WARNING_MS {
                found.push(Found::Off { node: name.clone(), off_ms, ahead: skew > middle });
            }
        }
    }
}
