//! What other tools did on a genuine three-node cluster, repeated here: the same steps, and the measured figures
//! beside the lab's. Everything measured is met within a quarter (`docs/lab-world.md` has the table).
//!
//! The genuine nodes were containers: they boot in half a minute, and their packages are placeholders that install in
//! no time. That is this cluster's [`MachineSpeed`]; everything else is as in any world.

use std::collections::BTreeSet;

use super::*;
use crate::ha::{LrmMode, ServiceState};
use crate::node::AfterDown;
use crate::speed::MachineSpeed;

/// The genuine cluster: four small guests, two of them under HA on a shared storage, 33 placement groups.
const GENUINE: &str = r#"
[cluster]
name = "testcluster"
token_ms = 3000

[kernel]
running = "6.17.13-2-pve"
upcoming = "6.17.14-1-pve"

[installed]
proxmox-ve = "9.1.0"
pve-manager = "9.1.8"
pve-ha-manager = "5.1.3"
pve-qemu-kvm = "10.1.2-7"
"proxmox-kernel-6.17" = "6.17.13-2"
corosync = "3.1.10-pve2"
ceph-osd = "18.2.7-1"
ceph-mon = "18.2.7-1"
ceph-mgr = "18.2.7-1"

[archive]
pve-manager = "9.1.9"
pve-ha-manager = "5.1.4"
"proxmox-kernel-6.17" = "6.17.14-1"

[ceph]
release = "reef"
pool = [
  { name = ".mgr", pg_num = 1, application = "mgr" },
  { name = "rbd", pg_num = 32, application = "rbd", stored_gib = 1 },
]

[[node]]
name = "pve1"
memory_gib = 24
cpus = 2
host_used_gib = 9
links = ["10.77.0.1"]
osds = 1
ceph = ["mon", "mgr"]
[[node]]
name = "pve2"
memory_gib = 24
cpus = 2
host_used_gib = 9
links = ["10.77.0.2"]
osds = 1
ceph = ["mon", "mgr"]
[[node]]
name = "pve3"
memory_gib = 24
cpus = 2
host_used_gib = 9
links = ["10.77.0.3"]
osds = 1
ceph = ["mon", "mgr"]

[[storage]]
id = "shared"
kind = "dir"
shared = true
content = ["images"]
total_gib = 252
[[storage]]
id = "local"
kind = "dir"
content = ["images", "iso"]
total_gib = 252

[[guest]]
id = "vm:101"
name = "web1"
node = "pve2"
memory_mib = 64
storage = "shared"
disk_gib = 1
ha = "started"
dirty_mib_per_s = 1
shutdown_s = 5
[[guest]]
id = "vm:102"
name = "db1"
node = "pve1"
memory_mib = 64
storage = "shared"
disk_gib = 1
ha = "started"
dirty_mib_per_s = 1
shutdown_s = 5
[[guest]]
id = "vm:103"
name = "localdisk"
node = "pve3"
memory_mib = 64
storage = "local"
disk_gib = 1
dirty_mib_per_s = 1
shutdown_s = 5
[[guest]]
id = "vm:104"
name = "hostcpu"
node = "pve1"
memory_mib = 64
storage = "shared"
disk_gib = 1
cpu = "host"
dirty_mib_per_s = 1
shutdown_s = 5
"#;

/// That cluster after half a minute.
fn genuine(seed: u64) -> World {
    at_speed(GENUINE, seed)
}

fn at_speed(text: &str, seed: u64) -> World {
    let mut world = world_from_toml(text, seed).unwrap();
    world.speed = MachineSpeed { boot_s: (29, 33), download_ms: 4_000, package_ms: 5_000 };
    run_s(&mut world, 31);
    world
}

/// All four on one node, as before the two drains.
fn all_on(name: &str, seed: u64) -> World {
    let text = ["pve1", "pve2", "pve3"].iter().fold(GENUINE.to_owned(), |text, other| {
        text.replace(&format!("node = \"{other}\""), &format!("node = \"{name}\""))
    });
    at_speed(&text, seed)
}

/// Within a quarter of what was measured.
fn about(what: &str, measured: u64, lab: u64) {
    println!("{what}: measured {measured}, lab {lab}");
    let (low, high) = (measured * 3 / 4, (measured * 5).div_ceil(4));
    assert!(
        (low..=high).contains(&lab),
        "{what}: {lab} here, {measured} measured ({low} to {high} is within a quarter)"
    );
}

/// Between the two measured figures, or within a quarter of the nearer one.
fn between(what: &str, measured: (u64, u64), lab: u64) {
    println!("{what}: measured {} to {}, lab {lab}", measured.0, measured.1);
    let (low, high) = (measured.0 * 3 / 4, (measured.1 * 5).div_ceil(4));
    assert!((low..=high).contains(&lab), "{what}: {lab} here, {} to {} measured", measured.0, measured.1);
}

fn seconds(world: &World, since_ms: u64) -> u64 {
    (world.now_ms - since_ms) / 1000
}

fn degraded(world: &World) -> u32 {
    let states = world.ceph.as_ref().unwrap().pg_states(world.now_ms);
    states.iter().filter(|(state, _)| state.contains("degraded")).map(|(_, count)| count).sum()
}

fn api(world: &World, name: &str) -> bool {
    world.nodes[&node(name)].api_answers(world.now_ms)
}

/// `pvesh create /nodes/N/qemu/ID/migrate -online 1 -with-local-disks 1`: back when the task has ended, by the second.
fn pvesh_migrate(world: &mut World, id: GuestId, target: &str) {
    let from = world.guests[&id].node.clone();
    let request = MigrateRequest { with_local_disks: true, ..to(target) };
    if let Ok(upid) = world.migrate(&from, id, request) {
        task_ends(world, &upid);
    }
}

/// The node with the most free memory, by what `/cluster/resources` shows; the first of equals.
fn most_free(world: &World, but: &str) -> String {
    let others = world.nodes.keys().filter(|name| name.as_str() != but && api(world, name.as_str()));
    let best = others.max_by_key(|name| (world.node_free_bytes(name), std::cmp::Reverse((*name).clone())));
    best.expect("another node is there").to_string()
}

fn running_on(world: &World, name: &str) -> Vec<GuestId> {
    world.nodes[&node(name)].processes.iter().copied().collect()
}

#[test]
fn a_reboot_of_an_empty_node_is_refused_after_25_s_and_answered_again_after_64_s() {
    let mut world = genuine(7);
    let t = world.now_ms;
    for id in running_on(&world, "pve3") {
        world.process_ends(id, &node("pve3"));
    }
    world.node_power(&node("pve3"), AfterDown::Reboot).unwrap();
    run_s(&mut world, 17);
    assert_eq!(world.corosync.views[&node("pve1")].members.len(), 3, "every node says online at +17 s");
    until(&mut world, 60, "gone", |w| !api(w, "pve3"));
    about("the API is gone, s", 25, seconds(&world, t));
    until(&mut world, 30, "offline", |w| w.corosync.views[&node("pve1")].members.len() == 2);
    until(&mut world, 90, "back", |w| api(w, "pve3"));
    about("the API is back, s", 64, seconds(&world, t));
    about("uptime then, s", 17, world.nodes[&node("pve3")].uptime_s(world.now_ms));
}

#[test]
fn proxpatch_as_installed_upgrades_everything_under_its_guests_and_reboots_nothing() {
    let mut world = genuine(7);
    let t = world.now_ms;
    let (mut frozen_since, mut frozen) = (std::collections::BTreeMap::new(), Vec::new());
    for name in ["pve2", "pve3", "pve1"] {
        // apt-get update && apt-get -y dist-upgrade, guests and all; no file says that a reboot is needed.
        let upid = world.apt_update(&node(name), ME).unwrap();
        task_ends(&mut world, &upid);
        let unit = UnitName::new("apt");
        let argv = ["apt-get", "-y", "dist-upgrade"].map(str::to_owned);
        world.systemd_run(&node(name), unit.clone(), None, &argv).unwrap();
        while world.nodes[&node(name)].units[&unit].state == UnitState::Running {
            run_s(&mut world, 1);
            watch_frozen(&world, &mut frozen_since, &mut frozen);
        }
    }
    about("all three upgraded, s", 115, seconds(&world, t));
    for _ in 0..40 {
        run_s(&mut world, 1);
        watch_frozen(&world, &mut frozen_since, &mut frozen);
    }
    assert!(!frozen.is_empty());
    for s in frozen {
        between("an HA service frozen, s", (11, 21), s);
    }
    let report = report(&world);
    assert_eq!((report.moves, report.unconsented_downtime_s, report.fences), (0, 0, 0));
    assert!(world.nodes.values().all(|node| node.kernel.running.as_str() == "6.17.13-2-pve" && node.boots == 1));
    assert_eq!(report.nodes_upgraded, 0, "all three still on the old kernel");
}

fn watch_frozen(world: &World, since: &mut std::collections::BTreeMap<GuestId, u64>, ended: &mut Vec<u64>) {
    for (sid, service) in &world.ha.manager.services {
        if service.state == ServiceState::Freeze {
            since.entry(*sid).or_insert(world.now_ms);
        } else if let Some(from) = since.remove(sid) {
            ended.push(seconds(world, from));
        }
    }
}

/// What ProxPatch does with one node that has the flag: moves every VM, enables maintenance, waits, reboots.
fn proxpatch_reboots(world: &mut World, name: &str) {
    for id in running_on(world, name) {
        let target = most_free(world, name);
        pvesh_migrate(world, id, &target);
    }
    world.ha_maintenance(&node(name), name, true).unwrap();
    run_s(world, 30);
    world.node_power(&node(name), AfterDown::Reboot).unwrap();
}

#[test]
fn proxpatch_with_its_flags_set_leaves_its_own_node_in_maintenance() {
    let mut world = genuine(7);
    let t = world.now_ms;
    let mut worst = BTreeSet::new();
    // Upgrades as above; they take the same time.
    run_s(&mut world, 115);
    // Its own node goes first, and the tool with it. The service starts again with the node and starts over.
    proxpatch_reboots(&mut world, "pve1");
    until(&mut world, 300, "its own node is back", |w| w.nodes[&node("pve1")].boots == 2 && api(w, "pve1"));
    run_s(&mut world, 115);
    for name in ["pve2", "pve3"] {
        proxpatch_reboots(&mut world, name);
        for _ in 0..120 {
            run_s(&mut world, 1);
            worst.insert(degraded(&world));
        }
        world.ha_maintenance(&node(name), name, false).unwrap();
        run_s(&mut world, 30);
        run_s(&mut world, 30);
    }
    about("in all, s", 816, seconds(&world, t));
    assert_eq!(worst.last(), Some(&33), "33 of 33 groups degraded, without noout");
    assert_eq!(world.nodes.values().map(|node| node.boots - 1).sum::<u32>(), 3, "three reboots");
    let report = report(&world);
    about("moves of four guests", 8, u64::from(report.moves));
    assert!(world.ha.manager.maintenance_requests.contains(&node("pve1")), "for good");
    let twice = world.impact.rules_broken.iter().filter(|(_, rule, _)| rule == "one-node-out").count();
    assert!(twice >= 2, "two nodes in maintenance, twice: {:?}", report.events);
    assert!(!report.clean);
}

#[test]
fn a_loop_that_goes_by_the_text_of_ha_manager_reboots_under_the_guest_outside_ha() {
    // One HA guest on each of the two nodes that it reboots.
    let text = GENUINE.replace("name = \"db1\"\nnode = \"pve1\"", "name = \"db1\"\nnode = \"pve3\"");
    let mut world = at_speed(&text, 7);
    let t = world.now_ms;
    let outside = GuestId::vm(103);
    let mut worst = 0;
    let (mut down_ms, mut down) = (0, false);
    let mut second = |world: &mut World, worst: &mut u32| {
        run_s(world, 1);
        *worst = (*worst).max(degraded(world));
        down = !world.guests[&outside].serves();
        down_ms += u64::from(down) * 1000;
    };
    for name in ["pve2", "pve3"] {
        world.ha_maintenance(&node("pve1"), name, true).unwrap();
        let has_ha = world.ha.manager.services.values().any(|service| service.node == node(name));
        // grep -q "maintenance mode": it says so long before the node is empty.
        while world.ha.lrm[&node(name)].mode != LrmMode::Maintenance {
            second(&mut world, &mut worst);
        }
        let said = world.now_ms;
        let busy = |w: &World| {
            w.ha.manager.services.values().any(|s| s.node == node(name) && s.state != ServiceState::Stopped)
        };
        while busy(&world) {
            second(&mut world, &mut worst);
        }
        if has_ha {
            between("the text before the node is empty, s", (19, 30), seconds(&world, said));
        }
        while seconds(&world, said) < 30 {
            second(&mut world, &mut worst);
        }
        world.node_power(&node(name), AfterDown::Reboot).unwrap();
        let boots = world.nodes[&node(name)].boots;
        while world.nodes[&node(name)].boots == boots || !api(&world, name) {
            second(&mut world, &mut worst);
        }
        world.ha_maintenance(&node("pve1"), name, false).unwrap();
        for _ in 0..75 {
            second(&mut world, &mut worst);
        }
    }
    about("in all, s", 378, seconds(&world, t));
    about("the guest outside HA was stopped, s", 67, down_ms / 1000);
    assert_eq!(worst, 33, "33 of 33 groups degraded, without noout");
    let report = report(&world);
    between("moves of two HA guests", (4, 5), u64::from(report.moves));
    assert!(report.rules_broken > 0 && !report.clean);
}

/// Advances to the next poll of a tool that polls every so many seconds.
fn next_look(world: &mut World, since_ms: u64, every_s: u64) {
    let over_s = seconds(world, since_ms) % every_s;
    run_s(world, every_s - over_s);
}

#[test]
fn pvecontrol_evacuate_says_ok_before_the_ha_guests_have_left() {
    let mut world = all_on("pve1", 7);
    let t = world.now_ms;
    let target = most_free(&world, "pve1");
    let mut ordered = Vec::new();
    for id in running_on(&world, "pve1") {
        let from = world.now_ms;
        pvesh_migrate(&mut world, id, &target);
        next_look(&mut world, from, 5);
        ordered.push((id, world.now_ms));
    }
    about("drained, it says, s", 52, seconds(&world, t));
    for (id, said_ms) in ordered.into_iter().filter(|(id, _)| world.ha_managed(*id)) {
        let left = world.tasks.all.values().find(|task| task.kind == "qmigrate" && task.id == id.vmid.to_string());
        let left_s = left.and_then(|task| task.end.as_ref()).map(|end| end.endtime_s).unwrap();
        between("OK before the guest had left, s", (16, 20), left_s - said_ms / 1000);
    }
    assert_eq!(report(&world).moves, 4);
    let on: BTreeSet<String> = world.guests.keys().map(|id| where_is(&world, *id)).collect();
    assert_eq!(on.len(), 1, "all four piled on one node");
}

#[test]
fn proxlb_waits_for_the_real_moves() {
    let mut world = all_on("pve1", 7);
    let t = world.now_ms;
    for id in running_on(&world, "pve1") {
        let from = world.now_ms;
        let target = most_free(&world, "pve1");
        pvesh_migrate(&mut world, id, &target);
        // It asks HA's state until the guest is there.
        until(&mut world, 120, "there", |w| {
            let at_rest = w.ha.manager.services.get(&id).is_none_or(|service| service.state == ServiceState::Started);
            where_is(w, id) == target && at_rest
        });
        next_look(&mut world, from, 2);
    }
    about("drained, s", 93, seconds(&world, t));
    assert_eq!(report(&world).moves, 4);
    assert_eq!(report(&world).unconsented_downtime_s, 0);
}
