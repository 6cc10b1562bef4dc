//! Votes beyond the rule `quorum-margin`: how many are to spare, a QDevice that is silent, a node that is cut off.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::views;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{QuorumView, Snapshot};

pub(super) struct SpareVotes;

kinds! {
    CutOff { node: NodeName, votes: u32, expected: u32, quorum: u32 } => Blocking, node,
        ("{node} is not quorate: {votes} of {expected} votes, {quorum} needed"),
        ("Bring the missing nodes or links back: pvecm status");
    QdeviceSilent { node: NodeName } => Warning, node,
        ("the QDevice gives {node} no vote"),
        ("Look at corosync-qdevice there and at its host: systemctl status corosync-qdevice");
    Spare { left: u32, quorum: u32, spare: u32 } => Info, Cluster,
        ("with any one node out at least {left} votes are left, {quorum} are needed, {spare} to spare"),
        ("Nothing to do.");
    NoneToSpare { left: u32, quorum: u32, advice: &'static str } => Info, Cluster,
        ("with any one node out at least {left} votes are left, {quorum} are needed, 0 to spare: one more failure \
          meanwhile stops the cluster"),
        ("{advice}");
}

impl Check for SpareVotes {
    const ID: &'static str = "spare-votes";
    const EXPLAIN: &'static str =
        "How many votes may be lost while one node is out, beyond what the rule quorum-margin demands. With 0, as in \
         every cluster of three or four, a second failure at that moment stops the cluster, and nodes with active HA \
         reset themselves: for information. With an even number of nodes a QDevice adds a vote (pvecm qdevice setup \
         ADDRESS); with an odd number Proxmox advises against one, since it would have nearly as many votes as the \
         nodes together. One that is configured and casts none is a warning. A node that the others miss and that is up without quorum is cut off \
         from them: blocking.";
    const WAIVABLE: Waivable =
        Waivable::Never("without votes the cluster stops, and nodes with active HA reset themselves");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for (node, view) in snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?))) {
            // The rule asks members. For one that lost quorum, no member is left to say that it is online.
            if !view.quorate && snapshot.nodes.get(node).is_none_or(|node| !node.online.is(&true)) {
                let (votes, expected, quorum) = (view.total_votes, view.expected_votes, view.quorum);
                found.push(Found::CutOff { node: node.clone(), votes, expected, quorum });
            }
            if view.qdevice.is_some_and(|device| !device.casting) {
                found.push(Found::QdeviceSilent { node: node.clone() });
            }
        }
        found.extend(views(snapshot).next().and_then(|(_, view)| spare(view, snapshot.nodes.len())));
    }
}

fn spare(view: &QuorumView, nodes: usize) -> Option<Found> {
    let (most, quorum) = (view.members.values().map(|member| member.votes).max()?, view.quorum);
    let left = view.total_votes.saturating_sub(most);
    match left.checked_sub(quorum)? {
        0 => Some(Found::NoneToSpare { left, quorum, advice: advice(view, nodes) }),
        spare => Some(Found::Spare { left, quorum, spare }),
    }
}

/// What would add a vote ("Corosync External Vote Support" in PVE's guide: QDevices are for even numbers of nodes).
fn advice(view: &QuorumView, nodes: usize) -> &'static str {
    if view.qdevice.is_some() {
        "Nothing to do for the run: the QDevice has its vote already. More nodes would add some"
    } else if nodes.is_multiple_of(2) {
        "A QDevice would add a vote: pvecm qdevice setup ADDRESS"
    } else {
        "Nothing to do for the run. Two more nodes would add a vote to spare; a QDevice is advised against with an odd \
         number of nodes"
    }
}
