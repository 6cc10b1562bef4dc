//! What others do in the middle of a run, and daemons and storages that are away for a while.

use super::*;
use crate::faults::{Fault, FaultKind};
use crate::node::Power;

fn strike(world: &mut World, kind: FaultKind) {
    world.inject(Fault { at_s: 0, kind });
    run_s(world, 1);
}

#[test]
fn an_administrator_reboots_a_node_and_its_guests_come_back() {
    let mut world = demo();
    run_s(&mut world, 60);
    let boots = world.nodes[&node("pve1")].boots;
    strike(&mut world, FaultKind::AdminReboots { node: node("pve1") });
    assert!(matches!(world.nodes[&node("pve1")].power, Power::GoingDown { .. }));
    run_s(&mut world, 1_200);
    assert_eq!((world.nodes[&node("pve1")].boots, &world.nodes[&node("pve1")].power), (boots + 1, &Power::On));
    assert_eq!(report(&world).guests_lost, 0, "{}", story(&world));
}

#[test]
fn an_administrator_upgrades_a_node_and_holds_the_lock_of_dpkg() {
    let mut world = demo();
    let upid = world.apt_update(&node("pve1"), ME).unwrap();
    task_ends(&mut world, &upid);
    strike(&mut world, FaultKind::AdminUpgrades { node: node("pve1") });
    run_s(&mut world, 5);
    assert!(world.nodes[&node("pve1")].packages.locked_by.is_some());
    run_s(&mut world, 1_800);
    assert!(!world.is_behind_archive(&node("pve1")) && world.nodes[&node("pve1")].packages.locked_by.is_none());
}

#[test]
fn a_backup_locks_its_guest_so_long_and_no_longer() {
    let mut world = demo();
    let id = GuestId::vm(110);
    strike(&mut world, FaultKind::Backup { guest: id, seconds: 300 });
    let from = world.guests[&id].node.clone();
    let target = if from == node("pve2") { "pve3" } else { "pve2" };
    let refused = world.migrate(&from, id, to(target)).unwrap_err().to_string();
    assert!(refused.contains("locked (backup)"), "{refused}");
    run_s(&mut world, 300);
    assert_eq!(world.guests[&id].lock, None);
    assert!(world.tasks.all.values().any(|task| task.kind == "vzdump" && task.end.is_some()));
}

#[test]
fn a_new_guest_runs_where_it_was_created() {
    let mut world = demo();
    let before = world.guests.len();
    strike(&mut world, FaultKind::NewGuest { node: node("pve2"), memory_mib: 512 });
    run_s(&mut world, 10);
    let new = world.guests.values().max_by_key(|guest| guest.id.vmid.0).unwrap();
    assert_eq!((world.guests.len(), new.node.as_str(), new.serves()), (before + 1, "pve2", true));
    assert!(world.nodes[&node("pve2")].processes.contains(&new.id));
}

#[test]
fn a_shutdown_that_hangs_keeps_corosync_and_loses_the_api() {
    let mut world = demo();
    let pve2 = node("pve2");
    strike(&mut world, FaultKind::ShutdownHangs { node: pve2.clone(), seconds: 600 });
    world.node_power(&pve2, crate::node::AfterDown::Reboot).unwrap();
    run_s(&mut world, 300);
    let machine = &world.nodes[&pve2];
    assert!(!machine.api_up && machine.ssh_up && machine.corosync_up && machine.is_up());
    assert_eq!(report(&world).fences, 0);
    until(&mut world, 900, "booted", |world| world.nodes[&node("pve2")].power == Power::On);
}

#[test]
fn a_maintainer_script_that_hangs_holds_the_lock_until_it_is_killed() {
    let mut world = demo();
    let pve1 = node("pve1");
    let upid = world.apt_update(&pve1, ME).unwrap();
    task_ends(&mut world, &upid);
    strike(&mut world, FaultKind::PostinstHangs { node: pve1.clone(), package: "pve-manager".to_owned() });
    let (unit, argv) = (UnitName::new("u"), ["apt-get", "dist-upgrade"].map(str::to_owned));
    world.systemd_run(&pve1, unit.clone(), None, &argv).unwrap();
    run_s(&mut world, 7_200);
    assert_eq!(world.nodes[&pve1].units[&unit].state, UnitState::Running);
    world.kill_upgrade(&pve1, &unit);
    let packages = &world.nodes[&pve1].packages;
    assert!(packages.interrupted && packages.locked_by.is_none() && packages.broken == ["pve-manager"]);
}

#[test]
fn a_download_that_breaks_off_leaves_every_package_as_it_was() {
    let mut world = demo();
    strike(&mut world, FaultKind::MirrorLost { node: node("pve1"), times: 1 });
    let before = world.nodes[&node("pve1")].packages.installed.clone();
    assert_eq!(upgrade(&mut world, "pve1"), 100);
    let packages = &world.nodes[&node("pve1")].packages;
    assert!(packages.installed == before && packages.broken.is_empty() && !packages.interrupted);
    world.nodes.get_mut(&node("pve1")).unwrap().units.clear();
    assert_eq!(upgrade(&mut world, "pve1"), 0);
}

#[test]
fn without_pmxcfs_nothing_can_be_written_for_some_seconds() {
    let mut world = demo();
    strike(&mut world, FaultKind::PmxcfsRestarts { node: node("pve1"), seconds: 20 });
    let lock = "/etc/pve/priv/lock/x";
    assert_eq!(world.pmxcfs_mkdir(&node("pve1"), lock), Err("No such file or directory"));
    assert_eq!(world.pmxcfs_mkdir(&node("pve2"), lock), Ok(()));
    run_s(&mut world, 20);
    assert_eq!(world.pmxcfs_mkdir(&node("pve1"), lock), Err("File exists"));
}

#[test]
fn a_storage_that_is_gone_stops_what_uses_it_there_and_lets_nothing_in() {
    let mut world = demo();
    let id = GuestId::vm(110);
    let (at, storage) = (world.guests[&id].node.clone(), world.guests[&id].disks[0].storage.clone().unwrap());
    let gone =
        |node: &NodeName, gone| FaultKind::StorageGone { node: node.clone(), storage: storage.to_string(), gone };
    strike(&mut world, gone(&at, true));
    assert!(!world.guests[&id].serves());
    strike(&mut world, gone(&at, false));
    assert!(world.guests[&id].serves());
    let other = if at == node("pve2") { node("pve3") } else { node("pve2") };
    strike(&mut world, gone(&other, true));
    let upid = world.migrate(&at, id, to(other.as_str())).unwrap();
    task_ends(&mut world, &upid);
    assert!(log(&world, &upid).contains("is not online"), "{}", log(&world, &upid));
    assert_eq!(world.guests[&id].node, at);
}

#[test]
fn a_full_osd_and_slow_monitors_are_reported_and_go_away() {
    let mut world = demo();
    let osd = *world.ceph.as_ref().unwrap().osds.keys().next().unwrap();
    let codes = |world: &World| -> Vec<String> {
        let (_, checks) = world.ceph.as_ref().unwrap().health(world.now_ms);
        checks.into_iter().map(|check| check.code).collect()
    };
    assert!(codes(&world).is_empty());
    strike(&mut world, FaultKind::OsdFills { osd, percent: 86 });
    assert_eq!(codes(&world), ["OSD_NEARFULL"]);
    strike(&mut world, FaultKind::OsdFills { osd, percent: 91 });
    assert_eq!(codes(&world), ["OSD_BACKFILLFULL"]);
    strike(&mut world, FaultKind::OsdFills { osd, percent: 0 });
    strike(&mut world, FaultKind::MonsSlow { seconds: 60 });
    assert_eq!(codes(&world), ["SLOW_OPS"]);
    run_s(&mut world, 60);
    assert!(codes(&world).is_empty());
}
