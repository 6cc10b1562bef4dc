//! Secrets that are planted everywhere a program could pick one up, and looked for in everything it writes; and a disk
//! that is full in the middle of a run.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use quorate_world::cluster_file::DEMO;

use super::session::{Lab, PROGRAMS, Session, wait_for};

const FACTOR: u32 = 100;

const POLICY: &str = r#"
[policy]
consents = ["restart-containers", "shutdown-guests", "eject-media"]
downtime-margin-percent = 100000

[policy.guests]
"vm:114" = "eject"
"vm:116" = "shutdown"
"#;

/// In the environment of every command.
const PASSWORD: &str = "planted-in-the-environment-91c4";

fn demo_lab() -> Lab {
    let lab = Lab::start(FACTOR, "");
    lab.session.set_policy(POLICY);
    lab
}

/// The token's secret, as the configuration has it.
fn secret(session: &Session) -> String {
    let config = session.read("quorate.toml");
    let (_, rest) = config.split_once("token-secret = \"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Everything that lies in the session's directory, but for what the lab and the operator put there.
fn written(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_file());
    let named = files.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let ours = named.filter(|(name, _)| !["quorate.toml", "id_lab", "cluster.toml"].contains(&name.as_str()));
    ours.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Everything that the driver prints, until it ends: one that nobody listens to stands still once the pipe is full.
fn heard(driver: &mut Child) -> JoinHandle<Vec<u8>> {
    let mut shown = driver.stdout.take().unwrap();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut shown, &mut all).unwrap();
        all
    })
}

#[test]
fn a_secret_in_the_configuration_the_answers_or_the_environment_is_in_nothing_that_is_written_or_shown() {
    let lab = demo_lab();
    let session = &lab.session;
    let secret = secret(session);
    let mut driver = session.start(&["run", "--yes", "--foreground", "--json", "-vvv", "--log-file", "trace.log"]);
    let heard = heard(&mut driver);
    wait_for("guests move", || {
        let log = session.run(&["log"]).out;
        if log.contains("start   migrate") { Ok(()) } else { Err(log) }
    });
    // Every node answers with the token itself, for as long as it takes until an answer is written down.
    let echo = format!("permission denied for PVEAPIToken=root@pam!lab={secret}");
    for node in ["pve1", "pve2", "pve3"] {
        session.run(&["lab", "fault", "api-error", node, &echo, "--dir", "."]).expect(0, &[]);
    }
    wait_for("the echo is in the journal", || {
        let log = session.run(&["log"]).out;
        if log.contains("(secret)") || holds(log.as_bytes(), &secret) { Ok(()) } else { Err("not yet".to_owned()) }
    });
    let mut all = vec![("what the driver printed".to_owned(), {
        driver.kill().unwrap();
        driver.wait().unwrap();
        heard.join().unwrap()
    })];
    for node in ["pve1", "pve2", "pve3"] {
        session.run(&["lab", "fault", "api-error", node, "none", "--dir", "."]).expect(0, &[]);
    }
    session.run(&["export", "snapshot.json"]);
    session.run(&["preflight", "--html", "page.html"]);
    for arguments in [
        &["log"][..],
        &["log", "--json"],
        &["status", "--json"],
        &["report", "--json"],
        &["inspect", "--json"],
        &["recover", "--json"],
        &["plan", "--json", "--commands"],
    ] {
        let outcome = session.run(arguments);
        all.push((arguments.join(" "), format!("{}{}", outcome.out, outcome.err).into_bytes()));
    }
    let files = written(&session.dir);
    for name in files.keys() {
        let mode = std::fs::metadata(session.dir.join(name)).unwrap().permissions().mode() & 0o777;
        let ours = name.contains("journal")
            || name.ends_with(".db")
            || name == "snapshot.json"
            || name == "page.html"
            || name == "trace.log";
        assert!(!ours || mode == 0o600, "{name} has mode {mode:o}");
    }
    assert!(files.contains_key("snapshot.json") && files.contains_key("page.html"), "{:?}", files.keys());
    // The search covers the places where it could be: calls, commands, and what the libraries log.
    for told in ["API call answered", "command ended", "rustls::", "russh::"] {
        assert!(holds(&files["trace.log"], told), "{told} is not in the log");
    }
    all.extend(files);
    for (what, bytes) in &all {
        assert!(!holds(bytes, &secret), "the token's secret is in {what}");
        assert!(!holds(bytes, PASSWORD), "a variable of the environment is in {what}");
    }
}

/// A token's secret that stands, as nothing but a name, in what programs on the nodes print.
const LEAKED: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// The same: for a URL, and in base64 with nothing, one and two letters before it.
const FORMS: [&str; 5] = [
    LEAKED,
    "7c9e6679%2D7425%2d40de-944b-e07fc1f90ae7",
    "N2M5ZTY2NzktNzQyNS00MGRlLTk0NGItZTA3ZmMxZjkwYWU3",
    "eDdjOWU2Njc5LTc0MjUtNDBkZS05NDRiLWUwN2ZjMWY5MGFlNw",
    "eHg3YzllNjY3OS03NDI1LTQwZGUtOTQ0Yi1lMDdmYzFmOTBhZTc",
];

/// The demo with a package of each of these names, all of which are upgraded; the last one fails.
fn leaking_cluster() -> String {
    let packages = |table: &str, version: u8| {
        FORMS.iter().fold(format!("[{table}]\n"), |lines, form| format!("{lines}'zz-{form}' = '{version}'\n"))
    };
    let demo = DEMO.replace("[installed]\n", &packages("installed", 1)).replace("[archive]\n", &packages("archive", 2));
    let token = format!("[[token]]\nname = 'root@pam!leak'\nsecret = '{LEAKED}'\nrole = 'Administrator'\n");
    let fault = format!("[[fault]]\nfault = 'apt-fail'\nnode = 'pve1'\npackage = 'zz-{}'\ntimes = 9\n", FORMS[4]);
    format!("{demo}\n{token}{fault}")
}

#[test]
fn a_secret_in_the_output_of_a_package_is_in_no_form_in_journal_log_or_export() {
    let lab = Lab::of(FACTOR, &leaking_cluster());
    let session = &lab.session;
    let config = session.read("quorate.toml");
    let (before, _) = config.split_once("\n[policy]").unwrap_or((&config, ""));
    let own = secret(session);
    let id = before.split_once("token-id = \"").unwrap().1.split('"').next().unwrap();
    let mine = before.replace(id, "root@pam!leak").replace(&own, LEAKED);
    session.write("quorate.toml", &format!("{mine}{POLICY}"));
    let mut driver = session.start(&["run", "--yes", "--foreground", "--json", "-vvv", "--log-file", "trace.log"]);
    let heard = heard(&mut driver);
    let log = wait_for("the package fails", || {
        let log = session.run(&["log"]).out;
        if log.contains("dpkg: error processing package") { Ok(log) } else { Err(log) }
    });
    driver.kill().unwrap();
    driver.wait().unwrap();
    let shown = heard.join().unwrap();
    // In base64, a few letters before it are shared with what stands there.
    assert!(log.contains("error processing package zz-eHg(secret)"), "{log}");
    session.run(&["export", "snapshot.json", "-vvv", "--log-file", "trace.log"]).expect(0, &[]);
    let mut files = written(&session.dir);
    assert!(holds(&files["snapshot.json"], "zz-(secret)"), "it was there to be seen");
    files.insert("what the driver printed".to_owned(), shown);
    for (name, bytes) in &files {
        // In base64, a few letters at each end are shared with what stands beside the secret.
        for form in FORMS.map(|form| &form[3..form.len() - 3]) {
            assert!(!holds(bytes, form), "{form} is in {name}");
        }
    }
}

/// `ulimit -f` makes every write beyond so many blocks fail, as a full disk does.
#[test]
fn a_full_disk_ends_the_driver_before_anything_that_is_not_written_down_and_resume_completes() {
    let lab = demo_lab();
    let session = &lab.session;
    let script = format!("trap '' XFSZ; ulimit -f 700; exec {PROGRAMS} quorate run --yes --foreground --json");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(&session.dir).env("USER", "anna");
    let full = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    let err = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(9), "{err}");
    assert!(err.contains("journal") && err.contains("Make room"), "{err}");

    // What was sent is what is written: no guest moves and no node goes down that the journal does not know of.
    let log = session.run(&["log"]).out;
    let begun = |verb: &str| log.matches(&format!("start   {verb}")).count() as u64;
    let impact = || -> serde_json::Value {
        serde_json::from_str(&session.run(&["lab", "ledger", "--json", "--dir", "."]).out).unwrap()
    };
    let harmless = |impact: &serde_json::Value| {
        ["guests_doubled", "fences", "rules_broken", "quorum_lost_s"].iter().all(|count| impact[*count] == 0)
    };
    // A container on its way is down at this moment, and starts by itself where it arrives.
    let then = impact();
    assert!(then["moves"].as_u64().unwrap() <= begun("migrate") && harmless(&then), "{then}\n{log}");
    session.run(&["log", "--verify"]).expect(0, &[]);

    session.run(&["resume"]).expect(0, &["completed"]);
    let end = impact();
    let done = end["nodes_upgraded"] == 3 && end["still_to_undo"] == 0 && end["guests_lost"] == 0;
    assert!(done && harmless(&end), "{end}");
}
