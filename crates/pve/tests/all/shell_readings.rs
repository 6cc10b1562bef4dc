//! What is read through the nodes' shells: quorum without any API, and our upgrade while it runs and after it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::command::quote_all;
use quorate_core::ids::NodeName;
use quorate_core::observed::Observed;
use quorate_core::snapshot::{GoingDown, Packages, Snapshot, UnitOutcome, UnitState};
use quorate_pve::observe::{Depth, Look, observe};
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, Exit, PortFuture, Ports, Shell, ShellError, ShellOutput,
};
use quorate_pve::recorded::RecordedPorts;

fn fixture(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn recorded() -> Ports {
    RecordedPorts::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pve91")).unwrap().ports()
}

/// No endpoint answers.
struct NoApi;

impl Api for NoApi {
    fn call(&self, _: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        Box::pin(async { Err(ApiError::Unreachable("connection refused".into())) })
    }
}

/// Shells simulated by a closure; a command that it does not know is a missing program.
struct Played<F>(F);

impl<F: Fn(&NodeName, &str) -> Option<(i32, String)> + Send + Sync> Shell for Played<F> {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        _: Duration,
        _: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        let command = quote_all(argv);
        let played = (self.0)(node, command.strip_prefix("env LC_ALL=C ").unwrap_or(&command));
        let (status, stdout) = played.unwrap_or((127, String::new()));
        Box::pin(async move { Ok(ShellOutput { exit: Exit::Status(status), stdout, stderr: String::new() }) })
    }
}

fn played(play: impl Fn(&NodeName, &str) -> Option<(i32, String)> + Send + Sync + 'static) -> Ports {
    Ports { shell: Arc::new(Played(play)), ..recorded() }
}

#[tokio::test]
async fn without_any_api_the_members_and_their_quorum_are_read_by_shell() {
    // node3 is cut off; corosync exits with 2 there, which only means that it is not quorate.
    let ports = played(|node, command| match (node.as_str(), command) {
        (_, "cat /etc/pve/corosync.conf") => Some((0, fixture("debian/corosync.conf"))),
        ("node3", "corosync-quorumtool -s") => Some((2, fixture("debian/corosync-quorumtool-s-isolated-node3.txt"))),
        ("node3", "corosync-cfgtool -n") => Some((0, "Local node ID 3, transport knet\n".into())),
        ("node1", "corosync-quorumtool -s") => Some((0, fixture("debian/corosync-quorumtool-s-one-down.txt"))),
        ("node1", "corosync-cfgtool -n") => Some((0, fixture("debian/corosync-cfgtool-n-one-down.txt"))),
        _ => None,
    });
    let ports = Ports { api: Arc::new(NoApi), ..ports };
    let known_nodes = vec!["node1".into()];
    let snapshot = observe(&ports, Look { known_nodes, ..Look::full() }).await;
    assert_eq!(snapshot.nodes.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["node1", "node2", "node3"]);
    assert_eq!(snapshot.cluster_name, Observed::Known("labpve".into()));
    let cut_off = snapshot.quorum[&"node3".into()].known().unwrap();
    assert_eq!((cut_off.quorate, cut_off.total_votes, cut_off.quorum, cut_off.configured_links), (false, 1, 2, 2));
    assert!(cut_off.links.is_empty());
    let rest = snapshot.quorum[&"node1".into()].known().unwrap();
    assert!(rest.quorate && rest.links.len() == 1);
    assert!(
        snapshot.nodes[&NodeName::from("node1")].online.known().is_none(),
        "no node was asked which nodes are online"
    );
    assert_eq!(snapshot.sees_all_guests.known(), None);
}

const UNIT: &str = "Id=quorate-upgrade-ab12.service\nLoadState=loaded\nExecMainCode=1\n";

/// A node with our unit in a state; `apt-get -s` says that nothing is pending any more.
fn upgrading(active: &'static str, sub: &'static str, result: &'static str, status: u8) -> Ports {
    played(move |_, command| match command.split(' ').next()? {
        "systemctl" if command.contains("show") => {
            let state = format!("ActiveState={active}\nSubState={sub}\nResult={result}\nExecMainStatus={status}\n");
            Some((0, format!("{UNIT}{state}")))
        }
        "tail" => Some((
            0,
            "Setting up pve-manager (9.1.9) ...\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n".into(),
        )),
        "apt-get" => Some((0, "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n".into())),
        "dpkg" => Some((0, String::new())),
        "dpkg-query" => Some((0, "pve-manager 9.1.9 ii \nceph-osd 19.2.3-pve2 hi \n".into())),
        // Its clock is an hour behind ours: only the node itself can tell how old the file is.
        "stat" => Some((0, "1795345000\n".into())),
        "date" => Some((0, "1795345092000\n".into())),
        "fuser" => Some((1, String::new())),
        "cat" if command.contains("boot_id") => Some((0, "6a0f2f5c-0000-4000-a000-000000000001\n".into())),
        _ => None,
    })
}

/// Before the upgrade: pve2 is online, and its packages are known.
async fn before() -> Snapshot {
    let mut snapshot = observe(&upgrading("inactive", "dead", "success", 0), Look::full()).await;
    let node = snapshot.nodes.get_mut(&"pve2".into()).unwrap();
    node.upgrade_unit = Observed::Known(None);
    let packages = Packages {
        pending: vec![],
        removals: vec!["told-before".into()],
        kept_back: vec![],
        held: vec![],
        installed: std::collections::BTreeMap::new(),
        broken: vec![],
        lists_age_s: None,
        locked: false,
    };
    node.packages = Observed::Known(packages);
    snapshot
}

async fn watch(ports: &Ports, before: &Snapshot) -> (Option<UnitState>, Packages) {
    let snapshot = observe(ports, Look { depth: Depth::Watch, previous: Some(before), ..Look::full() }).await;
    let node = &snapshot.nodes[&NodeName::from("pve2")];
    (node.upgrade_unit.known().unwrap().clone().map(|unit| unit.state), node.packages.known().unwrap().clone())
}

#[tokio::test]
async fn while_our_upgrade_runs_the_packages_are_as_before_and_dpkg_is_busy() {
    let (unit, packages) = watch(&upgrading("active", "running", "success", 0), &before().await).await;
    assert_eq!(unit, Some(UnitState::Running));
    assert!(packages.locked && packages.removals == ["told-before"]);
}

#[tokio::test]
async fn when_our_upgrade_has_ended_the_packages_are_read_again() {
    let (unit, packages) = watch(&upgrading("active", "exited", "success", 0), &before().await).await;
    assert_eq!(unit, Some(UnitState::Ended(UnitOutcome::Success)));
    assert!(!packages.locked && packages.removals.is_empty());
    assert_eq!(packages.lists_age_s, Some(92));
    assert_eq!(packages.held, ["ceph-osd"]);
    assert!(packages.installed.is_empty(), "nothing of it is pending anywhere, and no other node has other versions");
}

/// Whose hand it is does not matter: the lock, or Debian's own upgrade between two of its locks.
#[tokio::test]
async fn another_hand_at_the_packages_is_seen_at_every_look() {
    let at_work = |units: &'static str, fuser: i32| {
        played(move |_, command| match command.split(' ').next()? {
            "systemctl" if command.contains("show") => Some((0, units.to_owned())),
            "fuser" => Some((fuser, String::new())),
            "cat" if command.contains("boot_id") => Some((0, "6a0f2f5c-0000-4000-a000-000000000001\n".into())),
            _ => None,
        })
    };
    const NONE: &str = "Id=apt-daily-upgrade.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n";
    const ACTIVE: &str = "Id=apt-daily-upgrade.service\nLoadState=loaded\nActiveState=activating\nSubState=start\n";
    let before = before().await;
    for (units, fuser, locked) in [(NONE, 1, false), (NONE, 0, true), (ACTIVE, 1, true)] {
        assert_eq!(watch(&at_work(units, fuser), &before).await.1.locked, locked, "{units} {fuser}");
    }
    let snapshot =
        observe(&at_work(NONE, 2), Look { depth: Depth::Watch, previous: Some(&before), ..Look::full() }).await;
    let packages = &snapshot.nodes[&NodeName::from("pve2")].packages;
    assert_eq!(packages.known(), None, "whether dpkg is at work is not known");
}

#[tokio::test]
async fn a_system_that_stops_or_will_stop_is_seen_and_so_is_a_reboot_that_was_asked_for() {
    let seen = |state: &'static str, scheduled: &'static str, required: &'static str| async move {
        let ports = played(move |_, command| match command {
            "systemctl is-system-running" => Some((i32::from(state != "running"), format!("{state}\n"))),
            "find /run/systemd -maxdepth 2 -name scheduled" => Some((0, scheduled.to_owned())),
            "find /run -maxdepth 1 -name 'reboot-required*'" => Some((0, required.to_owned())),
            "cat /run/reboot-required.pkgs" => Some((0, "libc6\nlibc6\ndbus\n".to_owned())),
            "cat /proc/sys/kernel/random/boot_id" => Some((0, "6a0f2f5c-0000-4000-a000-000000000001\n".into())),
            _ => None,
        });
        let node = observe(&ports, Look::full()).await.nodes[&NodeName::from("pve2")].clone();
        (node.going_down.known().copied(), node.reboot_required.known().cloned())
    };
    assert_eq!(seen("running", "", "").await, (Some(None), Some(None)));
    assert_eq!(seen("degraded", "", "").await.0, Some(None));
    assert_eq!(seen("stopping", "", "").await.0, Some(Some(GoingDown::Now)));
    assert_eq!(seen("running", "/run/systemd/shutdown/scheduled\n", "").await.0, Some(Some(GoingDown::Later)));
    assert_eq!(seen("offline", "", "").await.0, None, "an answer that says nothing");
    let required = "/run/reboot-required\n/run/reboot-required.pkgs\n";
    let packages = Some(Some(vec!["dbus".to_owned(), "libc6".to_owned()]));
    assert_eq!(seen("running", "", required).await.1, packages);
}

#[tokio::test]
async fn an_upgrade_that_failed_shows_how_and_its_last_lines() {
    let (unit, _) = watch(&upgrading("failed", "failed", "exit-code", 100), &before().await).await;
    let Some(UnitState::Ended(UnitOutcome::Failed { how, tail })) = unit else { panic!("{unit:?}") };
    assert_eq!(how, "exit status 100");
    assert!(tail.last().unwrap().starts_with("E: Sub-process"));
}
