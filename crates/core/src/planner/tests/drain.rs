//! A drain: one node is emptied, handed over and given back, and nothing is upgraded.

use super::*;
use crate::forecast::verify;
use crate::planner::Drain;
use crate::policy::End;
use crate::snapshot::HaNodeState;
use crate::steps::WaitBack;

fn drains(node: &str) -> Ongoing {
    Ongoing::drain(node.into(), "quorate-upgrade-test".into())
}

/// Updates are pending on each node.
fn three() -> Snapshot {
    Fixture::cluster(3).ceph().vm(101, "pve2", 4).vm(102, "pve2", 4).vm(103, "pve3", 4).snapshot()
}

#[test]
fn only_the_drained_node_has_a_node_step_and_nothing_in_it_is_upgraded() {
    let (snapshot, policy) = (three(), Policy::default().for_a_drain());
    let plan = plan(&snapshot, &policy, &drains("pve2")).unwrap();
    assert_eq!(order(&plan), ["pve2"]);
    let (_, verbs) = &verbs(&plan)[0];
    let expected = [
        "migrate",
        "migrate",
        "wait-empty",
        "set-noout",
        "hand-over",
        "wait-back",
        "unset-noout",
        "migrate",
        "migrate",
    ];
    assert_eq!(*verbs, expected);
    assert_eq!((plan.costs.moves, plan.costs.reboots), (4, 0));
    assert_eq!(plan.node_steps[0].why, NodeWhy::Drained);
    assert!(plan.is_a_drain() && verify(&plan, &snapshot, &policy).is_ok());
    let home = moves(&plan).into_iter().filter(|step| step.to.as_str() == "pve2").count();
    assert_eq!(home, 2, "they go home");
}

#[test]
fn the_hold_is_refused_where_the_others_cannot_do_without_the_node() {
    let policy = Policy::default().for_a_drain();
    let mut snapshot = three();
    let plan = plan(&snapshot, &policy, &drains("pve2")).unwrap();
    for view in snapshot.quorum.values_mut().filter_map(Observed::known_mut) {
        view.total_votes -= 1;
        view.members.remove(&crate::ids::NodeName::from("pve3"));
    }
    let findings = verify(&plan, &snapshot, &policy).unwrap_err();
    assert!(findings.iter().any(|finding| finding.problem.contains("pve2.hand-over")), "{findings:#?}");
}

#[test]
fn what_is_back_on_a_node_that_was_given_back_stays_there() {
    let policy = Policy::default().for_a_drain();
    let mut snapshot = three();
    // One of the two is at home again, the other one is not.
    snapshot.guests.get_mut(&GuestId::vm(102)).unwrap().node = "pve1".into();
    let homes = [101, 102].map(|vmid| (GuestId::vm(vmid), "pve2".into())).into();
    let drain = Some(Drain { node: "pve2".into(), given_back: true });
    let back = WaitBack { node: "pve2".into(), without: Default::default() };
    let given_back =
        Ongoing { drain, homes, current_node: Some("pve2".into()), to_undo: vec![back.into()], ..ongoing() };
    let plan = plan(&snapshot, &policy, &given_back).unwrap();
    assert_eq!(verbs(&plan)[0].1, ["wait-back", "migrate"]);
    assert_eq!(moves_of(&plan, GuestId::vm(102)), [("pve1".to_owned(), "pve2".to_owned(), MoveMode::Live)]);
}

#[test]
fn an_end_that_the_operator_wants_is_kept_and_another_node_in_maintenance_is_in_the_way() {
    let balanced = Policy { end: End::Balanced, ..Policy::default() };
    assert_eq!(balanced.for_a_drain().end, End::Balanced);
    assert_eq!(Policy::default().for_a_drain().end, End::Home);
    let mut snapshot = three();
    let ha = snapshot.ha.known_mut().unwrap();
    ha.nodes.insert("pve3".into(), HaNodeState::Maintenance);
    assert!(plan(&snapshot, &Policy::default().for_a_drain(), &drains("pve2")).is_err());
}
