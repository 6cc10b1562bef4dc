//! `--from FILE`: looking and planning without a cluster.

use super::session::{Lab, Session, genuine};

#[test]
fn a_snapshot_of_a_genuine_cluster_is_shown_with_all_that_is_not_known_of_it() {
    let session = Session::new();
    let from = genuine();
    let from = from.to_str().unwrap();
    let outcome = session.run(&["inspect", "--from", from]);
    let words =
        ["Cluster testcluster", "vm:101  web1", "pve1 pve2 pve3", "HA: 2 services, manager on pve2", "Unknown ("];
    outcome.expect(0, &words);
    session.run(&["preflight", "--from", from]).expect(3, &["BLOCKING", "unknown-readings →"]);
    session.run(&["plan", "--from", from]).expect(6, &["There is no plan"]);
    let json = session.run(&["inspect", "--from", from, "--json"]);
    let (printed, on_file) = (parse(&json.out), parse(&std::fs::read_to_string(from).unwrap()));
    assert_eq!(printed, on_file);
}

#[test]
fn what_was_exported_gives_the_same_plan_again_and_again_without_the_cluster() {
    let lab = Lab::start(30, "");
    let session = &lab.session;
    let config = session.read("quorate.toml");
    session.write("quorate.toml", config.split_once("[policy]").unwrap().0);
    let refreshed = session.run(&["plan", "--refresh"]);
    refreshed.expect(6, &["plan-immovable", "vm:114", "vm:116"]);
    session.run(&["export", "seen.json"]).expect(0, &["seen.json: 3 nodes, 24 guests"]);
    session.run(&["export", "seen.json"]).expect(2, &["cannot be written to seen.json"]);

    let away = Session::new();
    std::fs::copy(session.dir.join("seen.json"), away.dir.join("seen.json")).unwrap();
    drop(lab);
    away.run(&["plan", "--from", "seen.json"]).expect(6, &["plan-immovable"]);
    let guests = "[policy.guests]\n\"vm:114\" = \"eject\"\n\"vm:116\" = \"shutdown\"\n";
    away.write("quorate.toml", &format!("{CONFIG}\n{guests}"));
    let plan = away.run(&["plan", "--from", "seen.json", "--commands"]);
    plan.expect(
        4,
        &["Node 1 of 3: pve", "DOWN, ~", "restart-containers (NOT GIVEN)", "systemd-run --unit=quorate-upgrade-"],
    );
    plan.expect(4, &["[policy] consents = [\"restart-containers\", \"shutdown-guests\", \"eject-media\"]"]);
    assert_eq!(away.run(&["plan", "--from", "seen.json", "--commands"]).out, plan.out);
    let json = away.run(&["plan", "--from", "seen.json", "--json"]);
    assert_eq!(parse(&json.out)["plan"]["node_steps"].as_array().unwrap().len(), 4);
}

#[test]
fn a_file_that_is_no_snapshot_or_of_another_format_is_refused() {
    let session = Session::new();
    session.run(&["inspect", "--from", "none.json"]).expect(2, &["none.json cannot be read", "quorate export"]);
    session.write("text.json", "{\"nodes\": 3}");
    session.run(&["plan", "--from", "text.json"]).expect(2, &["text.json is not a snapshot"]);
    session.write("new.json", "{\"format\": 7}");
    session.run(&["preflight", "--from", "new.json"]).expect(2, &["has format 7, and this Quorate reads 1"]);
}

#[test]
fn a_guest_with_an_evil_name_does_not_reach_the_terminal() {
    let session = Session::new();
    let text = std::fs::read_to_string(genuine()).unwrap();
    assert!(text.contains("\"web1\""));
    session.write("evil.json", &text.replace("\"web1\"", "\"\\u001b[2Jgone\\r\\n  vm:999  forged\\u202e\\u009b\""));
    for arguments in [&["inspect", "--from", "evil.json"][..], &["inspect", "--from", "evil.json", "--json"]] {
        let out = session.run(arguments).out;
        assert!(out.contains("gone"));
        assert!(!out.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{out:?}");
        assert!(!out.lines().any(|line| line.trim_start().starts_with("vm:999")), "{out}");
    }
}

const CONFIG: &str = r#"
[cluster]
nodes = [
  { name = "pve1", api = "192.0.2.1", fingerprint = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", host-key = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
]
[auth]
token-id = "root@pam!quorate"
token-secret = "0-1-2"
"#;

fn parse(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}
