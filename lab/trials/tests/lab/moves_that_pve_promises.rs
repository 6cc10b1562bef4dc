//! What PVE's precondition call says nothing of, and what fails when the guest arrives: Quorate says it before, and the
//! world shows that it is so. And what only looks as if it would fail.

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::sync::{Arc, Mutex};

use quorate_core::checks::{self, GuestOutcomeKind, guest_outcome};
use quorate_core::command::Command;
use quorate_core::ids::{GuestId, GuestKind, NodeName};
use quorate_core::policy::{Policy, RebootWhen};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{Migrate, MoveMode, Step};
use quorate_pve::observe::{Look, observe};
use quorate_pve::ports::ApiRequest;
use quorate_trials::ports::SimPorts;
use quorate_world::World;
use quorate_world::cluster_file::world_from_toml;
use quorate_world::migration::MigrateRequest;

const PLAIN: &str = r#"
node = [
  { name = "pve1", memory_gib = 64, cpus = 16, links = ["10.10.1.1", "10.10.2.1"] },
  { name = "pve2", memory_gib = 64, cpus = 32, links = ["10.10.1.2", "10.10.2.2"] },
  { name = "pve3", memory_gib = 64, cpus = 16, links = ["10.10.1.3", "10.10.2.3"] },
]
storage = [
  { id = "nfs", kind = "nfs", shared = true, content = ["images", "rootdir"], total_gib = 3400 },
  { id = "local", kind = "dir", content = ["iso", "snippets"], total_gib = 100 },
]
guest = [
  { id = "vm:102", name = "web", node = "pve2", memory_mib = 4096, storage = "nfs" },
  { id = "ct:201", name = "dns", node = "pve2", memory_mib = 1024, storage = "nfs" },
]
[cluster]
name = "three"
"#;

const VM: GuestId = GuestId { vmid: quorate_core::ids::Vmid(102), kind: GuestKind::Vm };
const CT: GuestId = GuestId { vmid: quorate_core::ids::Vmid(201), kind: GuestKind::Ct };

/// The plain cluster with these texts in place of others.
fn world(changes: &[(&str, &str)]) -> World {
    let mut text = PLAIN.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    world_from_toml(&text, 1).unwrap()
}

/// Nothing is to be installed here: all nodes are rebooted.
fn every_node() -> Policy {
    Policy { reboot: RebootWhen::Always, ..Policy::default() }
}

fn seen(world: World) -> Snapshot {
    let known_nodes = world.nodes.keys().cloned().collect();
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let ports = sim.ports();
    common::block_on(observe(&ports, Look { known_nodes, ..Look::full() }))
}

/// What happens if the guest is sent to pve1 all the same: `OK`, or what PVE says.
fn sent_there(mut world: World, id: GuestId) -> String {
    let request = MigrateRequest {
        target: "pve1".to_owned(),
        online: id.kind == GuestKind::Vm,
        restart: id.kind == GuestKind::Ct,
        with_local_disks: true,
        with_conntrack_state: false,
        storages: None,
        user: "root@pam".to_owned(),
    };
    let upid = match world.migrate(&NodeName::from("pve2"), id, request) {
        Ok(upid) => upid,
        Err(refused) => return refused.to_string(),
    };
    world.advance_to(world.now_ms + 300_000);
    let log = world.tasks.all[&upid].log.join("\n");
    let starts = world.tasks.all.values().filter(|task| task.upid.as_str().contains(":vzstart:"));
    let started: Vec<String> = starts.filter_map(|task| Some(task.end.as_ref()?.exitstatus.clone())).collect();
    let guest = &world.guests[&id];
    match guest.serves() && guest.node.as_str() == "pve1" {
        true => "OK".to_owned(),
        false => format!("{log}\n{}", started.join("\n")),
    }
}

/// A guest that Quorate says cannot leave, for this reason, and that fails in this way if it is sent.
#[track_caller]
fn stays(changes: &[(&str, &str)], id: GuestId, words: &str, fails: &str) {
    let snapshot = seen(world(changes));
    let outcome = guest_outcome(&snapshot, &every_node(), &snapshot.guests[&id]);
    assert_eq!(outcome.kind, GuestOutcomeKind::Blocked, "{}", outcome.why);
    assert!(outcome.why.contains(words), "no {words:?} in {:?}", outcome.why);
    let sent = sent_there(world(changes), id);
    assert!(sent.contains(fails), "no {fails:?} in:\n{sent}");
}

/// A guest that moves in this way, and does if it is sent.
#[track_caller]
fn moves(changes: &[(&str, &str)], id: GuestId) {
    let snapshot = seen(world(changes));
    let outcome = guest_outcome(&snapshot, &every_node(), &snapshot.guests[&id]);
    let usual = if id.kind == GuestKind::Ct { GuestOutcomeKind::Restart } else { GuestOutcomeKind::Live };
    assert_eq!(outcome.kind, usual, "{}", outcome.why);
    assert_eq!(sent_there(world(changes), id), "OK");
}

const OF_VM: &str = "name = \"web\",";
const OF_CT: &str = "name = \"dns\",";
const OF_PVE2: &str = "name = \"pve2\",";
const OF_LOCAL: &str = "kind = \"dir\",";

#[test]
fn a_hook_script_that_only_one_node_has_keeps_its_guest_there() {
    let hook = (OF_VM, "name = \"web\", config = { hookscript = \"local:snippets/up.sh\" },");
    let everywhere = (OF_LOCAL, "kind = \"dir\", files = { \"snippets/up.sh\" = 1 },");
    let here = "kind = \"dir\", files = { \"snippets/up.sh\" = 1 }, only_on = { \"snippets/up.sh\" = [\"pve2\"] },";
    let gone = "script 'local:snippets/up.sh' does not exist";
    stays(&[hook, (OF_LOCAL, here)], VM, "pve1 does not have local:snippets/up.sh, its hookscript", gone);
    moves(&[hook, everywhere], VM);
    moves(&[], VM);
}

#[test]
fn a_display_that_qemu_does_not_migrate_keeps_its_vm() {
    let display = |kind: &str| format!("name = \"web\", config = {{ vga = \"{kind},memory=256\" }},");
    stays(&[(OF_VM, &display("virtio-gl"))], VM, "its display is virtio-gl", "virgl is not yet migratable");
    moves(&[(OF_VM, &display("virtio"))], VM);
}

#[test]
fn processors_are_judged_by_their_number_and_by_what_the_model_needs() {
    let cores = |count: u32| format!("name = \"web\", cores = {count},");
    let most = "MAX 16 vcpus allowed per VM on this node";
    stays(&[(OF_VM, &cores(24))], VM, "it has 24 virtual processors and pve1 has 16", most);
    moves(&[(OF_VM, &cores(16))], VM);
    let cpu = |model: &str| format!("name = \"web\", cpu = \"{model}\",");
    let older = ["pve1", "pve3"].map(|name| {
        let flags = "cpu_flags = [\"fpu\", \"sse4_2\", \"aes\", \"avx\", \"avx2\"]";
        (format!("name = \"{name}\","), format!("name = \"{name}\", {flags},"))
    });
    let older: Vec<(&str, &str)> = older.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    for model in ["x86-64-v4", "Skylake-Server-noTSX-IBRS", "host"] {
        let of_vm = cpu(model);
        let words = if model == "host" { "is the host's, and" } else { model };
        let changes: Vec<(&str, &str)> = older.iter().copied().chain([(OF_VM, of_vm.as_str())]).collect();
        let fails = if model == "x86-64-v4" { "Host doesn't support requested features" } else { "" };
        stays(&changes, VM, words, fails);
    }
    let of_vm = cpu("x86-64-v3");
    moves(&older.iter().copied().chain([(OF_VM, of_vm.as_str())]).collect::<Vec<_>>(), VM);
}

#[test]
fn a_vm_with_the_hosts_processor_moves_to_the_same_one_under_a_newer_kernel() {
    let changes = [
        (OF_VM, "name = \"web\", cpu = \"host\","),
        (
            "[cluster]",
            "[kernel]\nrunning = \"6.17.2-1-pve\"\nupcoming = \"6.17.4-1-pve\"\nupcoming_flags = [\"user_shstk\", \"bus_lock_detect\"]\n[cluster]",
        ),
    ];
    let upgraded = || {
        let mut world = world(&changes);
        for name in ["pve1", "pve3"] {
            world.nodes.get_mut(&NodeName::from(name)).unwrap().kernel.running = "6.17.4-1-pve".into();
        }
        world
    };
    let snapshot = seen(upgraded());
    assert!(snapshot.nodes[&NodeName::from("pve1")].cpu.known().unwrap().flags.contains("user_shstk"));
    let outcome = guest_outcome(&snapshot, &every_node(), &snapshot.guests[&VM]);
    assert_eq!(outcome.kind, GuestOutcomeKind::Live, "{}", outcome.why);
    assert_eq!(sent_there(upgraded(), VM), "OK");
}

#[test]
fn a_storage_that_is_no_longer_for_disks_keeps_its_guests() {
    let changes = [("content = [\"images\", \"rootdir\"]", "content = [\"rootdir\"]")];
    stays(&changes, VM, "storage nfs is not for images", "content type 'images' is not available on storage 'nfs'");
}

#[test]
fn a_device_of_a_container_is_looked_for_on_each_node_however_it_is_written() {
    let config = |line: &str| format!("name = \"dns\", config = {{ {line} }},");
    moves(&[(OF_CT, &config("dev0 = \"/dev/net/tun,mode=0666\""))], CT);
    moves(&[(OF_CT, &config("\"lxc.mount.entry\" = \"/dev/net/tun dev/net/tun none bind,create=file\""))], CT);
    let gpu = (OF_PVE2, "name = \"pve2\", paths = [\"/dev/dri/renderD128\"],");
    let fails = "startup for container '201' failed";
    let dev = config("dev0 = \"/dev/dri/renderD128\"");
    stays(&[gpu, (OF_CT, &dev)], CT, "pve1 does not have /dev/dri/renderD128, its dev0", fails);
    let raw = config("\"lxc.mount.entry\" = \"/dev/dri/renderD128 dev/dri/renderD128 none bind,create=file\"");
    stays(&[gpu, (OF_CT, &raw)], CT, "pve1 does not have /dev/dri/renderD128, its lxc.mount.entry", fails);
    // A folder of the node may be there on another one and hold something else: PVE moves the container nevertheless.
    let folder = config("\"lxc.mount.entry\" = \"/srv/media srv/media none bind,create=dir\"");
    stays(&[(OF_CT, &folder)], CT, "its mount point lxc.mount.entry /srv/media is a path of its node", "");
}

#[test]
fn a_setting_that_nobody_tests_is_a_warning() {
    let snapshot = seen(world(&[
        (OF_VM, "name = \"web\", config = { affinity = \"0-7\", \"warp-drive\" = \"on\" },"),
        (OF_CT, "name = \"dns\", config = { \"lxc.idmap\" = \"u 0 100000 65536\" },"),
    ]));
    let found = checks::run_all(&snapshot, &every_node(), checks::Asked::BeforeARun);
    for words in ["against the target: affinity, warp-drive", "against the target: lxc.idmap"] {
        assert!(found.iter().any(|finding| finding.problem.contains(words)), "{words}: {found:#?}");
    }
}

#[test]
fn a_move_outside_ha_takes_the_firewalls_connections_along() {
    let world = Arc::new(Mutex::new(world(&[])));
    let ports = SimPorts::new(world.clone()).ports();
    let known_nodes = world.lock().unwrap().nodes.keys().cloned().collect();
    let snapshot = common::block_on(observe(&ports, Look { known_nodes, ..Look::full() }));
    let step = Step::from(Migrate {
        guest: VM,
        from: "pve2".into(),
        to: "pve1".into(),
        mode: MoveMode::Live,
        storages: [].into(),
    });
    let Some(Command::Api { method, path, params }) = step.kind().command(&snapshot) else { panic!("no call") };
    let request = ApiRequest { method, path, params, avoid: Vec::new(), expires: None };
    common::block_on(ports.api.call(request)).unwrap();
    let mut world = world.lock().unwrap();
    let until_ms = world.now_ms + 300_000;
    world.advance_to(until_ms);
    let log: Vec<&String> = world.tasks.all.values().flat_map(|task| &task.log).collect();
    assert!(log.iter().any(|line| line.contains("conntrack state entries")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("conntrack state migration not supported")), "{log:#?}");
}

/// What is found about the ways, and what PVE says if a guest takes one.
fn about_ways(changes: &[(&str, &str)], break_it: fn(&mut World)) -> (Vec<String>, String) {
    let broken = || {
        let mut world = world(changes);
        break_it(&mut world);
        world
    };
    let found = checks::run_all(&seen(broken()), &every_node(), checks::Asked::BeforeARun);
    let blocks = |finding: &&checks::Finding| finding.severity == checks::Severity::Blocking;
    let ways = found.iter().filter(|finding| finding.check == "migration-ways").filter(blocks);
    (ways.map(|finding| finding.problem.clone()).collect(), sent_there(broken(), VM))
}

#[test]
fn a_way_that_is_closed_is_found_before_any_guest_takes_it() {
    let network = ("[cluster]", "[options]\nmigration_network = \"10.99.0.0/24\"\n[cluster]");
    let addresses = [1, 2, 3]
        .map(|n| (format!("name = \"pve{n}\","), format!("name = \"pve{n}\", addresses = [\"10.99.0.{n}/24\"],")));
    let with_addresses: Vec<(&str, &str)> =
        addresses.iter().map(|(old, new)| (old.as_str(), new.as_str())).chain([network]).collect();
    let (found, sent) = about_ways(&[network], |_| {});
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("pve1 has no address in the migration network 10.99.0.0/24"), "{found:#?}");
    assert!(sent.contains("no IP address configured on local node for network '10.99.0.0/24'"), "{sent}");

    assert_eq!(about_ways(&with_addresses, |_| {}), (vec![], "OK".to_owned()));
    assert_eq!(about_ways(&[], |_| {}), (vec![], "OK".to_owned()));

    let (found, sent) = about_ways(&[], |world| {
        world
            .nodes
            .get_mut(&NodeName::from("pve2"))
            .unwrap()
            .surroundings
            .login_fails
            .insert("pve1".into(), "Host key verification failed.".into());
    });
    assert_eq!(
        found,
        ["pve2 cannot log in at pve1 (10.10.1.1) as PVE does to move a guest: Host key verification failed."]
    );
    assert!(sent.contains("Can't connect to destination address using public key"), "{sent}");

    let (found, sent) = about_ways(&with_addresses, |world| {
        world.nodes.get_mut(&NodeName::from("pve2")).unwrap().surroundings.mtu = 9000;
    });
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("packets of 9000 bytes from pve2 do not reach pve1"), "{found:#?}");
    assert_ne!(sent, "OK", "it hangs");
}
