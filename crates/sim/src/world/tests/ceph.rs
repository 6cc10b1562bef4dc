//! Ceph: noout, recovery, the ten minutes, the two copies that are needed.

use super::*;
use crate::cluster_file::ClusterFile;
use quorate_core::ids::OsdId;

fn codes(world: &World) -> Vec<String> {
    let (_, checks) = world.ceph.as_ref().unwrap().health(world.now_ms);
    checks.into_iter().map(|check| check.code).collect()
}

fn four_nodes() -> World {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    let mut fourth = file.nodes[2].clone();
    fourth.name = node("pve4");
    fourth.links = vec!["10.10.1.4".to_owned(), "10.10.2.4".to_owned()];
    fourth.ceph.clear();
    file.nodes.push(fourth);
    World::build(&file, 7).unwrap()
}

#[test]
fn the_demo_cluster_has_129_clean_groups_on_three_hosts_each() {
    let world = demo();
    let ceph = world.ceph.as_ref().unwrap();
    assert_eq!(ceph.pgs.len(), 129);
    for pg in &ceph.pgs {
        let hosts: std::collections::BTreeSet<_> = pg.up.iter().map(|id| &ceph.osds[id].host).collect();
        assert_eq!(hosts.len(), 3);
    }
    assert!(clean(&world));
    assert_eq!(ceph.health(world.now_ms).0, "HEALTH_OK");
}

#[test]
fn a_host_down_with_noout_degrades_and_recovers_without_moving_anything() {
    let mut world = four_nodes();
    world.ceph_group(&["pve4".to_owned()], true).unwrap();
    assert_eq!(codes(&world), ["OSD_FLAGS"]);
    world.power_off(&node("pve4"));
    run_s(&mut world, 4);
    assert!(clean(&world), "the monitors have not noticed yet");
    until(&mut world, 25, "noticed", |w| codes(w).contains(&"OSD_HOST_DOWN".to_owned()));
    run_s(&mut world, 900);
    assert!(codes(&world).contains(&"PG_DEGRADED".to_owned()));
    world.power_on(&node("pve4"));
    until(&mut world, 400, "clean", clean);
    world.ceph_group(&["pve4".to_owned()], false).unwrap();
    assert_eq!(report(&world).ceph_bytes_rebalanced, 0);
}

#[test]
fn osds_down_for_15_minutes_without_noout_move_bytes() {
    let mut world = four_nodes();
    world.power_off(&node("pve4"));
    run_s(&mut world, 590);
    assert_eq!(report(&world).ceph_bytes_rebalanced, 0);
    run_s(&mut world, 310);
    let moved = report(&world).ceph_bytes_rebalanced;
    assert!(moved > 1 << 30, "{moved}");
    assert!(!report(&world).clean);
}

#[test]
fn two_hosts_down_stop_the_pools_and_the_guests_on_them() {
    let mut world = demo();
    run_s(&mut world, 30);
    let ok = |w: &World, osds: &[u32]| {
        let osds: Vec<OsdId> = osds.iter().map(|id| OsdId(*id)).collect();
        w.ceph.as_ref().unwrap().ok_to_stop(&osds, w.now_ms).ok
    };
    assert!(ok(&world, &[0, 1]));
    assert!(!ok(&world, &[0, 1, 2]));
    world.power_off(&node("pve3"));
    run_s(&mut world, 40);
    assert!(!ok(&world, &[0, 1]), "one host is away already");
    world.power_off(&node("pve2"));
    run_s(&mut world, 40);
    assert!(world.pool_is_stalled("vms"));
    assert!(world.guests[&GuestId::vm(110)].is_running() && !world.guests[&GuestId::vm(110)].serves());
    assert!(report(&world).rules_broken > 0);
}

#[test]
fn a_booted_monitor_complains_of_its_clock_for_75_s() {
    let mut world = demo();
    world.power_off(&node("pve3"));
    world.power_on(&node("pve3"));
    until(&mut world, 200, "skew", |w| codes(w).contains(&"MON_CLOCK_SKEW".to_owned()));
    let s = until(&mut world, 100, "no skew", |w| !codes(w).contains(&"MON_CLOCK_SKEW".to_owned()));
    assert!((70..=80).contains(&s), "{s}");
    assert!(world.ceph_flag("nosuch", true).is_err());
}
