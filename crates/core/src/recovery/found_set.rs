//! What is set in the cluster that a run of Quorate sets for a while, for a journal that is lost or too old to say.
//!
//! Whether Quorate or an administrator set it is not written in the cluster, so each is undone only on a word for it.
//! What a run changes beside these (guests that are shut down, images that are ejected) leaves no trace that tells it
//! from what an administrator did.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ids::{NodeName, OsdId};
use crate::observed::Observed;
use crate::snapshot::{Ceph, HaNodeState, Snapshot};
use crate::steps::{ExpectedVotes, Failback, Maintenance, Noout, Rebalance, Step, undo};

/// One thing that is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundSet {
    /// The word for it: `noout:pve1`.
    pub item: String,
    /// What undoes it.
    pub undo: Step,
}

/// Everything that is set and can be undone; and what could not be read, which may be set as well.
pub fn found_set(snapshot: &Snapshot) -> (Vec<FoundSet>, Vec<String>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    let mut add = |item: String, undo: Step| found.push(FoundSet { item, undo });
    match &snapshot.ceph {
        Observed::Known(ceph) => {
            let ceph = ceph.as_ref();
            for (node, ceph) in snapshot.nodes.keys().flat_map(|node| ceph.map(|ceph| (node, ceph))) {
                for noout in noout(ceph, node) {
                    add(format!("noout:{node}"), undo(noout));
                }
            }
        }
        Observed::Unknown(why) => unread.push(format!("noout: {why}")),
    }
    match &snapshot.ha {
        Observed::Known(ha) => {
            for (node, _) in ha.nodes.iter().filter(|(_, state)| **state == HaNodeState::Maintenance) {
                add(format!("maintenance:{node}"), undo(Maintenance { node: node.clone() }));
            }
            for (guest, _) in ha.services.iter().filter(|(_, service)| !service.failback) {
                add(format!("failback:{guest}"), undo(Failback { guest: *guest }));
            }
        }
        Observed::Unknown(why) => unread.push(format!("maintenance mode and failback: {why}")),
    }
    match &snapshot.options {
        // Where it was never set it is off as well, and that is nobody's doing.
        Observed::Known(options) if options.crs.get(Rebalance::KEY).is_some_and(|value| value == "0") => {
            add("rebalance".to_owned(), undo(Rebalance {}));
        }
        Observed::Known(_) => {}
        Observed::Unknown(why) => unread.push(format!("automatic rebalancing: {why}")),
    }
    match expected_votes(snapshot) {
        Ok(lowered) => lowered.into_iter().for_each(|votes| add("votes".to_owned(), undo(votes))),
        Err(why) => unread.push(format!("expected votes: {why}")),
    }
    (found, unread)
}

/// noout of the CRUSH host that is called like the node, and of its OSDs.
fn noout(ceph: &Ceph, node: &NodeName) -> Vec<Noout> {
    let osds: BTreeSet<OsdId> =
        ceph.osds_on(node).map(|(id, _)| id).filter(|id| ceph.has_noout(&id.to_string())).collect();
    let by_host = ceph.has_noout(node.as_str()).then(|| Noout::by_host(node.clone()));
    let by_osd = (!osds.is_empty()).then(|| Noout { node: node.clone(), osds });
    by_host.into_iter().chain(by_osd).collect()
}

/// Expected votes below what is configured, as a node sees them that has quorum.
fn expected_votes(snapshot: &Snapshot) -> Result<Option<ExpectedVotes>, String> {
    let votes = snapshot.configured_votes.read().map_err(ToString::to_string)?;
    let seen = snapshot.quorum.iter().filter_map(|(node, view)| Some((node, view.known()?)));
    let (node, view) = seen.into_iter().find(|(_, view)| view.quorate).ok_or("no node that answers has quorum")?;
    let device = view.qdevice.map_or(0, |device| device.votes);
    let configured = votes.values().copied().fold(device, u32::saturating_add);
    let (node, expected, off): (NodeName, u32, BTreeSet<NodeName>) =
        (node.clone(), view.expected_votes, BTreeSet::new());
    Ok((expected < configured).then_some(ExpectedVotes { node, expected, configured, off }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample::{cluster, view_mut};
    use crate::observed::WhyUnknown;

    fn items(snapshot: &Snapshot) -> Vec<String> {
        found_set(snapshot).0.into_iter().map(|found| found.item).collect()
    }

    #[test]
    fn what_a_run_sets_is_found_with_the_step_that_undoes_it_and_nothing_in_a_healthy_cluster() {
        let mut snapshot = cluster();
        // In the sample a run has switched failback off.
        assert_eq!(items(&snapshot), ["failback:vm:101", "failback:vm:102"]);
        snapshot.ha.known_mut().unwrap().services.values_mut().for_each(|service| service.failback = true);
        assert_eq!(found_set(&snapshot), (Vec::new(), Vec::new()));
        for setting in
            [undo(Noout::by_host("pve1".into())), undo(Maintenance { node: "pve2".into() }), undo(Rebalance {})]
        {
            let Step::ChangeSetting(change) = &setting else { unreachable!() };
            change.setting.kind().write(crate::steps::Act::Set, &mut snapshot);
        }
        for node in ["pve1", "pve2", "pve3"] {
            view_mut(&mut snapshot, node).expected_votes = 2;
        }
        assert_eq!(items(&snapshot), ["noout:pve1", "maintenance:pve2", "rebalance", "votes"]);
        for FoundSet { item, undo } in found_set(&snapshot).0 {
            assert!(undo.is_undo(), "{item}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_not_set() {
        let mut snapshot = cluster();
        snapshot.ceph = Observed::Unknown(WhyUnknown::new("ceph -s", "no answer"));
        snapshot.ha = Observed::Unknown(WhyUnknown::new("/cluster/ha", "no answer"));
        snapshot.options = Observed::Unknown(WhyUnknown::new("/cluster/options", "no answer"));
        snapshot.configured_votes = Observed::Unknown(WhyUnknown::new("corosync.conf", "no answer"));
        let (found, unread) = found_set(&snapshot);
        assert_eq!((found.len(), unread.len()), (0, 4), "{unread:?}");
    }
}
