//! A run at a real terminal: the page and the word before it, ctrl-C and each of its answers, a terminal that is closed.
//!
//! `script` gives the program a terminal of its own, and passes on what is typed.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::session::{
    ALL_CONSENTS, Lab, PROGRAMS, Session, demo_policy, status, wait_for, wait_for_phase, wait_for_step,
};

/// Slow enough that a step can be met, and fast enough that a run takes seconds.
const FACTOR: u32 = 60;

/// The cluster's name in the demo.
const NAME: &str = "demo";

const CTRL_C: &str = "\x03";

/// The program at a terminal.
struct Terminal {
    child: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// One that nothing can be drawn on: lines, and a menu in lines.
    fn start(session: &Session, arguments: &str) -> Self {
        Self::of("dumb", session, arguments)
    }

    fn of(term: &str, session: &Session, arguments: &str) -> Self {
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command"])
            .arg(format!("stty cols 80 rows 24; exec {PROGRAMS} quorate {arguments}"))
            .arg("/dev/null")
            .current_dir(&session.dir)
            .env("USER", "anna")
            .env("TERM", term)
            .env_remove("SUDO_USER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` is there (Debian: bsdutils)");
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut out, all) = (child.stdout.take().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut out, &mut bytes) {
                all.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, shown }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn until(&self, words: &str) {
        wait_for(words, || if self.shown().contains(words) { Ok(()) } else { Err(self.shown()) });
    }

    fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        self.child.stdin.as_mut().unwrap().flush().unwrap();
    }

    fn exit_code(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo_lab(consents: &[&str]) -> Lab {
    let lab = Lab::start(FACTOR, "");
    lab.session.set_policy(&demo_policy(consents));
    lab
}

/// What a run would change.
fn cluster(session: &Session) -> Value {
    let seen: Value = serde_json::from_str(&session.run(&["inspect", "--json"]).out).unwrap();
    let places: Vec<Value> = seen["guests"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, guest)| serde_json::json!([id, guest["node"], guest["status"], guest["lock"]]))
        .collect();
    serde_json::json!([places, seen["ha"]["known"]["maintenance_requested"], seen["ceph"]["known"]["flags"]])
}

#[test]
fn where_nobody_can_be_asked_nothing_begins() {
    let lab = demo_lab(&ALL_CONSENTS);
    lab.session.run(&["run"]).expect(4, &["nobody is here to be asked", "quorate run --yes", "Nothing was started"]);
    lab.session.run(&["status"]).expect(9, &["no run was ever started"]);
}

#[test]
fn a_page_is_shown_the_missing_consent_is_asked_for_and_nothing_changes_before_the_word() {
    let lab = demo_lab(&["shutdown-guests", "eject-media"]);
    let session = &lab.session;
    let before = cluster(session);
    let mut terminal = Terminal::start(session, "run --soak 1s");
    terminal.until("This plan needs your consent (restart-containers):");
    for words in ["3 nodes", "upgrade   PVE 9.1.1 → 9.1.4", "order", "the minimum", "DOWN", "fullest", "NOT GIVEN"] {
        assert!(terminal.shown().contains(words), "{words} is not on the page:\n{}", terminal.shown());
    }
    terminal.types("y\n");
    terminal.until("Type the cluster's name to begin");
    terminal.types("p\n");
    terminal.until("pve-manager 9.1.1 → 9.1.4");
    terminal.types("not-its-name\n");
    wait_for("the page again", || {
        let times = terminal.shown().matches("the minimum").count();
        if times >= 2 { Ok(()) } else { Err(terminal.shown()) }
    });
    assert_eq!(cluster(session), before, "nothing changes before the word");
    let begun = session.run(&["log", "--json"]).out;
    assert!(!begun.contains("step-started"), "{begun}");
    terminal.types(&format!("{NAME}\n"));
    wait_for_step(session, "migrate");
    session.run(&["log"]).expect(0, &["anna@", "consents to restart-containers"]);
    session.run(&["abort"]).expect(0, &[]);
    assert_eq!(terminal.exit_code(), 11);
}

#[test]
fn a_question_that_is_left_starts_nothing_and_the_next_run_may_begin() {
    let lab = demo_lab(&ALL_CONSENTS);
    let mut terminal = Terminal::start(&lab.session, "run");
    terminal.until("Type the cluster's name to begin");
    terminal.types(CTRL_C);
    terminal.until("Nothing was started");
    assert_eq!(terminal.exit_code(), 11);
    lab.session.run(&["status"]).expect(0, &["ended before it began"]);
    let mut terminal = Terminal::start(&lab.session, "run");
    terminal.until("Type the cluster's name to begin");
    terminal.types("n\n");
    assert_eq!(terminal.exit_code(), 11);

    // Before there is anything to ask.
    let mut terminal = Terminal::start(&lab.session, "run");
    wait_for("the run is in the journal", || {
        let runs = lab.session.run(&["runs"]).out;
        if runs.contains("not finished") { Ok(()) } else { Err(runs) }
    });
    terminal.types(CTRL_C);
    assert_eq!(terminal.exit_code(), 11);
    // A terminal that is closed gives no word.
    let terminal = Terminal::start(&lab.session, "run");
    terminal.until("Type the cluster's name to begin");
    drop(terminal);
    wait_for_phase(&lab.session, "nothingdone");
    let log = lab.session.run(&["log", "--json"]).out;
    assert!(!log.contains("plan-adopted") && !log.contains("step-started"), "{log}");
}

#[test]
fn a_terminal_that_is_closed_ends_nothing_and_the_run_is_completed() {
    let lab = demo_lab(&ALL_CONSENTS);
    let mut terminal = Terminal::start(&lab.session, "run");
    terminal.until("Type the cluster's name to begin");
    terminal.types(&format!("{NAME}\n"));
    wait_for_step(&lab.session, "migrate");
    // The terminal goes with it, and all its processes are told by SIGHUP.
    drop(terminal);
    wait_for_phase(&lab.session, "completed");
    let report: Value = serde_json::from_str(&lab.session.run(&["report", "--json"]).out).unwrap();
    assert_eq!(report["moves"], report["promised"]["moves"]);
}

#[test]
fn ctrl_c_asks_and_each_answer_does_what_it_says() {
    let lab = demo_lab(&ALL_CONSENTS);
    let session = &lab.session;
    let mut terminal = Terminal::start(session, "run --yes");
    wait_for_step(session, "migrate");
    terminal.types(CTRL_C);
    terminal.until("1  continue in the background");
    assert!(terminal.shown().contains("is the current node"), "{}", terminal.shown());
    terminal.types("1\n");
    terminal.until("continues in the background");
    assert_eq!(terminal.exit_code(), 0);
    assert_eq!(status(session).unwrap()["phase"], "running");

    // It works on, and is told from elsewhere; between two nodes nothing is out.
    session.run(&["pause"]).expect(0, &["it pauses when pve", "is done"]);
    wait_for_phase(session, "paused");
    let paused = session.run(&["status"]);
    paused.expect(0, &["has not been touched", "no node is out", "Not done yet"]);
    session.run(&["inspect"]).expect(0, &["flags: none"]);
    session.run(&["resume"]).expect(0, &["it continues"]);
    wait_for_phase(session, "running");
    session.run(&["abort"]).expect(0, &[]);
    wait_for_phase(session, "aborted");
}

#[test]
fn ctrl_c_twice_stops_the_driver_and_says_what_is_not_as_it_was() {
    let lab = demo_lab(&ALL_CONSENTS);
    let session = &lab.session;
    let mut terminal = Terminal::start(session, "run --yes");
    wait_for_step(session, "upgrade-packages");
    terminal.types(CTRL_C);
    terminal.until("1  continue in the background");
    terminal.types(CTRL_C);
    terminal.until("`quorate resume` continues it");
    for words in ["STOPPED", "still to undo", "is the current node: it is not finished"] {
        assert!(terminal.shown().contains(words), "{words} is missing in\n{}", terminal.shown());
    }
    assert_eq!(terminal.exit_code(), 13);
    session.run(&["status"]).expect(0, &["no process works on this run"]);

    // Taken up at another terminal: undone from there.
    let mut terminal = Terminal::start(session, "resume");
    wait_for("somebody works on it", || {
        let works = &status(session)?["driving"]["works"];
        if *works == true { Ok(()) } else { Err(works.to_string()) }
    });
    terminal.types(CTRL_C);
    terminal.until("3  undo and stop");
    terminal.types("3\n");
    wait_for_phase(session, "aborted");
    session.run(&["inspect"]).expect(0, &["flags: none", "vm:116  telephony"]);
}

#[test]
fn where_it_can_be_drawn_the_picture_is_shown_and_ctrl_c_is_one_of_its_keys() {
    let lab = demo_lab(&ALL_CONSENTS);
    let session = &lab.session;
    let mut terminal = Terminal::of("xterm", session, "run --yes");
    wait_for_step(session, "migrate");
    terminal.until("p pause after this node");
    terminal.types(CTRL_C);
    terminal.until("then pause");
    terminal.types("2");
    wait_for_phase(session, "paused");
    session.run(&["status"]).expect(0, &["has not been touched", "anna@"]);
    terminal.types("d");
    terminal.until("continues in the background");
    assert_eq!(terminal.exit_code(), 0);
    session.run(&["abort"]).expect(0, &[]);
    wait_for_phase(session, "aborted");
}

#[test]
fn a_run_until_a_time_begins_no_node_that_would_not_be_done_by_then() {
    let lab = demo_lab(&ALL_CONSENTS);
    let past = "--until 2020-01-01T00:00:00Z";
    let mut terminal = Terminal::start(&lab.session, &format!("run --yes {past}"));
    wait_for_phase(&lab.session, "paused");
    lab.session.run(&["status"]).expect(0, &["0 min are left (--until)", "Not done yet: pve"]);
    assert!(!lab.session.run(&["log"]).out.contains("start   migrate"));
    terminal.types(CTRL_C);
    terminal.until("3  undo and stop");
    std::thread::sleep(Duration::from_millis(200));
    terminal.types("3\n");
    wait_for_phase(&lab.session, "aborted");
}
