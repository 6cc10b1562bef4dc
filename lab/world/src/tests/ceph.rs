//! Ceph: noout, recovery, the ten minutes before an OSD goes out, the two copies that a pool needs.

use quorate_core::ids::OsdId;

use super::*;
use crate::cluster_file::ClusterFile;

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
fn a_booted_monitor_reports_clock_skew_for_75_s() {
    let mut world = demo();
    world.power_off(&node("pve3"));
    world.power_on(&node("pve3"));
    until(&mut world, 200, "skew", |w| codes(w).contains(&"MON_CLOCK_SKEW".to_owned()));
    let s = until(&mut world, 100, "no skew", |w| !codes(w).contains(&"MON_CLOCK_SKEW".to_owned()));
    assert!((70..=80).contains(&s), "{s}");
    assert!(world.ceph_flag("nosuch", true).is_err());
}

#[test]
fn an_osd_that_does_not_return_is_out_after_ten_minutes_and_its_copies_are_made_elsewhere() {
    let mut world = demo();
    run_s(&mut world, 31);
    world.inject(crate::faults::Fault { at_s: 0, kind: crate::faults::FaultKind::OsdFails { osd: OsdId(4) } });
    run_s(&mut world, 595);
    assert_eq!(report(&world).ceph_bytes_rebalanced, 0);
    assert!(world.ceph.as_ref().unwrap().osds[&OsdId(4)].in_);
    run_s(&mut world, 60);
    let ceph = world.ceph.as_ref().unwrap();
    assert!(!ceph.osds[&OsdId(4)].in_);
    assert!(ceph.pgs.iter().all(|pg| !pg.up.contains(&OsdId(4))), "its host's other OSD takes them");
    until(&mut world, 3_600, "clean", clean);
    assert!(report(&world).ceph_bytes_rebalanced > 1 << 30);
}

#[test]
fn nobackfill_holds_what_noout_came_too_late_for() {
    let mut world = four_nodes();
    world.ceph_flag("nobackfill", true).unwrap();
    world.power_off(&node("pve4"));
    run_s(&mut world, 1_500);
    assert_eq!(report(&world).ceph_bytes_rebalanced, 0);
    world.ceph_flag("nobackfill", false).unwrap();
    run_s(&mut world, 120);
    assert!(report(&world).ceph_bytes_rebalanced > 1 << 30);
}

#[test]
fn managers_metadata_servers_and_monitors_fail_over_with_their_node() {
    let mut world = demo();
    let ceph = |w: &World| w.ceph.clone().unwrap();
    assert_eq!((ceph(&world).active_mgr, ceph(&world).active_mds), (Some("pve1".to_owned()), Some("pve1".to_owned())));
    world.power_off(&node("pve1"));
    assert_eq!(ceph(&world).active_mgr.as_deref(), Some("pve1"), "the map is out of date for a while");
    until(&mut world, 25, "failover", |w| ceph(w).active_mgr.as_deref() == Some("pve2"));
    assert_eq!(ceph(&world).active_mds.as_deref(), Some("pve2"));
    assert_eq!(ceph(&world).mon_quorum(), ["pve2", "pve3"]);
    assert!(codes(&world).contains(&"MON_DOWN".to_owned()));
    world.power_off(&node("pve2"));
    run_s(&mut world, 25);
    assert_eq!(ceph(&world).mon_quorum(), Vec::<String>::new(), "one of three has no quorum");
}

#[test]
fn a_pool_whose_min_size_is_its_size_stands_still_with_any_host_down() {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    for pool in &mut file.ceph.as_mut().unwrap().pools {
        pool.min_size = 3;
    }
    let mut world = World::build(&file, 7).unwrap();
    let answer = world.ceph.as_ref().unwrap().ok_to_stop(&[OsdId(0)], world.now_ms);
    assert!(!answer.ok && !answer.become_inactive.is_empty());
    world.power_off(&node("pve3"));
    run_s(&mut world, 40);
    assert!(world.pool_is_stalled("vms"));
    assert!(report(&world).rules_broken > 0);
}
