//! The outputs of the node's programs, compared with the recorded ones to the byte; dates, rings and process ids aside.

use quorate_core::ids::{GuestId, NodeName};
use quorate_wire::{Gate, ShellAnswer, ShellExit, Wire};
use quorate_world::World;
use quorate_world::cluster_file::world_from_toml;
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    name: String,
    command: String,
    node: String,
    stdout: String,
    stderr: String,
    status: i32,
}

fn recorded() -> Vec<Recorded> {
    serde_json::from_str(include_str!("fixtures/recorded_cli.json")).expect("the fixtures are JSON")
}

fn cluster() -> (Wire, World) {
    let mut world = world_from_toml(include_str!("fixtures/recorded_cluster.toml"), 7).expect("the cluster builds");
    let mut wire = Wire::new(Gate::default());
    let later_ms = world.now_ms + 60_000;
    wire.advance(&mut world, later_ms);
    (wire, world)
}

fn run(wire: &Wire, world: &mut World, node: &str, command: &str) -> ShellAnswer {
    let node = NodeName::from(node);
    let answer = wire.shell(world, &node, command);
    let Some(follow) = &answer.follows else { return answer };
    for _ in 0..3600 {
        if let Some(end) = wire.followed(world, &node, follow) {
            return end;
        }
        world.advance_to(world.now_ms + 1000);
    }
    panic!("{command} does not end within an hour")
}

/// Removes what differs each time.
fn plain(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = match line.split_once(':') {
            Some((label @ ("Date" | "Ring ID"), _)) => format!("{label}: *"),
            _ => line.to_owned(),
        };
        // `…, Sun Nov 22 10:52:36 2026)`
        let line = match line.rsplit_once(", ") {
            Some((front, date)) if date.ends_with(')') && date.contains(" 20") => format!("{front}, *)"),
            _ => line,
        };
        // The build hash is the build's.
        let line = match line.strip_prefix("pve-manager/9.1.8/") {
            Some(rest) => format!("pve-manager/9.1.8/*{}", rest.trim_start_matches(|c: char| c.is_ascii_hexdigit())),
            None => line,
        };
        lines.push(line);
    }
    lines.join("\n")
}

fn bring_about(name: &str, wire: &mut Wire, world: &mut World) {
    if name == "noquorum-qm-start" {
        world.guest_stop(&NodeName::from("pve1"), GuestId::vm(104), "root@pam").expect("it runs");
        let later_ms = world.now_ms + 20_000;
        wire.advance(world, later_ms);
    }
    if name == "qm-list-pve3-none-running" {
        world.guests.remove(&GuestId::vm(103));
    }
    if name == "ha-manager-status-started" {
        world.ha.manager.master = Some(NodeName::from("pve2"));
    }
    if name.contains("noquorum") {
        for node in ["pve2", "pve3"] {
            world.set_link(&NodeName::from(node), 0, false);
        }
    }
    if name.contains("degraded") || name.contains("expected-1") {
        world.power_off(&NodeName::from("pve3"));
    }
    if name.contains("expected-1") {
        world.power_off(&NodeName::from("pve2"));
    }
    let later_ms = world.now_ms + 20_000;
    wire.advance(world, later_ms);
}

/// Recorded in another state than this world can be brought into.
const NOT_HERE: [&str; 8] = [
    "ha-manager-status-empty",
    "ha-manager-config",
    "qm-list-pve1",
    "apt-dist-upgrade-simulate",
    "ceph-health-detail-noout",
    "ceph-mon-ok-to-stop-pve1-healthy",
    "ceph-versions-healthy",
    "ceph-mgr-stat-healthy",
];

#[test]
fn outputs_are_the_recorded_ones() {
    let mut wrong = Vec::new();
    let here = recorded()
        .into_iter()
        .filter(|recorded| !NOT_HERE.contains(&recorded.name.as_str()) && !recorded.name.starts_with("ceph"));
    for recorded in here {
        let (mut wire, mut world) = cluster();
        bring_about(&recorded.name, &mut wire, &mut world);
        let answer = run(&wire, &mut world, &recorded.node, &recorded.command);
        let same = plain(&answer.stdout) == plain(&recorded.stdout)
            && answer.stderr == recorded.stderr
            && answer.exit == ShellExit::Status(recorded.status);
        if !same {
            wrong.push(format!(
                "== {} {:?}\n{}{}== recorded {}\n{}{}",
                recorded.name,
                answer.exit,
                answer.stdout,
                answer.stderr,
                recorded.status,
                recorded.stdout,
                recorded.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_simulated_upgrade_names_each_package_as_apt_does() {
    let (wire, mut world) = cluster();
    let node = NodeName::from("pve2");
    assert_eq!(run(&wire, &mut world, "pve2", "apt-get -s dist-upgrade").stdout.matches("Inst ").count(), 0);
    world.apt_update(&node, "root@pam").expect("apt update starts");
    world.advance_to(world.now_ms + 60_000);
    let answer = run(&wire, &mut world, "pve2", "env LC_ALL=C apt-get -s -o Debug::NoLocking=1 dist-upgrade");
    let recorded = recorded().into_iter().find(|recorded| recorded.name == "apt-dist-upgrade-simulate").expect("there");
    // The same three packages; the recorded run had a kernel, too.
    let of_kernel = |line: &&str| !line.contains("kernel");
    let acts = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("Inst ") || line.starts_with("Conf "));
        lines.filter(of_kernel).map(|line| line.replace("[all]", "[amd64]")).collect()
    };
    assert_eq!(acts(&answer.stdout), acts(&recorded.stdout));
    assert!(answer.stdout.contains("3 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"));
}

#[test]
fn an_upgrade_as_a_unit_is_seen_in_systemctl_its_log_and_dpkg() {
    let (wire, mut world) = cluster();
    let node = NodeName::from("pve2");
    world.apt_update(&node, "root@pam").expect("apt update starts");
    world.advance_to(world.now_ms + 60_000);
    let unit = "quorate-upgrade-ab12";
    let command = format!(
        "systemd-run --unit={unit} --property=RemainAfterExit=yes --property=KillMode=process \
         --property=StandardOutput=append:/var/log/{unit}.log --property=StandardError=append:/var/log/{unit}.log \
         --setenv=DEBIAN_FRONTEND=noninteractive --setenv=LC_ALL=C.UTF-8 apt-get -y -o DPkg::Lock::Timeout=300 \
         -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold dist-upgrade"
    );
    let answer = run(&wire, &mut world, "pve2", &command);
    assert_eq!((answer.exit, answer.stderr), (ShellExit::Status(0), format!("Running as unit: {unit}.service\n")));
    let again = run(&wire, &mut world, "pve2", &command);
    assert_eq!(again.exit, ShellExit::Status(1), "a second one of that name is refused");
    assert!(again.stderr.contains("already loaded"), "{}", again.stderr);

    let show = "systemctl show 'quorate-upgrade*' -p Id -p LoadState -p ActiveState -p SubState -p Result \
                -p ExecMainCode -p ExecMainStatus";
    let running = run(&wire, &mut world, "pve2", show).stdout;
    assert!(running.contains("ActiveState=active\nSubState=running\n"), "{running}");
    world.advance_to(world.now_ms + 3_600_000);
    let ended = run(&wire, &mut world, "pve2", show).stdout;
    assert!(ended.contains(&format!("Id={unit}.service\n")) && ended.contains("SubState=exited\n"), "{ended}");
    assert!(ended.contains("ExecMainCode=1\nExecMainStatus=0\n"), "{ended}");
    let log = run(&wire, &mut world, "pve2", &format!("tail -n 20 /var/log/{unit}.log"));
    assert!(log.stdout.contains("Setting up pve-manager (9.1.9)"), "{}", log.stdout);
    let version =
        run(&wire, &mut world, "pve2", "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n' pve-manager");
    assert_eq!(version.stdout, "pve-manager 9.1.9 ii \n");
    assert_eq!(run(&wire, &mut world, "pve1", show).stdout, "", "the other node knows no such unit");
}

#[test]
fn a_lock_in_etc_pve_is_made_once_in_the_cluster_and_needs_quorum() {
    let (mut wire, mut world) = cluster();
    let mkdir = "mkdir /etc/pve/priv/lock/x";
    assert_eq!(run(&wire, &mut world, "pve1", mkdir).exit, ShellExit::Status(0));
    let second = run(&wire, &mut world, "pve2", mkdir);
    assert_eq!(second.stderr, "mkdir: cannot create directory '/etc/pve/priv/lock/x': File exists\n");
    let write = r#"sh -c 'printf %s "$1" > "$2"' sh '{"run": "it'\''s"}' /etc/pve/priv/x.json"#;
    assert_eq!(run(&wire, &mut world, "pve1", write).exit, ShellExit::Status(0));
    assert_eq!(run(&wire, &mut world, "pve3", "cat /etc/pve/priv/x.json").stdout, r#"{"run": "it's"}"#);
    assert_eq!(
        run(&wire, &mut world, "pve3", "rm -f /etc/pve/priv/x.json && rmdir /etc/pve/priv/lock/x").exit,
        ShellExit::Status(0)
    );
    bring_about("noquorum", &mut wire, &mut world);
    assert_eq!(
        run(&wire, &mut world, "pve1", mkdir).stderr,
        "mkdir: cannot create directory '/etc/pve/priv/lock/x': Permission denied\n"
    );
}

#[test]
fn programs_in_the_foreground_end_with_what_they_started() {
    let (wire, mut world) = cluster();
    let answer = run(&wire, &mut world, "pve1", "qm migrate 104 pve3 --online");
    assert_eq!(answer.exit, ShellExit::Status(0), "{}", answer.stderr);
    assert!(answer.stdout.contains("migration finished successfully"), "{}", answer.stdout);
    let listed = run(&wire, &mut world, "pve3", "qm list | grep -c hostcpu");
    assert_eq!(listed.stdout, "1\n");
    let node = NodeName::from("pve2");
    world.apt_update(&node, "root@pam").expect("apt update starts");
    world.advance_to(world.now_ms + 60_000);
    let answer = run(&wire, &mut world, "pve2", "DEBIAN_FRONTEND=noninteractive apt-get -y dist-upgrade");
    assert_eq!(answer.exit, ShellExit::Status(0));
    assert!(answer.stdout.contains("Setting up qemu-server (9.1.7)"), "{}", answer.stdout);
    assert!(world.nodes[&node].units.is_empty(), "it was no unit");
}
