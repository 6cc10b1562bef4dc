//! Bad input gives one clear message with its remedy and a documented exit code, and changes nothing.

use super::session::{Lab, Session, genuine, wait_for};
use quorate_journal::{Holder, Journal, Mode};
use quorate_world::cluster_file::DEMO;

/// The lab's time passes slowly here: nothing waits for it.
const FACTOR: u32 = 10;

#[test]
fn a_mistake_in_the_configuration_is_reported_with_file_line_column_and_the_line() {
    let session = Session::new();
    session.write("quorate.toml", "[cluster]\nnodes = []\n[auth]\ntoken-id = \"root@pam!q\"\ntoken-sekret = \"x\"\n");
    let outcome = session.run(&["inspect"]);
    outcome.expect(2, &["quorate.toml:5:1: unknown field `token-sekret`", "5 | token-sekret = \"x\"", "^^^^^^^^^^^^"]);
    outcome.expect(2, &["what it means: Nothing was changed", "what to do:    Correct the file"]);
    assert_eq!(outcome.out, "");
    session.run(&["inspect", "--config", "none.toml"]).expect(2, &["none.toml: cannot be read", "--config FILE"]);
}

#[test]
fn with_json_an_error_is_also_an_object_on_standard_output() {
    let outcome = Session::new().run(&["status", "--json", "--journal", "none.db"]);
    let value: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((outcome.code, &value["kind"], &value["exit"]), (9, &"error".into(), &9.into()));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let session = Session::new();
    session.run(&["frobnicate"]).expect(2, &["unrecognized subcommand 'frobnicate'"]);
    session.run(&["plan", "--refresh", "--from", "x"]).expect(2, &["cannot be used with"]);
    let help = session.run(&["--help"]);
    let verbs = [
        "inspect",
        "export",
        "preflight",
        "plan",
        "run",
        "status",
        "pause",
        "approve",
        "abort",
        "resume",
        "log",
        "report",
        "explain",
    ];
    help.expect(0, &verbs);
    session.run(&["lab", "--help"]).expect(0, &["demo", "up", "status", "fault", "ledger", "consent", "down"]);
    session.run(&["explain", "exit-codes"]).expect(0, &["  8  Another process works on"]);
    session.run(&["explain", "wait-empty"]).expect(0, &["wait-empty (step)"]);
    session.run(&["explain", "quorum-margin"]).expect(0, &["quorum-margin (invariant)", "pvecm qdevice setup"]);
    session
        .run(&["explain", "disk-space/root-full"])
        .expect(0, &["(check)", "apt-get clean", "Only its warnings can be waived"]);
    session.run(&["explain", "plan-immovable"]).expect(0, &["(reason for no plan)", "[policy.guests]"]);
    session.run(&["explain", "nothing"]).expect(2, &["there is no check, rule or step called nothing", "wait-empty"]);
}

#[test]
fn a_host_that_does_not_match_its_pin_is_not_talked_to() {
    let lab = Lab::start(FACTOR, "");
    let config = lab.session.read("quorate.toml");
    let pinned = between(&config, "fingerprint = \"", "\"").to_owned();
    let wrong = "AA:".repeat(31) + "AA";
    lab.session.change_config(&pinned, &wrong);
    let outcome = lab.session.run(&["inspect"]);
    outcome.expect(5, &["pve1 shows the certificate", &pinned, &wrong, "openssl x509", "Nothing was changed"]);

    lab.session.write("quorate.toml", &config);
    let known = between(&config, "host-key = \"", "\"").to_owned();
    let wrong = format!("SHA256:{}", "A".repeat(43));
    lab.session.change_config(&known, &wrong);
    lab.session.run(&["inspect"]).expect(5, &["pve1 shows the host key", &known, &wrong, "ssh-keygen -lf"]);
}

#[test]
fn with_v_a_wrong_pin_is_seen_in_the_handshake_with_what_is_expected() {
    let lab = Lab::start(FACTOR, "");
    let session = &lab.session;
    let config = session.read("quorate.toml");
    let pinned = between(&config, "fingerprint = \"", "\"");
    let wrong = "AA:".repeat(31) + "AA";
    session.change_config(pinned, &wrong);
    let handshake = format!("node=pve1 expected=\"{wrong}\" seen=\"{pinned}\"");
    let told = session.run(&["-v", "inspect"]);
    assert!(told.err.contains("connecting to the API node=pve1 address=\"127."), "{}", told.err);
    assert!(told.err.contains(&handshake), "{}", told.err);
    assert!(!session.run(&["inspect"]).err.contains(&handshake), "without -v nothing is logged");

    session.write("quorate.toml", &config);
    let known = between(&config, "host-key = \"", "\"");
    let wrong = format!("SHA256:{}", "A".repeat(43));
    session.change_config(known, &wrong);
    let told = session.run(&["inspect", "-vv", "--log-file", "ssh.log"]);
    let log = session.read("ssh.log");
    assert!(log.contains(&format!("expected=\"{wrong}\" seen=\"{known}\"")), "{log}");
    assert!(log.contains("API call answered node=pve1 method=\"GET\" path=\"/version\" status=200 ms="), "{log}");
    assert!(!told.err.contains("API call answered"), "what is in the file is not on the terminal: {}", told.err);
}

#[test]
fn a_log_is_added_to_a_file_of_ours_and_to_nothing_else() {
    use std::os::unix::fs::PermissionsExt;
    let session = Session::new();
    session.write("q.log", "before\n");
    session.run(&["explain", "exit-codes", "--log-file", "q.log"]).expect(0, &[]);
    assert!(session.read("q.log").starts_with("before\n"));
    let mode = std::fs::metadata(session.dir.join("q.log")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::os::unix::fs::symlink("q.log", session.dir.join("link.log")).unwrap();
    session.run(&["explain", "exit-codes", "--log-file", "link.log"]).expect(2, &["link.log", "it is a symbolic link"]);
    session.run(&["explain", "exit-codes", "--log-file", "/dev/null"]).expect(2, &["it is not a regular file"]);
}

#[test]
fn wrong_credentials_are_named_and_never_shown() {
    let lab = Lab::start(FACTOR, "");
    let config = lab.session.read("quorate.toml");
    lab.session.change_config(between(&config, "token-secret = \"", "\""), "00000000-secret");
    let outcome = lab.session.run(&["run", "--yes"]);
    outcome.expect(5, &["pve1 does not accept the credentials", "[auth] token-id", "pveum user token list"]);
    assert!(!outcome.err.contains("00000000-secret"), "{}", outcome.err);

    lab.session.write("quorate.toml", &config);
    lab.session.change_config("ssh-key = [\"id_lab\"]", "ssh-key = []");
    lab.session.run(&["inspect"]).expect(5, &["pve1 does not accept the SSH key", "authorized_keys"]);
    lab.session.change_config("ssh-key = []", "ssh-key = [\"none\"]");
    lab.session.run(&["inspect"]).expect(2, &["cannot read the SSH key", "[auth] ssh-key"]);
}

#[test]
fn the_configuration_names_exactly_the_nodes_that_the_cluster_has() {
    let lab = Lab::start(FACTOR, "");
    let config = lab.session.read("quorate.toml");
    lab.session.change_config("name = \"pve3\"", "name = \"pve9\"");
    lab.session.run(&["plan"]).expect(2, &["names a node pve9", "The cluster's nodes are pve1, pve2, pve3."]);

    let line = config.lines().find(|line| line.contains("\"pve3\"")).unwrap();
    lab.session.write("quorate.toml", &config.replace(line, ""));
    lab.session.run(&["plan"]).expect(2, &["the cluster has a node pve3", "Quorate must see every node"]);
}

#[test]
fn with_no_node_in_reach_every_address_that_was_tried_is_reported() {
    let lab = Lab::start(FACTOR, "");
    let config = lab.session.read("quorate.toml");
    lab.session.run(&["inspect"]).expect(0, &[]);
    let session = Session::new();
    session.write("quorate.toml", &config);
    std::fs::copy(lab.session.dir.join("id_lab"), session.dir.join("id_lab")).unwrap();
    drop(lab);
    session.run(&["inspect"]).expect(5, &["no node answers the API: pve1 (", "pve2 (", "pve3 (", "[cluster] nodes"]);
}

#[test]
fn a_privilege_that_is_missing_is_named_and_forbids_a_run() {
    let token = "[[token]]\nname = \"quorate@pve!look\"\nsecret = \"0-1-2\"\nrole = \"PVEAuditor\"\n";
    let lab = Lab::start(FACTOR, token);
    let config = lab.session.read("quorate.toml");
    lab.session.change_config(between(&config, "token-id = \"", "\""), "quorate@pve!look");
    lab.session.change_config(between(&config, "token-secret = \"", "\""), "0-1-2");
    lab.session.run(&["preflight"]).expect(3, &["BLOCKING", "token-privileges", "VM.Migrate"]);
    lab.session.run(&["run", "--yes"]).expect(3, &["BLOCKING", "VM.Migrate"]);
    lab.session.run(&["status"]).expect(0, &["ended before it began"]);
}

#[test]
fn a_cluster_without_quorum_is_reported_and_nothing_is_begun() {
    let off = |node: &str| format!("[[fault]]\nfault = \"power-off\"\nnode = \"{node}\"\n");
    // Without HA: it would reset the last node a minute after corosync has noticed, which takes a few seconds.
    let (guests, _) = DEMO.split_once("\n[[rule]]").unwrap();
    let unmanaged: Vec<&str> = guests.lines().filter(|line| !line.starts_with("ha = ")).collect();
    let lab = Lab::of(10, &format!("{}\n{}{}", unmanaged.join("\n"), off("pve2"), off("pve3")));
    wait_for("the loss of quorum", || {
        let outcome = lab.session.run(&["plan"]);
        if outcome.code == 3 { Ok(()) } else { Err(outcome.err) }
    });
    let words =
        ["the cluster has no quorum: pve1 sees 1 of 3 votes, 2 are needed", "quorate recover", "Nothing was changed"];
    lab.session.run(&["run", "--yes"]).expect(3, &words);
    lab.session.run(&["preflight"]).expect(3, &["BLOCKING", "pve1 is not quorate: 1 of 3 votes, 2 needed"]);
}

#[test]
fn a_journal_of_a_newer_version_is_refused_with_both_versions() {
    let lab = Lab::start(FACTOR, "");
    let path = lab.session.dir.join("quorate.db");
    drop(Journal::open(&path, Mode::Drive).unwrap());
    set_user_version(&path, 2003);
    lab.session.run(&["run", "--yes"]).expect(9, &["has format 2.3", "up to 1.2", "newer Quorate"]);
    lab.session.run(&["status"]).expect(9, &["has format 2.3"]);
    lab.session.write("quorate.db", "no database, but a text that was put there by mistake");
    lab.session.run(&["run", "--yes"]).expect(9, &["is not a journal of Quorate", "[journal] path"]);
}

#[test]
fn a_second_driver_is_refused_with_the_name_of_the_first() {
    let lab = Lab::start(FACTOR, "");
    let journal = Journal::open(&lab.session.dir.join("quorate.db"), Mode::Drive).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = quorate_core::ids::UnixMs(u64::try_from(now.as_millis()).unwrap());
    journal
        .acquire_lease(&Holder::this_process("ben@desk, process 7", "00000000000000aa".into()), &"r1".into(), now, 100)
        .unwrap();
    lab.session.run(&["run", "--yes"]).expect(8, &["ben@desk, process 7 works on", "quorate status"]);
}

#[test]
fn files_that_others_can_read_or_write_are_refused_with_the_command_that_mends_them() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::start(FACTOR, "");
    let session = &lab.session;
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(session.dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("quorate.toml", 0o644);
    let secret = session.run(&["inspect"]);
    secret.expect(2, &["quorate.toml: is open to other users (mode 644)", "holds a secret", "chmod 600 quorate.toml"]);
    mode("quorate.toml", 0o600);
    mode("id_lab", 0o640);
    session.run(&["inspect"]).expect(2, &["cannot read the SSH key", "(mode 640)", "chmod 600", "id_lab"]);
    mode("id_lab", 0o600);

    let config = session.read("quorate.toml");
    let inline = format!("token-secret = \"{}\"", between(&config, "token-secret = \"", "\""));
    session.write("quorate.toml", &config.replace(&inline, "token-secret-file = \"token.secret\""));
    mode("quorate.toml", 0o644);
    session.write("token.secret", between(&config, "token-secret = \"", "\""));
    mode("token.secret", 0o644);
    session.run(&["inspect"]).expect(2, &["token.secret is open to other users", "chmod 600 token.secret"]);
    mode("token.secret", 0o400);
    session.run(&["inspect"]).expect(0, &[]);
    mode("quorate.toml", 0o666);
    session
        .run(&["inspect"])
        .expect(2, &["quorate.toml: is open to other users (mode 666)", "chmod go-w quorate.toml"]);
    mode("quorate.toml", 0o644);

    drop(Journal::open(&session.dir.join("quorate.db"), Mode::Drive).unwrap());
    mode("quorate.db", 0o666);
    session.run(&["run", "--yes"]).expect(9, &["the journal is not used", "(mode 666)", "chmod 600"]);
    session.run(&["status"]).expect(9, &["the journal is not used", "chmod 600"]);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once_and_no_output_goes_through_a_link() {
    let session = Session::new();
    let pipe = std::process::Command::new("mkfifo").arg(session.dir.join("pipe")).status().unwrap();
    assert!(pipe.success());
    session.run(&["inspect", "--config", "pipe"]).expect(2, &["not a regular file, but a named pipe"]);
    session.run(&["status", "--journal", "pipe"]).expect(9, &["not a regular file, but a named pipe"]);
    session.write("victim", "as it was");
    std::os::unix::fs::symlink("victim", session.dir.join("link")).unwrap();
    let snapshot = genuine();
    let from = ["--from", snapshot.to_str().unwrap()];
    let html = ["preflight", from[0], from[1], "--html"];
    for (file, why) in [("link", "a symbolic link"), ("pipe", "not a regular file")] {
        session.run(&[&html[..], &[file]].concat()).expect(2, &["cannot be written to", why]);
        session.run(&["export", file, from[0], from[1]]).expect(2, &["cannot be written to"]);
    }
    session.run(&[&html[..], &["page.html"]].concat());
    session.run(&[&html[..], &["page.html"]].concat());
    assert!(session.read("page.html").contains("<h1>Preflight"));
    assert_eq!(session.read("victim"), "as it was");
}

#[test]
fn one_api_that_accepts_and_never_answers_does_not_hold_up_the_others() {
    let lab = Lab::start(FACTOR, "");
    let config = lab.session.read("quorate.toml");
    let line = config.lines().find(|line| line.contains("\"pve3\"")).unwrap();
    let address = between(line, "api = \"", "\"");
    // The kernel accepts, and nobody reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    lab.session.change_config(address, &silent.local_addr().unwrap().to_string());
    let began = std::time::Instant::now();
    let outcome = lab.session.run(&["inspect"]);
    outcome.expect(0, &["pve3"]);
    assert!(began.elapsed() < std::time::Duration::from_secs(25), "{:?}", began.elapsed());
}

/// The first text between two others.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

/// SQLite keeps `user_version` as four bytes at offset 60 of the file's header.
fn set_user_version(path: &std::path::Path, version: u32) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[60..64].copy_from_slice(&version.to_be_bytes());
    std::fs::write(path, bytes).unwrap();
}
