//! What is named as the cause, what will follow from it, and in which order the remedies are listed.

use super::super::{CauseKind, RemedyKind, Standing, diagnose};
use super::*;
use crate::snapshot::Qdevice;

/// The article's own case: we told pve1 to reboot, pve2 dies, pve3 is alone with active HA.
#[test]
fn a_second_node_fails_during_the_first_ones_reboot() {
    let diagnosis = diagnose(&alone(40, 20), &facts(&[("pve1", 50)]));
    assert_eq!(diagnosis.standing, Standing::Lost { votes: 1, needed: 2, since: Some(ago(20)) });
    let kinds: Vec<&CauseKind> = diagnosis.causes.iter().map(|cause| &cause.kind).collect();
    let reboots = CauseKind::Reboots { node: name("pve1"), since: ago(50), overdue: false };
    assert_eq!(kinds, [&reboots, &CauseKind::Vanished { node: name("pve2") }]);
    assert!(diagnosis.causes[0].evidence[0].contains("this run told pve1 to reboot 50 s ago"), "{diagnosis:#?}");
    assert!(diagnosis.causes[1].evidence[0].contains("pve3 lost pve2 without warning 20 s ago"), "{diagnosis:#?}");
    // The watchdog was fed twelve seconds ago and has sixty.
    assert_eq!((diagnosis.fences.len(), diagnosis.fences[0].left_s, diagnosis.fences[0].overdue), (1, 48, false));
    let ways: Vec<&RemedyKind> = diagnosis.remedies.iter().map(|remedy| &remedy.kind).collect();
    let wait = RemedyKind::Wait { node: name("pve1") };
    let back = RemedyKind::BringBack { node: name("pve2") };
    assert_eq!(ways, [&wait, &back, &RemedyKind::LowerExpectedVotes]);
    assert!(diagnosis.lines().iter().any(|line| line.contains("it resets itself in 48 s")), "{:#?}", diagnosis.lines());
}

#[test]
fn a_reboot_that_has_used_up_its_time_is_no_reason_to_wait() {
    let diagnosis = diagnose(&alone(1290, 1290), &facts(&[("pve1", 1300)]));
    assert!(matches!(diagnosis.causes[0].kind, CauseKind::Reboots { overdue: true, .. }));
    assert!(!diagnosis.remedies.iter().any(|remedy| matches!(remedy.kind, RemedyKind::Wait { .. })));
}

#[test]
fn two_sides_that_are_up_are_a_cut_network_and_not_two_dead_nodes() {
    let one = report(view(&["pve1", "pve2"], 4), vec![heard(30, HeardWhat::Vanished, "pve3")]);
    let other = report(view(&["pve3", "pve4"], 4), vec![heard(30, HeardWhat::Vanished, "pve1")]);
    let nodes = [("pve1", one.clone()), ("pve2", one), ("pve3", other.clone()), ("pve4", other)];
    let diagnosis = diagnose(&quorum_views(&nodes), &facts(&[]));
    let cut: Vec<bool> = diagnosis.causes.iter().map(|cause| matches!(cause.kind, CauseKind::CutOff { .. })).collect();
    assert_eq!(cut, [true, true], "{diagnosis:#?}");
    assert!(matches!(diagnosis.remedies[0].kind, RemedyKind::MendLink { .. }));
}

#[test]
fn a_node_that_answers_without_corosync_should_join_again() {
    let mut quorum_views = alone(3600, 30);
    let mut idle = silent();
    idle.uptime_s = Known(25);
    quorum_views.nodes.insert(name("pve2"), idle);
    let diagnosis = diagnose(&quorum_views, &facts(&[]));
    assert!(diagnosis.causes.iter().any(|cause| cause.kind == CauseKind::CorosyncDown { node: name("pve2") }));
    let way = diagnosis.remedies.iter().find(|remedy| matches!(remedy.kind, RemedyKind::StartCorosync { .. })).unwrap();
    assert!(way.how.iter().any(|line| line == "pve2# systemctl start corosync pve-cluster"), "{way:#?}");
}

#[test]
fn a_device_that_casts_no_vote_is_named() {
    let mut here = view(&["pve1"], 2);
    (here.expected_votes, here.quorum) = (3, 2);
    here.qdevice = Some(Qdevice { votes: 1, casting: false });
    let lines = vec![heard(100, HeardWhat::Left, "pve2")];
    let mut quorum_views = quorum_views(&[("pve1", report(here, lines)), ("pve2", silent())]);
    quorum_views.device_votes = Known(1);
    let diagnosis = diagnose(&quorum_views, &facts(&[]));
    let kinds: Vec<&CauseKind> = diagnosis.causes.iter().map(|cause| &cause.kind).collect();
    assert_eq!(kinds, [&CauseKind::WentDown { node: name("pve2") }, &CauseKind::DeviceAway { votes: 1 }]);
    let ways: Vec<&RemedyKind> = diagnosis.remedies.iter().map(|remedy| &remedy.kind).collect();
    let place = |kind: &RemedyKind| ways.iter().position(|way| *way == kind).unwrap();
    assert!(place(&RemedyKind::RestoreDevice) < place(&RemedyKind::BringBack { node: name("pve2") }));
}

#[test]
fn a_link_that_was_lost_three_times_in_an_hour_flaps() {
    let lost = |at| Heard { at: ago(at), what: HeardWhat::LinkDown(name("pve2"), 0) };
    let here = |lines| report(view(&["pve1", "pve2"], 2), lines);
    let nodes = [("pve1", here(vec![lost(900), lost(600), lost(300)])), ("pve2", here(vec![]))];
    let diagnosis = diagnose(&quorum_views(&nodes), &facts(&[]));
    assert!(diagnosis.causes.iter().any(|cause| cause.kind == CauseKind::LinkFlaps { node: name("pve2") }));
    let nodes = [("pve1", here(vec![lost(4000), lost(3700), lost(300)])), ("pve2", here(vec![]))];
    assert!(diagnose(&quorum_views(&nodes), &facts(&[])).causes.is_empty());
}

#[test]
fn a_node_is_not_fenced_for_what_its_lrm_wrote_before_it_booted_nor_while_there_is_quorum() {
    let mut quorum_views = alone(40, 20);
    quorum_views.nodes.get_mut(&name("pve3")).unwrap().uptime_s = Known(5);
    assert!(diagnose(&quorum_views, &facts(&[])).fences.is_empty(), "it was reset, and begins idle");
    let here = report(view(&["pve1", "pve3"], 3), vec![heard(20, HeardWhat::Vanished, "pve2")]);
    let quorate = super::quorum_views(&[("pve1", here.clone()), ("pve2", silent()), ("pve3", here)]);
    let diagnosis = diagnose(&quorate, &facts(&[]));
    assert!(diagnosis.fences.is_empty() && matches!(diagnosis.standing, Standing::Quorate { votes: 2, needed: 2 }));
    assert!(!diagnosis.remedies.iter().any(|remedy| remedy.kind == RemedyKind::LowerExpectedVotes));
}

#[test]
fn a_node_that_should_have_been_reset_long_ago_is_reported_as_overdue() {
    let mut quorum_views = alone(400, 300);
    let lrm = LrmReport { state: "active".to_owned(), written: ago(305) };
    quorum_views.nodes.get_mut(&name("pve3")).unwrap().lrm = Known(Some(lrm));
    let diagnosis = diagnose(&quorum_views, &facts(&[]));
    assert!(diagnosis.fences[0].overdue && diagnosis.fences[0].left_s == 0, "{diagnosis:#?}");
}
