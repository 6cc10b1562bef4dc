//! What the safety rules say before a run: now, and with each node out in turn.

use super::super::*;
use super::{fires, run};
use crate::ids::GuestId;
use crate::invariants::sample::*;
use crate::observed::Observed;
use crate::observed::Observed::Known;
use crate::snapshot::*;

#[test]
fn every_rule_holds_in_the_healthy_cluster_with_each_node_out() {
    assert_eq!(rules::findings(&cluster(), &Policy::default(), None), []);
}

#[test]
fn quorum_margin_counts_with_each_node_out_in_turn() {
    let mut snapshot = cluster();
    for node in NODES {
        let view = view_mut(&mut snapshot, node);
        (view.total_votes, view.expected_votes, view.quorum) = (5, 5, 3);
        view.members.get_mut(&name("pve2")).unwrap().votes = 3;
    }
    let words = "with pve2 out: pve1 would count 2 votes where 3 are needed for quorum";
    fires("quorum-margin", &snapshot, Severity::Blocking, words);
    let [finding] = &run("quorum-margin", &snapshot)[..] else { panic!("pve1 and pve3 may be out") };
    assert_eq!((finding.id().as_str(), &finding.subject), ("quorum-margin/node-out", &Subject::Node("pve2".into())));
    let mut snapshot = cluster();
    view_mut(&mut snapshot, "pve3").quorate = false;
    fires("quorum-margin", &snapshot, Severity::Blocking, "pve3 is not quorate");
    let mut snapshot = cluster();
    snapshot.etc_pve.insert("pve2".into(), Known(EtcPve::ReadOnly));
    fires("quorum-margin", &snapshot, Severity::Blocking, "its /etc/pve cannot be written");
}

#[test]
fn votes_that_were_lowered_by_hand_are_blocking() {
    let mut snapshot = cluster();
    view_mut(&mut snapshot, "pve1").expected_votes = 1;
    fires(
        "votes-lowered-only-if-confirmed-off",
        &snapshot,
        Severity::Blocking,
        "pve1 expects 1 votes, configured are 3",
    );
}

#[test]
fn one_node_out_reports_a_node_that_is_missing() {
    let mut snapshot = cluster();
    crash(&mut snapshot, "pve3");
    fires("one-node-out", &snapshot, Severity::Blocking, "pve3 is offline");
    for (state, words) in [
        (HaNodeState::Maintenance, "pve2 is in HA maintenance mode"),
        (HaNodeState::Fence, "pve2 is being fenced"),
        (HaNodeState::Unknown, "pve2 is not seen by the HA manager"),
    ] {
        let mut snapshot = cluster();
        ha_mut(&mut snapshot).nodes.insert(name("pve2"), state);
        fires("one-node-out", &snapshot, Severity::Blocking, words);
    }
}

#[test]
fn corosync_one_at_a_time_sees_a_link_that_is_down() {
    let mut snapshot = cluster();
    view_mut(&mut snapshot, "pve2").links.get_mut(&name("pve3")).unwrap()[0].connected = false;
    fires("corosync-one-at-a-time", &snapshot, Severity::Blocking, "pve2 reaches pve3 over 1 of 2 links");
    assert_eq!(run("corosync-one-at-a-time", &snapshot).len(), 1, "what is broken now is not repeated for each node");
}

#[test]
fn rules_kept_finds_a_rule_that_is_broken_already() {
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(102)).node = name("pve1");
    fires("rules-kept", &snapshot, Severity::Blocking, "vm:101 and vm:102 meet on pve1");
}

#[test]
fn ceph_redundancy_is_decided_by_the_rule_itself() {
    let check = CephHealthCheck {
        severity: HealthLevel::Warn,
        message: "some words".to_owned(),
        muted: false,
        accepted: false,
    };
    let fires = |change: &dyn Fn(&mut Ceph), words| {
        let mut snapshot = cluster();
        change(ceph_mut(&mut snapshot));
        fires("ceph-redundancy", &snapshot, Severity::Blocking, words);
    };
    fires(&|ceph| drop(ceph.checks.insert("MON_DOWN".to_owned(), check.clone())), "MON_DOWN: some words");
    fires(&|ceph| ceph.pgs[0].state = "active+undersized".to_owned(), "placement groups");
    fires(&|ceph| ceph.pools[0].min_size = 3, "pool rbd stops");
    let one = |ceph: &mut Ceph| ceph.daemons.retain(|it| it.kind != DaemonKind::Mon || it.name == "pve1");
    fires(&one, "with pve1 out: 0 of 1 Ceph monitors are left: no majority");
    let two = |ceph: &mut Ceph| ceph.daemons.retain(|it| it.kind != DaemonKind::Mon || it.name != "pve3");
    fires(&two, "with pve2 out: 1 of 2 Ceph monitors are left: no majority");
    let no = || Known(SafeToStop::Unsafe("3 PGs would stop".to_owned()));
    let unsafe_there = |ceph: &mut Ceph| drop(ceph.osds_ok_to_stop.insert(name("pve2"), no()));
    fires(&unsafe_there, "with pve2 out: Ceph says that the OSDs of pve2 are not ok to stop: 3 PGs");
}

#[test]
fn what_cannot_be_determined_is_blocking_and_a_gap_is_reported_once() {
    let mut snapshot = cluster();
    ceph_mut(&mut snapshot).daemons.retain(|it| it.kind != DaemonKind::Mon);
    let [finding] = &run("ceph-redundancy", &snapshot)[..] else { panic!("no monitor was seen") };
    assert_eq!((finding.kind.as_str(), finding.severity), ("cannot-tell", Severity::Blocking));
    let mut snapshot = cluster();
    snapshot.ceph = Observed::unknown("ceph status", "it hangs");
    assert_eq!(run("ceph-redundancy", &snapshot), [], "unknown-readings reports it");
    assert_eq!(run("unknown-readings", &snapshot).len(), 1);
}
