//! The forced command of `contrib/quorate-forced-command`: every command line of a whole run passes, and nothing else
//! does.

#![allow(clippy::disallowed_methods, reason = "the forced command is a program, and is run as one")]

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::command::quote_all;
use quorate_core::fence::Condition;
use quorate_core::ids::{DriverId, NodeName};
use quorate_pve::observe::quorum_views;
use quorate_pve::ports::{Bound, PortFuture, Ports, Shell, ShellError, ShellOutput};
use quorate_trials::ports::SimPorts;

/// What the forced command would do with each line, in order.
fn judged(lines: &[String]) -> Vec<String> {
    let gate = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/quorate-forced-command");
    let mut child = Command::new(gate).arg("--check").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Writes down what goes to the shells.
struct Listening {
    inner: Arc<dyn Shell>,
    heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Shell for Listening {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        self.heard.lock().unwrap().insert(quote_all(argv));
        self.inner.run_bounded(node, argv, deadline, bound)
    }
}

/// All command lines of a whole run over the demo cluster, from the first look to the last.
async fn heard_in_a_whole_run() -> BTreeSet<String> {
    let sim = SimPorts::new(Arc::new(Mutex::new(common::demo())));
    let heard = Arc::new(Mutex::new(BTreeSet::new()));
    let plain = sim.ports();
    let ports = Ports { shell: Arc::new(Listening { inner: plain.shell.clone(), heard: heard.clone() }), ..plain };
    let nodes: Vec<NodeName> = sim.world().nodes.keys().cloned().collect();
    // What `quorate recover` asks, and what the run itself asks when quorum is lost.
    quorum_views(&ports, &nodes).await;
    common::complete_the_demo(&sim, ports, DriverId::drawn(1)).await;
    Arc::into_inner(heard).expect("the ports are gone with the driver").into_inner().unwrap()
}

#[tokio::test]
async fn the_forced_command_allows_every_line_of_a_whole_run_and_none_that_is_widened() {
    let lines: Vec<String> = heard_in_a_whole_run().await.into_iter().collect();
    assert!(lines.len() > 40, "{lines:#?}");
    for outcome in judged(&lines) {
        assert!(outcome.starts_with("allowed  "), "{outcome}");
    }
    for widened in ["; id", " && reboot", " | sh", " $(id)", " `id`", " > /etc/passwd", " &", " -x", "\u{b}id", " '"] {
        let attempts: Vec<String> = lines.iter().map(|line| format!("{line}{widened}")).collect();
        for outcome in judged(&attempts) {
            assert!(outcome.starts_with("refused  "), "{outcome}");
        }
    }
}

#[test]
fn the_forced_command_refuses_what_a_run_never_needs() {
    let lines = [
        "",
        "bash",
        "sh -c id",
        "reboot",
        "cat /etc/shadow",
        "cat /etc/pve/priv/token.cfg",
        "cat /etc/pve/../shadow",
        "env LC_ALL=C",
        "env LC_ALL=C bash",
        "env X=1 true",
        "scp -f /etc/shadow",
        "/usr/lib/openssh/sftp-server",
        "systemd-run --unit=quorate-upgrade-x reboot",
        "ceph osd set-group noout osd.1;id",
        "ceph osd purge 1",
        "tail -n 20 /var/log/quorate-upgrade-../../etc/shadow.log",
        "tail -n 20 /var/log/quorate-upgrade-x.log /etc/shadow",
        "sh -c 'printf %s \"$1\" > \"$2\"' sh 'x' /etc/passwd",
        "sh -c 'printf %s \"$1\" > \"$2\"' sh x';id' /etc/pve/priv/quorate-driver.json",
        "pvecm expected 1",
        "systemctl reboot",
        "ha-manager crm-command node-maintenance enable pve1",
        "ceph osd set-group noout osd.1",
        "sh -c 'exec \"$@\"' quorate 6a0f2f5c-0000-4000-a000-000000000001 9 0123456789abcdef systemctl reboot",
        "true\ttrue",
        "qm list; qm stop 101",
    ];
    let lines = lines.map(str::to_owned);
    for (line, outcome) in lines.iter().zip(judged(&lines)) {
        assert!(outcome.starts_with("refused  "), "{line}: {outcome}");
    }
}

/// The condition of another order is not enough: what changes settings does not look whether the node is empty.
#[test]
fn the_forced_command_allows_each_order_behind_its_own_condition_only() {
    let behind = |condition: Condition, order: &str| {
        let front = format!("sh -c '{}' quorate 6a0f2f5c-0000-4000-a000-000000000001", condition.script());
        format!("{front} 900 0123456789abcdef {order}")
    };
    let (reboot, noout) = ("systemctl reboot", "ceph osd set-group noout osd.1 osd.4");
    let rows = [
        (behind(Condition::OursAndEmpty, reboot), "allowed"),
        (behind(Condition::Ours, noout), "allowed"),
        (behind(Condition::Ours, reboot), "refused"),
        (behind(Condition::NoQuorum, reboot), "refused"),
        (behind(Condition::OursAndEmpty, noout), "refused"),
        (behind(Condition::Ours, "pvesh set /cluster/options --crs ha=static;id"), "refused"),
        (behind(Condition::Ours, noout).replace("$(cat", "$(id; cat"), "refused"),
    ];
    let lines = rows.each_ref().map(|(line, _)| line.clone());
    for ((line, expected), outcome) in rows.iter().zip(judged(&lines)) {
        assert!(outcome.starts_with(expected), "{outcome} {line}");
    }
}

#[test]
fn a_line_break_in_the_command_is_refused_by_the_forced_command_itself() {
    let gate = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/quorate-forced-command");
    for command in ["true\nid", "true\n", "\ntrue"] {
        let output = Command::new(gate).env("SSH_ORIGINAL_COMMAND", command).output().unwrap();
        assert_eq!(output.status.code(), Some(126), "{command:?}");
    }
    let output = Command::new(gate).env("SSH_ORIGINAL_COMMAND", "env LC_ALL=C true").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
