//! Lowering expected votes: the one case in which it may be, and every reason against it, each by itself.

use super::super::{AbsenceNotKnown, NotLowered, VotesNotKnown, lowering, words_for};
use super::*;
use crate::invariants::votes_lowered_only_if_confirmed_off::VotesTooLow;
use crate::invariants::{Evidence, Grounds};

fn words(nodes: &[&str]) -> Vec<String> {
    nodes.iter().map(|node| words_for(&name(node))).collect()
}

/// An hour without the others, and both confirmed off.
fn refused(quorum_views: &QuorumViews, facts: &RunFacts, words: &[String]) -> Vec<NotLowered> {
    lowering(quorum_views, facts, words).expect_err("it must be refused")
}

#[test]
fn an_hour_away_silent_and_confirmed_off_is_enough_and_as_little_is_lowered_as_gives_quorum() {
    let step = lowering(&alone(3700, 3600), &facts(&[]), &words(&["pve1", "pve2"])).unwrap();
    assert_eq!((step.expected, step.configured, step.node.as_str()), (1, 3, "pve3"));
    assert_eq!(step.off, set(&["pve1", "pve2"]));
    let lower = crate::steps::set(step.clone());
    let command = lower.kind().command(&crate::snapshot::Snapshot::empty(UnixMs(0))).unwrap();
    assert_eq!(command.to_string(), "pve3# pvecm expected 1");
    let to_undo = lower.undone_later_by().unwrap();
    assert_eq!(to_undo.kind().title(), "expect 3 votes again, as configured");

    // Two of five are left: three are enough to expect, not two, so that a further loss takes quorum again.
    let gone = ["pve1", "pve2", "pve3"];
    let lines: Vec<Heard> = gone.iter().map(|node| heard(3600, HeardWhat::Vanished, node)).collect();
    let here = report(view(&["pve4", "pve5"], 5), lines);
    let five = quorum_views(&[
        ("pve1", silent()),
        ("pve2", silent()),
        ("pve3", silent()),
        ("pve4", here.clone()),
        ("pve5", here),
    ]);
    assert_eq!(lowering(&five, &facts(&[]), &words(&gone)).unwrap().expected, 3);
}

#[test]
fn refused_while_there_is_quorum() {
    let here = report(view(&["pve1", "pve3"], 3), vec![heard(3600, HeardWhat::Vanished, "pve2")]);
    let quorum_views = quorum_views(&[("pve1", here.clone()), ("pve2", silent()), ("pve3", here)]);
    assert_eq!(refused(&quorum_views, &facts(&[]), &words(&["pve2"])), [NotLowered::HasQuorum { node: name("pve1") }]);
}

#[test]
fn refused_while_another_partition_has_quorum_as_any_node_sees_it() {
    // pve3 is cut off, and asked for in good faith; pve1 and pve2 go on without it.
    let lost = vec![heard(3600, HeardWhat::Vanished, "pve1"), heard(3600, HeardWhat::Vanished, "pve2")];
    let others = report(view(&["pve1", "pve2"], 3), vec![heard(3600, HeardWhat::Vanished, "pve3")]);
    let quorum_views =
        quorum_views(&[("pve1", others), ("pve2", silent()), ("pve3", report(view(&["pve3"], 3), lost))]);
    assert_eq!(refused(&quorum_views, &facts(&[]), &words(&["pve2"])), [NotLowered::HasQuorum { node: name("pve1") }]);
}

#[test]
fn refused_where_no_node_reports_a_view() {
    let quorum_views = quorum_views(&[("pve1", silent()), ("pve2", silent()), ("pve3", silent())]);
    assert_eq!(refused(&quorum_views, &facts(&[]), &words(&["pve1", "pve2"])), [NotLowered::NoView]);
}

#[test]
fn refused_for_a_node_that_answers_even_if_it_is_confirmed_off() {
    let mut quorum_views = alone(3600, 3600);
    let mut lives = silent();
    lives.uptime_s = Known(90);
    quorum_views.nodes.insert(name("pve1"), lives);
    let refusals = refused(&quorum_views, &facts(&[]), &words(&["pve1", "pve2"]));
    assert!(refusals.contains(&NotLowered::StillAnswers { node: name("pve1") }), "{refusals:?}");
}

#[test]
fn refused_for_a_node_that_has_been_away_for_less_than_a_boot_may_take() {
    let refusals = refused(&alone(3600, 1200), &facts(&[]), &words(&["pve1", "pve2"]));
    assert_eq!(refusals, [NotLowered::AwayTooShort { node: name("pve2"), away_s: 1200, needed_s: 1200 }]);
    assert!(lowering(&alone(3600, 1201), &facts(&[]), &words(&["pve1", "pve2"])).is_ok());
}

#[test]
fn refused_where_it_is_not_known_since_when_a_node_is_away() {
    let mut quorum_views = alone(3600, 3600);
    quorum_views.nodes.get_mut(&name("pve3")).unwrap().heard = gap();
    let refusals = refused(&quorum_views, &facts(&[]), &words(&["pve1", "pve2"]));
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert!(
        refusals.iter().all(|refusal| matches!(
            refusal,
            NotLowered::AbsenceNotKnown { why: AbsenceNotKnown::DoesNotTell { .. }, .. }
        )),
        "{refusals:?}"
    );
}

#[test]
fn a_survivor_that_booted_itself_has_only_seen_the_absence_since_then() {
    let mut quorum_views = alone(3600, 3600);
    quorum_views.nodes.get_mut(&name("pve3")).unwrap().uptime_s = Known(300);
    let refusals = refused(&quorum_views, &facts(&[]), &words(&["pve1", "pve2"]));
    let short = |node| NotLowered::AwayTooShort { node: name(node), away_s: 300, needed_s: 1200 };
    assert_eq!(refusals, [short("pve1"), short("pve2")]);
}

#[test]
fn refused_for_a_node_that_this_run_told_to_reboot_while_its_time_is_not_over() {
    let refusals = refused(&alone(3600, 3600), &facts(&[("pve1", 1000)]), &words(&["pve1", "pve2"]));
    assert_eq!(refusals, [NotLowered::Reboots { node: name("pve1"), left_s: 200 }]);
}

#[test]
fn refused_without_a_sentence_for_each_absent_node_and_for_any_other_words() {
    let refusals = refused(&alone(3600, 3600), &facts(&[]), &words(&["pve1"]));
    assert_eq!(refusals, [NotLowered::NotConfirmedOff { node: name("pve2") }]);
    let mut typed = words(&["pve1"]);
    typed.push("pve2 is off".to_owned());
    let other = NotLowered::OtherWords { words: "pve2 is off".to_owned() };
    assert_eq!(
        refused(&alone(3600, 3600), &facts(&[]), &typed),
        [NotLowered::NotConfirmedOff { node: name("pve2") }, other]
    );
    let refusals = refused(&alone(3600, 3600), &facts(&[]), &words(&["pve1", "pve2", "pve3"]));
    assert_eq!(refusals, [NotLowered::OtherWords { words: words_for(&name("pve3")) }], "pve3 is here");
}

#[test]
fn refused_where_a_member_does_not_report_its_view_or_the_configured_votes_are_not_known() {
    let lines = vec![heard(3600, HeardWhat::Vanished, "pve1")];
    let here = report(view(&["pve3", "pve4"], 4), lines);
    let mut quiet = here.clone();
    quiet.view = gap();
    let nodes = [("pve1", silent()), ("pve3", here.clone()), ("pve4", quiet)];
    let refusals = refused(&quorum_views(&nodes), &facts(&[]), &words(&["pve1"]));
    assert!(refusals.iter().any(|refusal| refusal.to_string().contains("pve4 is a member and does not report")));
    let pve4 =
        |refusal: &NotLowered| matches!(refusal, NotLowered::MemberNotKnown { node, .. } if *node == name("pve4"));
    assert!(refusals.iter().any(pve4), "{refusals:?}");

    let mut quorum_views = alone(3600, 3600);
    quorum_views.votes = gap();
    let refusals = refused(&quorum_views, &facts(&[]), &words(&["pve1", "pve2"]));
    assert!(
        refusals.iter().any(|refusal| matches!(refusal, NotLowered::VotesNotKnown { why: VotesNotKnown::OfNodes(_) })),
        "{refusals:?}"
    );
}

#[test]
fn the_rule_has_the_last_word() {
    // corosync.conf has a fourth node that was neither asked nor confirmed off.
    let mut quorum_views = alone(3600, 3600);
    quorum_views.votes = Known(["pve1", "pve2", "pve3", "pve4"].map(|node| (name(node), 1)).into());
    let refusals = refused(&quorum_views, &facts(&[]), &words(&["pve1", "pve2"]));
    // Four votes are configured, and two of the three others are confirmed off.
    let pve3_expects = VotesTooLow::Expected { viewer: name("pve3"), expected: 1, configured: 4, confirmed_off: 2 };
    let evidence = Grounds::new(Evidence::VotesLoweredOnlyIfConfirmedOff(pve3_expects), Vec::new());
    assert_eq!(refusals, [NotLowered::RuleBroken { evidence }]);
}
