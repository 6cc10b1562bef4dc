//! Packages, repositories, kernels, disks and boots that fail.

use super::*;
use crate::faults::{Fault, FaultKind};

fn planned_fault(world: &mut World, kind: FaultKind) {
    world.inject(Fault { at_s: 0, kind });
    run_s(world, 1);
}

fn log_of(world: &World, name: &str) -> String {
    world.nodes[&node(name)].unit_logs.values().flatten().cloned().collect::<Vec<_>>().join("\n")
}

/// Runs dist-upgrade with these arguments in its own unit and returns the exit status.
fn dist_upgrade(world: &mut World, name: &str, unit: &str, words: &[&str]) -> i32 {
    let upid = world.apt_update(&node(name), ME).unwrap();
    task_ends(world, &upid);
    let unit = UnitName::new(unit);
    let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    world.systemd_run(&node(name), unit.clone(), Some(format!("/var/log/{unit}.log")), &argv).unwrap();
    until(world, 1_000, "end", |w| w.nodes[&node(name)].units[&unit].state != UnitState::Running);
    match world.nodes[&node(name)].units[&unit].state {
        UnitState::Exited(status) => status,
        UnitState::Running => unreachable!("ended"),
    }
}

#[test]
fn dpkg_keeps_a_changed_configuration_file_if_told_to_and_otherwise_stops_half_way() {
    let ask = || FaultKind::AptAsks { node: node("pve1"), package: "pve-manager".to_owned() };
    let mut world = demo();
    planned_fault(&mut world, ask());
    let told = ["apt-get", "-y", "-o", "Dpkg::Options::=--force-confold", "dist-upgrade"];
    assert_eq!(dist_upgrade(&mut world, "pve1", "told", &told), 0);
    assert!(log_of(&world, "pve1").contains("Keeping old config file as default"));
    let mut world = demo();
    planned_fault(&mut world, ask());
    assert_eq!(dist_upgrade(&mut world, "pve1", "untold", &["apt-get", "-y", "dist-upgrade"]), 100);
    assert!(log_of(&world, "pve1").contains("end of file on stdin at conffile prompt"));
    assert_eq!(world.nodes[&node("pve1")].packages.broken, ["pve-manager"]);
}

#[test]
fn an_interrupted_dpkg_refuses_apt_until_it_is_configured() {
    let mut world = demo();
    let upid = world.apt_update(&node("pve1"), ME).unwrap();
    task_ends(&mut world, &upid);
    let argv = ["apt-get", "dist-upgrade"].map(str::to_owned);
    world.systemd_run(&node("pve1"), UnitName::new("u"), None, &argv).unwrap();
    run_s(&mut world, 60);
    world.power_off(&node("pve1"));
    world.power_on(&node("pve1"));
    until(&mut world, 300, "back", |w| back(w, "pve1"));
    let words = ["apt-get", "-y", "dist-upgrade"];
    assert_eq!(dist_upgrade(&mut world, "pve1", "again", &words), 100);
    assert!(log_of(&world, "pve1").contains("you must manually run 'dpkg --configure -a'"));
    assert!(world.dpkg_configure(&node("pve1")));
    assert_eq!(dist_upgrade(&mut world, "pve1", "third", &words), 0);
    assert!(world.nodes[&node("pve1")].packages.broken.is_empty());
}

#[test]
fn a_repository_without_a_subscription_fails_every_update_until_it_is_switched_off() {
    let mut world = demo();
    planned_fault(&mut world, FaultKind::NoSubscription { node: node("pve2") });
    for _ in 0..2 {
        let upid = world.apt_update(&node("pve2"), ME).unwrap();
        assert_eq!(task_ends(&mut world, &upid), "command 'apt-get update' failed: exit code 100");
        assert!(log(&world, &upid).contains("401  Unauthorized"));
    }
    let machine = world.nodes.get_mut(&node("pve2")).unwrap();
    machine.repositories.retain(|repository| repository.component != "pve-enterprise");
    let upid = world.apt_update(&node("pve2"), ME).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    let upid = world.apt_update(&node("pve1"), ME).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK", "the others never had it");
}

#[test]
fn upgrades_fill_the_disk_and_a_full_boot_breaks_the_kernels_package() {
    let mut world = demo();
    let free = world.nodes[&node("pve1")].root_free_bytes;
    assert_eq!(upgrade(&mut world, "pve1"), 0);
    let used = free - world.nodes[&node("pve1")].root_free_bytes;
    assert!((600 << 20..2 << 30).contains(&used), "{used}");
    world.nodes.get_mut(&node("pve2")).unwrap().boot_free_bytes = 100 << 20;
    assert_eq!(upgrade(&mut world, "pve2"), 100);
    assert_eq!(world.nodes[&node("pve2")].packages.broken, ["proxmox-kernel-6.17.4-1-pve-signed"]);
    assert_eq!(world.nodes[&node("pve2")].kernel.will_boot().as_str(), "6.17.2-1-pve");
}

#[test]
fn a_node_that_boots_with_renamed_network_cards_is_unreachable_until_someone_goes_there() {
    let mut world = demo();
    planned_fault(&mut world, FaultKind::BootRenamesNics { node: node("pve3") });
    world.power_off(&node("pve3"));
    world.power_on(&node("pve3"));
    run_s(&mut world, 900);
    let machine = &world.nodes[&node("pve3")];
    assert!(machine.is_up() && !machine.ssh_up && !machine.api_up, "it runs, and does not answer");
    assert_eq!(world.corosync.views[&node("pve3")].members.len(), 1);
    assert!(!world.corosync.quorate(&node("pve3")));
    for link in [0, 1] {
        world.inject(Fault { at_s: 0, kind: FaultKind::LinkUp { node: node("pve3"), link } });
    }
    until(&mut world, 60, "back", |w| back(w, "pve3") && w.nodes[&node("pve3")].ssh_up);
}

#[test]
fn a_clock_that_jumps_shows_in_what_its_daemons_write_and_in_ceph() {
    let mut world = demo();
    run_s(&mut world, 31);
    planned_fault(&mut world, FaultKind::ClockSkew { node: node("pve2"), skew_ms: 90_000 });
    run_s(&mut world, 15);
    assert!(world.ha.lrm[&node("pve2")].timestamp_ms > world.now_ms + 60_000);
    let codes = |w: &World| {
        let (_, checks) = w.ceph.as_ref().unwrap().health(w.now_ms);
        checks.into_iter().map(|check| check.summary).collect::<Vec<_>>()
    };
    assert_eq!(codes(&world), ["clock skew detected on mon.pve2"]);
    planned_fault(&mut world, FaultKind::ClockSkew { node: node("pve2"), skew_ms: 0 });
    run_s(&mut world, 15);
    assert!(codes(&world).is_empty());
    assert!(report(&world).clean);
}
