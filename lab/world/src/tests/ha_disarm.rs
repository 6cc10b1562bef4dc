//! HA disarmed and armed again (PVE 9.2).

use super::*;
use crate::ha::{LrmMode, LrmState, MoveKind, NodeStatus, ResourceMode, ServiceState};

fn released(world: &World) -> bool {
    world.ha.lrm.values().all(|lrm| lrm.state == LrmState::WaitForAgentLock && lrm.mode == LrmMode::Disarm)
}

fn disarmed(mode: ResourceMode) -> World {
    let mut world = demo();
    run_s(&mut world, 31);
    world.ha_disarm(&node("pve2"), mode).unwrap();
    until(&mut world, 60, "disarmed", |w| w.ha.manager.disarm.is_some_and(|d| d.complete));
    world
}

#[test]
fn disarming_freezes_at_once_releases_every_watchdog_and_arming_thaws_within_two_rounds() {
    let mut world = demo();
    run_s(&mut world, 31);
    let t = world.now_ms;
    world.ha_disarm(&node("pve2"), ResourceMode::Freeze).unwrap();
    let frozen = |w: &World| w.ha.manager.services.values().all(|s| s.state == ServiceState::Freeze);
    until(&mut world, 15, "frozen", frozen);
    until(&mut world, 15, "released", released);
    until(&mut world, 15, "complete", |w| w.ha.manager.disarm.is_some_and(|d| d.complete));
    let s = (world.now_ms - t) / 1000;
    assert!((5..=30).contains(&s), "disarmed after {s} s, 20 s in the vendor's log");
    run_s(&mut world, 80);
    assert!(world.guests.values().filter(|g| g.onboot).all(|g| g.serves()), "guests keep running");
    let t = world.now_ms;
    world.ha_arm(&node("pve2")).unwrap();
    let thawed = |w: &World| w.ha.manager.services.values().all(|s| s.state == ServiceState::Started);
    until(&mut world, 60, "thawed", thawed);
    let s = (world.now_ms - t) / 1000;
    assert!((5..=30).contains(&s), "started after {s} s, 20 s in the vendor's log");
    until(&mut world, 30, "locks", |w| w.ha.lrm.values().all(|lrm| lrm.state == LrmState::Active));
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn while_ha_is_disarmed_nothing_is_fenced_recovered_moved_or_drained() {
    let mut world = disarmed(ResourceMode::Freeze);
    world.ha_maintenance(&node("pve1"), "pve1", true).unwrap();
    world.ha_move(&node("pve1"), GuestId::vm(103), MoveKind::Migrate, "pve2").unwrap();
    for link in [0, 1] {
        world.set_link(&node("pve3"), link, false);
    }
    run_s(&mut world, 600);
    assert_eq!(report(&world).fences, 0, "no watchdog is open");
    assert_eq!(world.ha.manager.node_status[&node("pve3")], NodeStatus::Unknown);
    assert_eq!(where_is(&world, GuestId::vm(103)), "pve3");
    assert!(world.guests[&GuestId::vm(103)].serves());
    assert!(world.ha.manager.maintenance_requests.is_empty());
    let refused = world.ha.syslog.iter().filter(|(_, line)| line.contains("HA is disarmed")).count();
    assert_eq!(refused, 2, "only the master's syslog says so");
}

#[test]
fn resources_that_a_disarmed_ha_ignores_behave_like_other_guests() {
    let mut world = disarmed(ResourceMode::Ignore);
    let upid = world.migrate(&node("pve3"), GuestId::vm(103), to("pve2")).unwrap();
    assert!(upid.as_str().contains(":qmigrate:103:"), "{upid}");
    assert_eq!(task_ends(&mut world, &upid), "OK");
    world.ha_arm(&node("pve1")).unwrap();
    run_s(&mut world, 60);
    assert!(world.guests[&GuestId::vm(103)].serves());
    assert_eq!(world.ha.manager.services[&GuestId::vm(103)].node, node("pve2"), "the master finds it where it is");
}
