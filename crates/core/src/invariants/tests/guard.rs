//! The guard: the normal path of a node passes, and a rule that is broken now, while the step runs or after it refuses.

use super::super::sample::*;
use super::super::*;
use super::{StillThere, Stop, context, drained, reboot, timed_out, upgrade};
use crate::policy::Policy;
use crate::snapshot::{Job, JobKind};
use crate::steps::*;

fn migrate(guest: GuestId, from: &str, to: &str, mode: MoveMode) -> Step {
    Migrate { guest, from: name(from), to: name(to), mode, storages: [].into() }.into()
}

fn guarded(step: &Step, in_flight: &[&Step], snapshot: &Snapshot, current_node: &str) -> Result<(), Vec<Refusal>> {
    let policy = Policy::default();
    guard(step, in_flight, snapshot, &context(&policy, Some(current_node), &[]))
}

#[track_caller]
fn refused_by(result: Result<(), Vec<Refusal>>, rule: &str) {
    let refusals = result.expect_err("the guard lets it pass");
    assert!(refusals.iter().any(|refusal| refusal.to_string().starts_with(rule)), "{rule} is not in {refusals:#?}");
}

#[test]
fn the_guard_lets_the_normal_path_of_a_node_pass() {
    let mut snapshot = cluster();
    let path: Vec<Step> = vec![
        migrate(GuestId::vm(101), "pve1", "pve3", MoveMode::Ha),
        migrate(GuestId::vm(103), "pve1", "pve2", MoveMode::Live),
        migrate(GuestId::ct(201), "pve1", "pve2", MoveMode::Restart),
        WaitEmpty { node: name("pve1") }.into(),
        set(Maintenance { node: name("pve1") }),
        set(Noout::by_host(name("pve1"))),
        upgrade("pve1"),
        reboot("pve1"),
        WaitBack { node: name("pve1"), without: Default::default() }.into(),
        undo(Noout::by_host(name("pve1"))),
        undo(Maintenance { node: name("pve1") }),
        WaitHaIdle { node: name("pve1") }.into(),
        migrate(GuestId::vm(103), "pve2", "pve1", MoveMode::Live),
    ];
    for step in path {
        assert_eq!(guarded(&step, &[], &snapshot, "pve1"), Ok(()), "{}", step.kind().title());
        step.after(&mut snapshot);
    }
}

#[test]
fn the_guard_refuses_a_reboot_of_a_node_that_is_not_empty() {
    refused_by(guarded(&reboot("pve1"), &[], &cluster(), "pve1"), "no-guest-on-a-node-we-stop (while it runs)");
    refused_by(guarded(&upgrade("pve1"), &[], &cluster(), "pve1"), "no-guest-on-a-node-we-stop (while it runs)");
}

#[test]
fn the_guard_refuses_a_reboot_while_a_task_runs_on_the_node() {
    let mut snapshot = drained();
    assert_eq!(guarded(&reboot("pve1"), &[], &snapshot, "pve1"), Ok(()));
    snapshot.jobs.known_mut().unwrap().push(Job {
        upid: "UPID:pve1:1:2:3:imgcopy::root@pam:".into(),
        node: name("pve1"),
        kind: JobKind("imgcopy".to_owned()),
        vmid: None,
        user: "root@pam".to_owned(),
        started: crate::ids::UnixMs(0),
    });
    refused_by(guarded(&reboot("pve1"), &[], &snapshot, "pve1"), "no-guest-on-a-node-we-stop");
}

#[test]
fn the_guard_refuses_a_reboot_without_noout() {
    let mut snapshot = drained();
    undo(Noout::by_host(name("pve1"))).after(&mut snapshot);
    refused_by(guarded(&reboot("pve1"), &[], &snapshot, "pve1"), "ceph-redundancy (while it runs)");
}

#[test]
fn the_guard_refuses_anything_risky_while_an_administrator_has_another_node_in_maintenance() {
    let mut snapshot = cluster();
    set(Maintenance { node: name("pve2") }).after(&mut snapshot);
    let step = migrate(GuestId::vm(103), "pve1", "pve3", MoveMode::Live);
    refused_by(guarded(&step, &[], &snapshot, "pve1"), "one-node-out (now)");
}

#[test]
fn the_guard_refuses_a_second_reboot_while_one_is_under_way() {
    let mut snapshot = drained();
    let first = reboot("pve1");
    first.during(&mut snapshot);
    for rule in ["one-node-out", "quorum-margin", "corosync-one-at-a-time", "ceph-redundancy", "fence-safe"] {
        refused_by(guarded(&reboot("pve2"), &[&first], &snapshot, "pve1"), rule);
    }
}

#[test]
fn the_guard_counts_guests_in_flight_against_the_next_one() {
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(103)).memory_bytes = 40 * GIB;
    guest_mut(&mut snapshot, GuestId::ct(201)).memory_bytes = 20 * GIB;
    let (one, two) = (
        migrate(GuestId::vm(103), "pve1", "pve2", MoveMode::Live),
        migrate(GuestId::ct(201), "pve1", "pve2", MoveMode::Restart),
    );
    assert_eq!(guarded(&two, &[], &snapshot, "pve1"), Ok(()));
    refused_by(guarded(&two, &[&one], &snapshot, "pve1"), "memory-fits");
}

#[test]
fn the_guard_refuses_a_risk_when_a_reading_is_missing() {
    let mut snapshot = drained();
    snapshot.ceph = gap();
    refused_by(guarded(&reboot("pve1"), &[], &snapshot, "pve1"), "ceph-redundancy (cannot be determined, now)");
}

#[test]
fn a_node_lost_by_accident_does_not_forbid_its_own_repair() {
    let mut snapshot = drained();
    crash(&mut snapshot, "pve3");
    refused_by(guarded(&reboot("pve1"), &[], &snapshot, "pve1"), "one-node-out");
    for cure in [undo(Maintenance { node: name("pve1") }), undo(Noout::by_host(name("pve1")))] {
        assert_eq!(guarded(&cure, &[], &snapshot, "pve1"), Ok(()));
    }
}

#[test]
fn a_restoring_step_that_would_break_a_rule_that_holds_is_refused() {
    // noout must stay while the node's OSDs are down.
    let mut snapshot = drained();
    reboot("pve1").during(&mut snapshot);
    let step = undo(Noout::by_host(name("pve1")));
    refused_by(guarded(&step, &[], &snapshot, "pve1"), "ceph-redundancy (after it)");
}

#[test]
fn a_refusal_names_its_rule_the_moment_and_the_evidence_by_their_types_and_survives_json() {
    let refusals = guarded(&reboot("pve1"), &[], &cluster(), "pve1").unwrap_err();
    let found = refusals.iter().find(|refusal| refusal.rule == RuleId::NoGuestOnANodeWeStop);
    let refusal = found.expect("pve1 is not empty");
    assert_eq!((refusal.moment, refusal.certain), (Moment::During, true));
    let left = StillThere::Guest { guest: GuestId::vm(101), node: name("pve1"), stop: Stop::Offline };
    assert!(refusal.why.iter().any(|one| *one == Evidence::NoGuestOnANodeWeStop(left.clone())), "{refusal:#?}");
    let json = serde_json::to_string(refusal).unwrap();
    assert_eq!(serde_json::from_str::<Refusal>(&json).unwrap(), *refusal);
    let mut blind = drained();
    blind.ceph = gap();
    let refusals = guarded(&reboot("pve1"), &[], &blind, "pve1").unwrap_err();
    let ceph = refusals.iter().find(|refusal| refusal.rule == RuleId::CephRedundancy).unwrap();
    assert_eq!((ceph.moment, ceph.certain), (Moment::Now, false));
    let missing = Evidence::CephRedundancy(timed_out().into());
    assert_eq!(ceph.why, Grounds::new(missing, Vec::new()));
}
