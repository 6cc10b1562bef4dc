//! What a waiver sets aside, what it does not, and what is reported about one that has no effect.

use super::super::*;
use crate::invariants::sample::*;
use crate::observed::Observed;
use crate::observed::Observed::Known;
use crate::policy::Waiver;
use crate::snapshot::{CephHealthCheck, HealthLevel};

/// ProxLB running on pve2 and pve3.
fn moved_by_others() -> Snapshot {
    let mut snapshot = cluster();
    for node in ["pve2", "pve3"] {
        node_mut(&mut snapshot, node).host.movers = Known(["proxlb".to_owned()].into());
    }
    snapshot
}

fn with(waivers: &[&str]) -> Policy {
    let waive = waivers.iter().map(|text| parse_waiver(text).unwrap()).collect();
    Policy { waive, ..Policy::default() }
}

fn of<'a>(findings: &'a [Finding], check: &str) -> Vec<&'a Finding> {
    findings.iter().filter(|finding| finding.check == check).collect()
}

#[test]
fn a_waiver_sets_its_subject_aside_and_no_other() {
    let found = run_all(&moved_by_others(), &with(&["other-movers:pve2=it ignores tagged guests"]), Asked::BeforeARun);
    let [still, waived] = of(&found, "other-movers")[..] else { panic!("{found:#?}") };
    assert_eq!((still.severity, &still.subject), (Severity::Blocking, &Subject::Node("pve3".into())));
    assert_eq!((waived.severity, waived.waived.as_deref()), (Severity::Waived, Some("it ignores tagged guests")));
    assert_eq!(of(&found, "waivers"), Vec::<&Finding>::new(), "it did something");

    let found = run_all(&moved_by_others(), &with(&["other-movers=it ignores all our guests"]), Asked::BeforeARun);
    assert!(of(&found, "other-movers").iter().all(|finding| finding.severity == Severity::Waived));
}

#[test]
fn a_waiver_of_some_words_waives_only_the_line_that_has_them() {
    let mut snapshot = cluster();
    let line = |text: &str| crate::snapshot::CheckerLine {
        level: crate::snapshot::CheckerLevel::Fail,
        section: "MISCELLANEOUS CHECKS".to_owned(),
        text: text.to_owned(),
    };
    let node = node_mut(&mut snapshot, "pve1");
    node.pve_version = Known("8.4.14".into());
    node.host.checker = Known(Some(crate::snapshot::CheckerReport {
        tool: "pve8to9".to_owned(),
        lines: vec![line("systemd-boot meta-package installed"), line("Cluster Filesystem readonly, lost quorum?!")],
        finished: true,
    }));
    let text = Some("systemd-boot".to_owned());
    let waiver = Waiver { text, ..parse_waiver("upgrade-checker:pve1=it is removed on Monday").unwrap() };
    let found = run_all(&snapshot, &Policy { waive: vec![waiver], ..Policy::default() }, Asked::BeforeARun);
    let blocking: Vec<&str> = of(&found, "upgrade-checker")
        .into_iter()
        .filter(|finding| finding.severity == Severity::Blocking)
        .map(|finding| finding.problem.as_str())
        .collect();
    assert_eq!(blocking, ["pve8to9 on pve1: FAIL: Cluster Filesystem readonly, lost quorum?!"]);
}

#[test]
fn a_report_of_pves_checker_that_is_not_whole_is_never_waived_and_its_lines_are() {
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve1").host.checker = Known(Some(crate::snapshot::CheckerReport {
        tool: "pve8to9".to_owned(),
        lines: vec![crate::snapshot::CheckerLine {
            level: crate::snapshot::CheckerLevel::Warn,
            section: "MISCELLANEOUS CHECKS".to_owned(),
            text: "the tool before it died before its summary".to_owned(),
        }],
        finished: false,
    }));
    let found = run_all(&snapshot, &with(&["upgrade-checker:pve1=we know"]), Asked::BeforeARun);
    let severity = |kind: &str| of(&found, "upgrade-checker").iter().find(|one| one.kind == kind).unwrap().severity;
    assert_eq!((severity("unfinished"), severity("complaint")), (Severity::Warning, Severity::Waived));
}

/// A health check of Ceph that nobody knows to be harmless: blocking, until it is muted, or waived by its code.
#[test]
fn a_health_check_of_ceph_that_is_waived_by_its_code_stops_neither_rule_nor_step() {
    let mut snapshot = cluster();
    let check = |message: &str| CephHealthCheck {
        severity: HealthLevel::Warn,
        message: message.to_owned(),
        muted: false,
        accepted: false,
    };
    let checks = &mut ceph_mut(&mut snapshot).checks;
    checks.insert("OSD_SLOW_PING_TIME_BACK".to_owned(), check("slow heartbeats"));
    checks.insert("DAEMON_OLD_VERSION".to_owned(), check("an older version: what the run ends"));
    let look = |policy: &Policy| {
        let mut snapshot = snapshot.clone();
        accept_health(&mut snapshot, policy);
        run_all(&snapshot, policy, Asked::BeforeARun)
    };
    let strict = look(&Policy::default());
    let blocking: Vec<_> = strict.iter().filter(|finding| finding.severity == Severity::Blocking).collect();
    assert_eq!(blocking.len(), 2, "the check and the rule: {blocking:#?}");
    assert!(blocking.iter().all(|finding| finding.problem.contains("OSD_SLOW_PING_TIME_BACK")));
    assert!(blocking.iter().all(|finding| finding.remedy.contains("ceph health mute")));
    let by_code = |code: &str| Waiver {
        text: Some(code.to_owned()),
        ..parse_waiver("ceph-health=the switch was replaced").unwrap()
    };
    let waived = look(&Policy { waive: vec![by_code("OSD_SLOW_PING_TIME_BACK")], ..Policy::default() });
    assert!(waived.iter().all(|finding| finding.severity < Severity::Blocking), "{waived:#?}");
    let another = look(&Policy { waive: vec![by_code("MON_DOWN")], ..Policy::default() });
    assert!(another.iter().any(|finding| finding.severity == Severity::Blocking));
}

#[test]
fn what_safety_depends_on_is_never_waived_and_the_refusal_says_why() {
    for check in ["quorum-margin", "unknown-readings", "one-node-out", "login-text", "all-guests-visible"] {
        let why = parse_waiver(&format!("{check}=I know better")).unwrap_err();
        assert!(why.contains(&format!("{check} is never waived: ")), "{why}");
    }
    assert!(parse_waiver("other-mover=x").unwrap_err().contains("no check is called other-mover"));
    assert!(parse_waiver("other-movers:pve1= ").unwrap_err().contains("has no reason"));
    assert!(parse_waiver("other-movers").unwrap_err().contains("CHECK=REASON"));

    // One that got in by another way (a journal, an older configuration) has no effect either.
    let mut snapshot = cluster();
    snapshot.ha = Observed::unknown("ha-manager", "it hangs");
    let waiver = Waiver {
        check: "unknown-readings".to_owned(),
        subject: None,
        text: None,
        reason: "it always hangs".to_owned(),
    };
    let found = run_all(&snapshot, &Policy { waive: vec![waiver], ..Policy::default() }, Asked::BeforeARun);
    assert_eq!(of(&found, "unknown-readings")[0].severity, Severity::Blocking);
    assert!(of(&found, "waivers")[0].problem.contains("unknown-readings is never waived"), "{found:#?}");
}

#[test]
fn where_only_warnings_may_be_waived_the_blocking_ones_stay_and_that_is_reported() {
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve1").root_free_bytes = Known(1 << 30);
    node_mut(&mut snapshot, "pve2").root_free_bytes = Known(4 << 30);
    let found = run_all(&snapshot, &with(&["disk-space=there is always room"]), Asked::BeforeARun);
    let severities: Vec<Severity> = of(&found, "disk-space").iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Blocking, Severity::Waived]);
    let found = run_all(&snapshot, &with(&["disk-space:pve1=there is always room"]), Asked::BeforeARun);
    assert!(of(&found, "waivers")[0].problem.contains("stops half-way"), "{found:#?}");
}

#[test]
fn a_waiver_that_matches_nothing_is_reported() {
    let found = run_all(&moved_by_others(), &with(&["other-movers:pve7=gone by now"]), Asked::BeforeARun);
    assert_eq!(of(&found, "waivers")[0].problem, "the waiver other-movers:pve7 matches nothing that was found");
    assert_eq!(of(&found, "other-movers").len(), 2);
}
