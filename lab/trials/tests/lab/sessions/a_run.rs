//! A run with every request that can be made from another terminal, through the built program and real sockets.

use std::process::Child;

use super::session::{Lab, Session, demo_policy, wait_for, wait_for_phase, wait_for_step};
use serde_json::Value;

/// Fast, and yet slow enough that a busy machine is not taken for a broken cluster.
const FACTOR: u32 = 100;

/// A driver's process; killed if the test fails before it ends.
struct Driving(Child);

impl Driving {
    fn kill_9(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn exit_code(mut self) -> i32 {
        self.0.stdout.take();
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn drive(session: &Session, verb: &str) -> Driving {
    let mut arguments = vec![verb, "--foreground", "--json"];
    arguments.extend((verb == "run").then_some("--yes"));
    let mut child = session.start(&arguments);
    let mut out = child.stdout.take().unwrap();
    // What it prints has to be read, or it would wait for ever.
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    Driving(child)
}

fn demo_lab() -> Lab {
    let lab = Lab::start(FACTOR, "");
    lab.session.set_policy(&demo_policy(&["restart-containers"]));
    lab
}

#[test]
fn without_the_consents_that_the_plan_asks_for_nothing_is_begun() {
    let lab = demo_lab();
    lab.session
        .run(&["run", "--yes"])
        .expect(4, &["needs your consent to", "\"shutdown-guests\"", "Nothing was started"]);
    lab.session.run(&["status"]).expect(0, &["ended before it began"]);
}

#[test]
fn a_run_that_is_paused_resumed_and_killed_three_times_ends_whole_and_moves_nothing_twice() {
    let lab = demo_lab();
    let session = &lab.session;
    session.change_config("[\"restart-containers\"]", "[\"restart-containers\", \"shutdown-guests\", \"eject-media\"]");
    let driving = drive(session, "run");
    wait_for_step(session, "migrate");
    session.run(&["pause", "--now"]).expect(0, &["Sent to anna@", "it pauses now"]);
    wait_for_phase(session, "paused");
    session.run(&["status"]).expect(0, &["PAUSED", "by the operator"]);
    session.run(&["run", "--yes"]).expect(8, &["has not ended"]);
    session.run(&["approve"]).expect(2, &["needs no consent beyond those given"]);
    session.run(&["approve", "eject-media"]).expect(0, &["consent to eject-media"]);
    wait_for("the approval", || {
        let log = session.run(&["log", "--last", "5"]).out;
        if log.contains("anna@") && log.contains("consents to eject-media") { Ok(()) } else { Err(log) }
    });
    session.run(&["resume"]).expect(0, &["it continues"]);
    wait_for_phase(session, "running");
    driving.kill_9();
    let noted = ["Noted in the journal", "nobody works on it; anna@", "its last sign of life was", "`quorate resume`"];
    session.run(&["pause"]).expect(0, &noted);

    let driving = drive(session, "resume");
    wait_for_step(session, "upgrade-packages");
    driving.kill_9();
    let driving = drive(session, "resume");
    wait_for_step(session, "reboot");
    driving.kill_9();
    session
        .run(&["status"])
        .expect(0, &["no process works on this run. `quorate resume` continues it", "still to undo"]);
    assert_eq!(drive(session, "resume").exit_code(), 0);

    session.run(&["resume"]).expect(8, &["has ended: completed"]);
    let report = session.run(&["report"]);
    report.expect(0, &["completed: every node is done", "Nothing is left to undo", "by the operator"]);
    let json: Value = serde_json::from_str(&session.run(&["report", "--json"]).out).unwrap();
    assert_eq!(json["reboots"], 3);
    assert_eq!(json["moves"], json["promised"]["moves"]);
    assert_eq!(json["downtimes"].as_object().unwrap().len(), 6);
    session.run(&["log"]).expect(0, &["start   reboot pve1", "run by anna@", "systemd-run --unit=quorate-upgrade-"]);
    session.run(&["inspect"]).expect(0, &["flags: none"]);
}

#[test]
fn a_run_follows_exactly_the_plan_that_was_agreed_to_or_begins_nothing() {
    let lab = demo_lab();
    let session = &lab.session;
    session.change_config("[\"restart-containers\"]", "[\"restart-containers\", \"shutdown-guests\", \"eject-media\"]");
    session.run(&["plan", "--out", "plan.json"]).expect(0, &["Plan "]);
    let plan: Value = serde_json::from_str(&session.read("plan.json")).unwrap();
    let id = plan["id"].as_str().unwrap();

    let config = session.read("quorate.toml");
    session.change_config("[policy]", "[policy]\nlast = [\"pve2\"]");
    let other = session.run(&["run", "--yes", "--plan", "plan.json"]);
    other.expect(4, &["the plan is not the one that was agreed to", "not any more: migrate", "new: migrate"]);
    session.run(&["run", "--yes", "--plan", &id[..12]]).expect(4, &["the plan of now is"]);
    session.run(&["log"]).expect(0, &["ended before it began"]);

    session.write("quorate.toml", &config);
    let arguments = ["run", "--yes", "--foreground", "--json", "--plan", &id[..12]];
    let mut child = session.start(&arguments);
    let mut out = child.stdout.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    let driving = Driving(child);
    wait_for_step(session, "migrate");
    session.run(&["abort"]).expect(0, &[]);
    assert_eq!(driving.exit_code(), 11);
}

#[test]
fn a_waiver_is_shown_before_the_run_and_its_reason_is_in_the_journal_and_in_the_report() {
    let lab = demo_lab();
    let session = &lab.session;
    session.change_config("[\"restart-containers\"]", "[\"restart-containers\", \"shutdown-guests\", \"eject-media\"]");
    // Too little for comfort, enough for an upgrade: a warning.
    session.run(&["lab", "fault", "--dir", ".", "disk-full", "pve1", "4294967296"]).expect(0, &[]);
    session.run(&["preflight"]).expect(0, &["WARNING", "/ on pve1 has 4.0 GiB free", "disk-space → "]);
    let waiver =
        "[[policy.waive]]\ncheck = \"disk-space\"\nsubject = \"pve1\"\nreason = \"an image is copied there\"\n";
    let config = session.read("quorate.toml");
    session.write("quorate.toml", &format!("{config}\n{waiver}"));
    let told = session.run(&["preflight", "--html", "page.html"]);
    told.expect(
        0,
        &["1 waived", "WAIVED: you accept these as they are", "disk-space, waived: an image is copied there"],
    );
    assert!(!told.out.contains("disk-space → "), "{}", told.out);
    assert!(session.read("page.html").contains("an image is copied there"));

    // The same on the command line, by the user who types it.
    session.write("quorate.toml", &config);
    session
        .run(&["run", "--yes", "--waive", "quorum-margin=I feel lucky"])
        .expect(2, &["quorum-margin is never waived"]);
    let mut driving =
        session.start(&["run", "--yes", "--foreground", "--json", "--waive", "disk-space:pve1=the copy ends at noon"]);
    let mut out = driving.stdout.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    let driving = Driving(driving);
    wait_for_step(session, "migrate");
    let line = "waives disk-space:pve1: the copy ends at noon";
    session.run(&["log"]).expect(0, &["anna@", line, "/ on pve1 has 4.0 GiB free"]);
    session
        .run(&["report"])
        .expect(0, &["Findings that were waived:", "waived disk-space:pve1: the copy ends at noon"]);
    session.run(&["abort"]).expect(0, &[]);
    assert_eq!(driving.exit_code(), 11);
}

/// Another process was told all of it: what the driver saw, each event from then on, and the end.
fn watched_to_its_end(watching: Child) {
    let told = watching.wait_with_output().unwrap();
    assert_eq!(told.status.code(), Some(0));
    let told = String::from_utf8(told.stdout).unwrap();
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, last) = (&lines[0], lines.last().unwrap());
    assert_eq!((&first["kind"], &first["node"], &first["of-nodes"]), (&"progress".into(), &1.into(), &3.into()));
    assert!(first["nodes"][0]["memory-percent"].is_u64(), "{first}");
    assert!(first["down"].as_array().is_some_and(|down| !down.is_empty()), "vm:116 is shut down: {first}");
    assert!(lines.iter().any(|line| line["what"]["event"] == "abort-begun"), "{told}");
    assert_eq!((&last["kind"], &last["phase"]), (&"progress".into(), &"aborted".into()));
}

#[test]
fn an_abort_undoes_what_the_run_changed_and_ends() {
    let lab = demo_lab();
    let session = &lab.session;
    session.change_config("[\"restart-containers\"]", "[\"restart-containers\", \"shutdown-guests\", \"eject-media\"]");
    let driving = drive(session, "run");
    wait_for_step(session, "upgrade-packages");
    let watching = session.start(&["attach", "--json"]);
    session.run(&["abort"]).expect(0, &["undoes what is left to undo"]);
    assert_eq!(driving.exit_code(), 11);
    watched_to_its_end(watching);
    session.run(&["status", "--watch"]).expect(0, &["  --  aborted, node 1/3"]);
    session.run(&["report"]).expect(0, &["aborted", "Nothing is left to undo"]);
    session.run(&["inspect"]).expect(0, &["flags: none", "vm:116  telephony        pve2  running"]);
}
