//! The lab's own verbs: another process looks at a running lab, breaks it, reads its impact report and ends it.

use std::os::unix::fs::PermissionsExt;

use super::session::{Lab, Outcome, Session, begun, genuine, wait_for};

fn json(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {}{}", outcome.out, outcome.err))
}

#[test]
fn a_lab_is_looked_at_broken_and_ended_from_another_process() {
    let lab = Lab::start(600, "");
    let run = |arguments: &[&str]| lab.session.run(&[arguments, &["--dir", "."]].concat());

    run(&["lab", "status"]).expect(0, &["demo: quorate", "the impact report is clean", "pve2", "127.77.0.2:"]);
    let status = json(&run(&["lab", "status", "--json"]));
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3, "{status}");
    run(&["lab", "ledger"]).expect(0, &["The impact report is clean"]);
    let impact = json(&run(&["lab", "ledger", "--json"]));
    let counters = [
        "quorum_lost_s",
        "guests_lost",
        "guests_doubled",
        "unconsented_downtime_s",
        "fences",
        "ceph_bytes_rebalanced",
        "rules_broken",
        "backward_moves",
        "still_to_undo",
        "moves",
    ];
    for counter in counters {
        assert_eq!(impact[counter], 0, "{counter} in {impact}");
    }
    assert_eq!(impact["clean"], true);

    run(&["lab", "consent", "vm:116", "3600"]).expect(0, &[]);
    run(&["lab", "fault", "power-off", "pve2"]).expect(0, &[]);
    wait_for("the lab sees that pve2 is off", || {
        let outcome = run(&["lab", "status"]);
        if outcome.out.contains("pve2  off") { Ok(()) } else { Err(outcome.out) }
    });
    wait_for("the impact report counts the guests of pve2", || {
        let outcome = run(&["lab", "ledger"]);
        if outcome.code == 10 { Ok(()) } else { Err(outcome.out) }
    });

    let mode = std::fs::metadata(lab.session.dir.join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the control socket is for its owner");
    run(&["lab", "down"]).expect(10, &["The impact report is NOT clean", "without consent"]);
    assert!(!lab.session.dir.join("control.sock").exists(), "the socket is gone with the lab");
    run(&["lab", "down"]).expect(2, &["no lab answers at ./control.sock", "quorate-lab up"]);
}

#[test]
fn a_fault_that_makes_no_sense_is_refused_with_its_form() {
    let lab = Lab::start(60, "");
    let run = |arguments: &[&str]| lab.session.run(&[arguments, &["--dir", "."]].concat());
    run(&["lab", "fault", "boot-slow", "pve2"]).expect(2, &["boot-slow NODE SECONDS", "Nothing was changed"]);
    run(&["lab", "fault", "power-off", "pve9"]).expect(2, &["this cluster has no node pve9"]);
    run(&["lab", "fault", "frobnicate"]).expect(2, &["no fault is called", "quorate-lab fault list"]);
    run(&["lab", "fault", "clock-skew", "pve1", "-2500", "--at", "3600"]).expect(0, &[]);
    let session = Session::new();
    session.run(&["lab", "fault", "list"]).expect(0, &["power-off NODE", "the node loses power"]);
}

#[test]
fn one_directory_has_one_lab_and_the_socket_of_a_dead_lab_is_not_in_the_way() {
    let mut lab = Lab::start(60, "");
    let again = ["lab", "up", "--any-port", "--dir", "."];
    lab.session.run(&again).expect(2, &["a lab is already running", "quorate-lab down"]);
    lab.kill();
    assert!(lab.session.dir.join("control.sock").exists(), "a killed lab cannot clean up");
    lab.start_again();
    lab.session.run(&["lab", "down", "--dir", "."]).expect(0, &["The impact report is clean"]);
}

#[test]
fn a_lab_is_made_of_the_snapshot_of_another_and_plans_alike() {
    let lab = Lab::start(60, "");
    let session = &lab.session;
    session.run(&["export", "snapshot.json"]).expect(0, &["24 guests"]);
    let up = ["lab", "up", "--any-port", "--json", "--dir", "copy", "--from", "snapshot.json"];
    let mut copy = begun(session, &up);
    let inspected = session.run(&["inspect", "--config", "copy/quorate.toml"]);
    inspected.expect(0, &["vm:114", "winsrv", "9.1.1", "rule "]);
    session.run(&["lab", "down", "--dir", "copy"]).expect(0, &["The impact report is clean"]);
    assert!(copy.wait().unwrap().success(), "a lab that is asked to end ends well");
}

#[test]
fn what_a_snapshot_lacks_is_said_on_standard_error() {
    let session = Session::new();
    let file = genuine();
    let up = ["lab", "up", "--any-port", "--time-factor", "0", "--from", file.to_str().unwrap()];
    session.run(&up).expect(2, &["--time-factor"]);
    let started = session.run(&["lab", "up", "--dir", "/dev/null/lab", "--from", file.to_str().unwrap()]);
    started.expect(2, &["not in the snapshot: ", "pending updates are not known", "cannot be written"]);
}
