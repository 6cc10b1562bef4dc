//! The built program is killed with `kill -9` fifty times in one run, at moments that have nothing to do with its
//! steps.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

use super::session::{Lab, Session};
use serde_json::Value;

/// Fast, and yet slow enough that a busy machine is not taken for a broken cluster.
const FACTOR: u32 = 100;

const KILLS: u64 = 50;

/// Reads so many lines of what the driver says; fewer if it ends before.
fn hear(driver: &mut Child, lines: u64) -> u64 {
    let out = driver.stdout.as_mut().expect("its output is piped");
    let mut heard = 0;
    let mut reader = BufReader::with_capacity(1, out);
    let mut line = String::new();
    while heard < lines && reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        heard += 1;
        line.clear();
    }
    heard
}

/// Drives until so many lines were heard and so much time has passed after the last, then kills; true if the run was
/// still going on.
fn drive_and_kill(session: &Session, verb: &str, lines: u64, then: Duration) -> bool {
    let mut arguments = vec![verb, "--foreground", "--json"];
    arguments.extend((verb == "run").then_some("--yes"));
    let mut driver = session.start(&arguments);
    let heard = hear(&mut driver, lines);
    std::thread::sleep(then);
    let alive = driver.try_wait().unwrap().is_none();
    driver.kill().unwrap();
    driver.wait().unwrap();
    alive && heard == lines
}

#[test]
fn killed_fifty_times_with_kill_9_a_run_ends_whole_and_moves_nothing_twice() {
    let lab = Lab::start(FACTOR, "");
    let session = &lab.session;
    // A container that was moving counts as down until a driver has seen it run: fifty dead drivers make that long.
    let policy = "\n[policy]\nconsents = [\"restart-containers\", \"shutdown-guests\", \"eject-media\"]\n\
                  downtime-margin-percent = 100000\n\
                  [policy.guests]\n\"vm:114\" = \"eject\"\n\"vm:116\" = \"shutdown\"\n";
    session.set_policy(policy);
    let mut verb = "run";
    for kill in 0..KILLS {
        // After one to four lines of what it says, and a moment that is a little later or earlier each time; the first
        // time once its plan is in the journal, so that there is a promise to compare it with.
        let lines = if kill == 0 { 4 } else { 1 + kill % 4 };
        let then = Duration::from_millis(kill * 37 % 180);
        assert!(drive_and_kill(session, verb, lines, then), "kill {kill}: the run was over already");
        verb = "resume";
    }
    let outcome = session.run(&["resume"]);
    assert_eq!(outcome.code, 0, "{}{}", outcome.out, outcome.err);
    let json: Value = serde_json::from_str(&session.run(&["report", "--json"]).out).unwrap();
    assert_eq!(json["reboots"], 3);
    assert_eq!(json["moves"], json["promised"]["moves"]);
    session.run(&["report"]).expect(0, &["completed: every node is done", "Nothing is left to undo"]);
    session
        .run(&["log", "--verify"])
        .expect(0, &["events, each unchanged since it was written", "in the original order"]);
    session.run(&["inspect"]).expect(0, &["flags: none"]);
}
