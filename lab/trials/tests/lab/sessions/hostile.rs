//! Names and answers that mean to reach the shell, the terminal or the page: through the built program and a lab.

use super::session::{ALL_CONSENTS, Lab, demo_policy, wait_for};

/// A shell would run it, a terminal would obey it, a browser would execute it.
const NAME: &str = "<script>alert(1)</script>\\u001b[2J$(reboot)`id`;\\u009b31m&'\\\"\\u202e";

/// Nothing in it but what is seen: no control character but the end of a line, none that hides or turns text.
fn demand_harmless(what: &str, text: &str) {
    let bad = |c: &char| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c);
    if let Some(c) = text.chars().find(bad) {
        let line = text.lines().find(|line| line.contains(c)).unwrap_or_default();
        panic!("{what} has {:?} in {line:?}", c);
    }
}

#[test]
fn hostile_names_tags_and_answers_reach_no_terminal_no_page_and_no_shell() {
    let guest = format!(
        "[[guest]]\nid = \"vm:901\"\nname = \"{NAME}\"\nnode = \"pve2\"\nmemory_mib = 512\nstorage = \"vms\"\n"
    );
    let lab = Lab::start(100, &guest);
    let session = &lab.session;
    session.set_policy(&demo_policy(&ALL_CONSENTS));

    for arguments in [
        &["inspect"][..],
        &["preflight", "--html", "page.html"],
        &["plan", "--commands"],
        &["recover"],
        &["inspect", "--json"],
        &["plan", "--json"],
    ] {
        let outcome = session.run(arguments);
        demand_harmless(&arguments.join(" "), &format!("{}{}", outcome.out, outcome.err));
    }
    let inspected = session.run(&["inspect"]);
    assert!(
        inspected.out.contains("<script>alert(1)</script>\\x1b[2J"),
        "it is shown, and harmless: {}",
        inspected.out
    );
    let page = session.read("page.html");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "the page has it as text");

    // A node that answers with the same, while a run is under way: in the journal, the log and the status.
    let mut driver = session.start(&["run", "--yes", "--foreground"]);
    let mut shown = driver.stdout.take().unwrap();
    let heard = std::thread::spawn(move || {
        let mut all = String::new();
        std::io::Read::read_to_string(&mut shown, &mut all).map(|_| all)
    });
    wait_for("guests move", || {
        let log = session.run(&["log"]).out;
        if log.contains("start   migrate vm:901") { Ok(()) } else { Err(log) }
    });
    let answer = "no <script>alert(2)</script> \x1b[31m$(reboot)\r\nfake line";
    for node in ["pve1", "pve2", "pve3"] {
        session.run(&["lab", "fault", "api-error", node, answer, "--dir", "."]).expect(0, &[]);
    }
    wait_for("the answer is in the journal", || {
        let log = session.run(&["log"]).out;
        if log.contains("alert(2)") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    for arguments in [&["log"][..], &["status"], &["report"], &["log", "--json"], &["status", "--json"]] {
        let outcome = session.run(arguments);
        demand_harmless(&arguments.join(" "), &format!("{}{}", outcome.out, outcome.err));
    }
    driver.kill().unwrap();
    driver.wait().unwrap();
    demand_harmless("what the driver printed", &heard.join().unwrap().unwrap());
}
