//! Orders that carry their own condition: what each refusal looks like on a node of the lab and in a real shell, and a
//! whole run whose orders are delivered late, after a boot, and from a driver that is no more.

#![allow(clippy::disallowed_methods, reason = "the scripts are given to the shell of this machine too")]

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::command::quote_all;
use quorate_core::fence::{Condition, NOT_DONE};
use quorate_core::ids::{DriverId, GuestId, NodeName};
use quorate_pve::ports::{Bound, PortFuture, Ports, Shell, ShellError, ShellOutput};
use quorate_trials::ports::SimPorts;
use quorate_wire::{Gate, ShellExit, Wire};
use quorate_world::World;
use quorate_world::migration::MigrateRequest;

const LOCK: &str = "/etc/pve/priv/quorate-driver.json";
const DRIVER: &str = "0123456789abcdef";

fn lock_of(driver: &str, released: bool) -> String {
    format!(
        r#"{{"run":"r","holder":"ann","id":"{driver}","head":{{"seq":1,"hash":""}},"renewed":1,"released":{released}}}"#
    )
}

/// A node of the lab that an order is given to.
struct Lab {
    wire: Wire,
    world: World,
    node: NodeName,
}

impl Lab {
    /// The demo, after a while, with the lock held by our driver; nothing runs on the node.
    fn new() -> Self {
        let mut lab = Self { wire: Wire::new(Gate::default()), world: common::demo(), node: "pve1".into() };
        lab.wait_s(60);
        lab.lock(&lock_of(DRIVER, false));
        lab.empty();
        lab
    }

    fn empty(&mut self) {
        for guest in std::mem::take(&mut self.world.nodes.get_mut(&self.node).unwrap().processes) {
            self.world.guests.get_mut(&guest).unwrap().runs_on.clear();
        }
    }

    fn wait_s(&mut self, seconds: u64) {
        let later_ms = self.world.now_ms + seconds * 1000;
        self.wire.advance(&mut self.world, later_ms);
    }

    fn lock(&mut self, text: &str) {
        self.world.pmxcfs_write(&self.node, LOCK, text).unwrap();
    }

    /// A process of a guest whose configuration may be elsewhere.
    fn runs_unlisted(&mut self, guest: GuestId) {
        self.world.nodes.get_mut(&self.node).unwrap().processes.insert(guest);
    }

    fn boot(&self) -> String {
        self.world.nodes[&self.node].boot_id.to_string()
    }

    fn uptime_s(&self) -> u64 {
        self.world.nodes[&self.node].uptime_s(self.world.now_ms)
    }

    /// Exit status and the last line of standard error.
    fn order(&mut self, condition: Condition, arguments: &[&str]) -> (i32, String) {
        let script = condition.script();
        let words: Vec<String> =
            ["sh", "-c", &script, "quorate"].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        let answer = self.wire.shell(&mut self.world, &self.node, &quote_all(&words));
        let ShellExit::Status(status) = answer.exit;
        (status, answer.stderr.lines().last().unwrap_or_default().to_owned())
    }

    /// A reboot within its time, by our driver.
    fn reboot(&mut self) -> (i32, String) {
        let (boot, latest) = (self.boot(), (self.uptime_s() + 60).to_string());
        self.order(Condition::OursAndEmpty, &[&boot, &latest, DRIVER, "systemctl", "reboot"])
    }
}

fn not_done(why: &str) -> (i32, String) {
    (NOT_DONE, format!("quorate: not done: {why}"))
}

#[test]
fn a_node_of_the_lab_carries_an_order_out_only_if_all_of_its_condition_holds() {
    let refused = |change: fn(&mut Lab), why: &str| {
        let mut lab = Lab::new();
        change(&mut lab);
        assert_eq!(lab.reboot(), not_done(why));
        assert!(lab.world.nodes[&lab.node].is_up() && lab.boot() == Lab::new().boot(), "{why}");
    };
    let foreign = "this driver does not hold the lock in the cluster";
    refused(|lab| lab.lock(&lock_of("ffffffffffffffff", false)), foreign);
    refused(|lab| lab.lock(&lock_of(DRIVER, true)), foreign);
    refused(|lab| drop(lab.world.files.remove(LOCK)), foreign);
    refused(
        |lab| {
            let links = lab.world.nodes[&lab.node].links.len();
            (0..links).for_each(|link| lab.world.set_link(&lab.node, link, false));
            lab.wait_s(20);
        },
        "the node has no quorum",
    );
    let busy = "a guest runs on the node";
    // A process whose configuration is on another node is in no list of this one.
    refused(|lab| lab.runs_unlisted(GuestId::vm(102)), busy);
    refused(|lab| lab.runs_unlisted(GuestId::ct(202)), busy);
    refused(
        |lab| {
            // It runs on pve2, and its memory is on the way.
            let request = MigrateRequest {
                target: "pve1".to_owned(),
                online: true,
                restart: false,
                with_local_disks: false,
                with_conntrack_state: false,
                storages: None,
                user: "root@pam".to_owned(),
            };
            lab.world.migrate(&"pve2".into(), GuestId::vm(120), request).unwrap();
            lab.wait_s(5);
            assert!(lab.world.migrations.running.contains_key(&GuestId::vm(120)), "it is on the way");
        },
        busy,
    );
    let mut lab = Lab::new();
    assert_eq!(lab.reboot(), (0, String::new()), "nothing is against it");
    lab.wait_s(300);
    assert_ne!(lab.boot(), Lab::new().boot(), "and it was rebooted");
}

#[test]
fn an_order_for_another_boot_or_after_its_time_does_nothing() {
    let mut lab = Lab::new();
    let (boot, up) = (lab.boot(), lab.uptime_s());
    let noout = |lab: &mut Lab, boot: &str, latest: u64| {
        lab.order(Condition::Ours, &[boot, &latest.to_string(), DRIVER, "ceph", "osd", "set-group", "noout", "pve1"])
    };
    assert_eq!(noout(&mut lab, "6a0f2f5c-0000-4000-a000-000000000001", up), not_done("the node has booted since"));
    assert_eq!(noout(&mut lab, &boot, up - 1), not_done("it comes too late"));
    assert_eq!(noout(&mut lab, &boot, up), (0, String::new()), "at the last moment");
}

#[test]
fn votes_are_lowered_only_where_there_is_no_quorum() {
    let mut lab = Lab::new();
    let lower = |lab: &mut Lab| {
        let (boot, latest) = (lab.boot(), (lab.uptime_s() + 60).to_string());
        lab.order(Condition::NoQuorum, &[&boot, &latest, "pvecm", "expected", "1"])
    };
    assert_eq!(lower(&mut lab), not_done("the node has quorum, or cannot tell"));
    for link in 0..lab.world.nodes[&lab.node].links.len() {
        lab.world.set_link(&lab.node.clone(), link, false);
    }
    lab.wait_s(20);
    assert_eq!(lower(&mut lab), (0, String::new()));
    assert!(lab.world.corosync.views[&lab.node].quorate, "it was lowered");
}

#[test]
fn the_unit_of_an_upgrade_is_not_started_twice_and_not_after_a_boot_that_forgot_it() {
    let mut lab = Lab::new();
    let (boot, latest) = (lab.boot(), (lab.uptime_s() + 3600).to_string());
    let unit = [
        "systemd-run",
        "--unit=quorate-upgrade-ab12",
        "--property=RemainAfterExit=yes",
        "apt-get",
        "-y",
        "dist-upgrade",
    ];
    let upgrade = |lab: &mut Lab| {
        let arguments: Vec<&str> = [boot.as_str(), latest.as_str(), DRIVER].into_iter().chain(unit).collect();
        lab.order(Condition::Ours, &arguments)
    };
    assert_eq!(upgrade(&mut lab).0, 0);
    let again = upgrade(&mut lab);
    assert_eq!(again.0, 1, "{again:?}");
    assert!(
        again.1.ends_with("Unit quorate-upgrade-ab12.service was already loaded or has a fragment file."),
        "{again:?}"
    );
    lab.wait_s(900);
    // HA has started its guests again.
    lab.empty();
    assert_eq!(lab.reboot(), (0, String::new()));
    lab.wait_s(300);
    assert!(lab.world.nodes[&lab.node].units.is_empty(), "a boot forgets transient units");
    assert_eq!(upgrade(&mut lab), not_done("the node has booted since"));
}

/// Programs of a node, as far as the scripts ask them.
fn programs(folder: &Path) {
    let program = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("stat", r#"echo "$MODE""#);
    // The lock is elsewhere here; any other question is for the real program.
    program("grep", r#"if [ "$1" = -F ]; then printf %s "$LOCK" | /bin/grep -F "$2"; else exec /bin/grep "$@"; fi"#);
    program("qm", r#"echo "$VMS"; exit "$QM""#);
    program("pct", r#"echo "$CTS""#);
    program("systemctl", r#"if [ "$1" = reboot ]; then echo rebooted; else printf %s "$UNITS"; fi"#);
}

/// The lab's shell is written from the rules of the shell; here the scripts meet a real one.
#[test]
fn a_real_shell_refuses_and_carries_out_the_same_orders() {
    let folder = std::env::temp_dir().join(format!("quorate-fence-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    programs(&folder);
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let boot = read("/proc/sys/kernel/random/boot_id").trim().to_owned();
    let latest = read("/proc/uptime").split('.').next().unwrap().parse::<u64>().unwrap() + 60;
    let vms =
        "      VMID NAME   STATUS     MEM(MB)    BOOTDISK(GB) PID\n       101 VM 101 stopped    2048  32.00 0         ";
    let cts = "VMID       Status     Lock         Name\n201        stopped                 running";
    let told = |change: &[(&str, &str)], arguments: [&str; 3]| {
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", &Condition::OursAndEmpty.script(), "quorate"]).args(arguments).args(["systemctl", "reboot"]);
        shell.env("PATH", path).env("MODE", "lrwxr-xr-x").env("LOCK", lock_of(DRIVER, false));
        shell.env("VMS", vms).env("QM", "0").env("CTS", cts).env("UNITS", "");
        let output = shell.envs(change.iter().copied()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code().unwrap(), said.lines().last().unwrap_or_default().to_owned())
    };
    let ours = [boot.as_str(), &latest.to_string(), DRIVER].map(str::to_owned);
    let ours = ours.each_ref().map(String::as_str);
    assert_eq!(told(&[], ours), (0, "rebooted".to_owned()));
    assert_eq!(told(&[], ["x", ours[1], DRIVER]), not_done("the node has booted since"));
    assert_eq!(told(&[], [ours[0], "1", DRIVER]), not_done("it comes too late"));
    let foreign = "this driver does not hold the lock in the cluster";
    assert_eq!(told(&[], [ours[0], ours[1], "ffffffffffffffff"]), not_done(foreign));
    let rows = [
        ("MODE", "lr-xr-xr-x".to_owned(), "the node has no quorum"),
        ("LOCK", lock_of(DRIVER, true), foreign),
        ("LOCK", String::new(), foreign),
        ("QM", "1".to_owned(), "what runs on the node cannot be read"),
        ("VMS", vms.replace("32.00 0", "32.00 341"), "a guest runs on the node"),
        ("CTS", cts.replace("stopped ", "running "), "a guest runs on the node"),
        ("UNITS", "102.scope loaded active running Proxmox VE VM 102".to_owned(), "a guest runs on the node"),
    ];
    for (variable, value, why) in rows {
        assert_eq!(told(&[(variable, &value)], ours), not_done(why), "{variable}");
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// An order as it was sent, and the world that it was sent into.
struct Sent {
    node: NodeName,
    argv: Vec<String>,
    world: World,
}

/// Keeps every order that carries a condition.
struct Keeping {
    sim: SimPorts,
    inner: Arc<dyn Shell>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Shell for Keeping {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        if argv.get(3).is_some_and(|name| name == "quorate") {
            let world = self.sim.world().clone();
            self.sent.lock().unwrap().push(Sent { node: node.clone(), argv: argv.to_vec(), world });
        }
        self.inner.run_bounded(node, argv, deadline, bound)
    }
}

/// Every order of a whole run over the demo cluster.
async fn orders_of_a_run() -> Vec<Sent> {
    let sim = SimPorts::new(Arc::new(Mutex::new(common::demo())));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let plain = sim.ports();
    let keeping = Keeping { sim: sim.clone(), inner: plain.shell.clone(), sent: sent.clone() };
    let ports = Ports { shell: Arc::new(keeping), ..plain };
    common::complete_the_demo(&sim, ports, DriverId::drawn(7)).await;
    std::mem::take(&mut *sent.lock().unwrap())
}

/// Delivers a command line into a world, and says whether the world is another one afterwards.
fn changes(world: &World, node: &NodeName, argv: &[String]) -> (i32, bool) {
    let mut after = world.clone();
    let answer = Wire::new(Gate::default()).shell(&mut after, node, &quote_all(argv));
    let ShellExit::Status(status) = answer.exit;
    (status, format!("{world:?}") != format!("{after:?}"))
}

#[tokio::test]
async fn no_order_of_a_run_takes_effect_late_after_a_boot_or_from_a_driver_that_is_no_more() {
    let orders = orders_of_a_run().await;
    let programs: BTreeSet<&str> = orders.iter().map(|sent| sent.argv[7].as_str()).collect();
    assert_eq!(programs, BTreeSet::from(["ceph", "ha-manager", "pvesh", "systemctl", "systemd-run"]));
    for Sent { node, argv, world } in &orders {
        let told = &argv[7..];
        let later = |change: &dyn Fn(&mut World)| {
            let mut world = world.clone();
            change(&mut world);
            world
        };
        let worlds = [
            ("late", later(&|world| Wire::default().advance(world, world.now_ms + 600_000))),
            ("after a boot", later(&|world| world.nodes.get_mut(node).unwrap().boot_id = "another".into())),
            ("of a former driver", later(&|world| world.pmxcfs_write(node, LOCK, &lock_of(DRIVER, false)).unwrap())),
        ];
        for (when, world) in &worlds {
            assert_eq!(changes(world, node, argv), (NOT_DONE, false), "{when}: {told:?}");
            // Without its condition it would.
            assert!(changes(world, node, told).1, "{when}: {told:?} is no test");
        }
        assert!(changes(world, node, argv).1, "in time it is carried out: {told:?}");
    }
}
