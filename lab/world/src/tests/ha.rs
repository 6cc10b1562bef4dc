//! HA against the vendor's own timelines (20 s rounds there, 10 s here).

use super::*;
use crate::ha::{LrmMode, LrmState, MoveKind, NodeStatus, ResourceChange, ServiceState};

fn settled(world: &World) -> bool {
    world.ha.manager.services.values().all(|s| s.state == ServiceState::Started && s.maintenance_node.is_none())
}

fn drained(world: &World, name: &str) -> bool {
    let busy = |s: &crate::ha::Service| s.node == node(name) || s.target == Some(node(name));
    !world.ha.manager.services.values().any(busy)
}

#[test]
fn maintenance_drains_the_ha_guests_and_disabling_it_brings_them_back() {
    let mut world = demo();
    run_s(&mut world, 30);
    assert_eq!(world.ha.lrm[&node("pve1")].state, LrmState::Active);
    world.impact.consent(GuestId::ct(201), 300);
    world.ha_maintenance(&node("pve2"), "pve1", true).unwrap();
    let status = |w: &World| w.ha.manager.node_status[&node("pve1")];
    let s = until(&mut world, 60, "maintenance", |w| status(w) == NodeStatus::Maintenance);
    assert!((5..=40).contains(&s), "{s}");
    let s = until(&mut world, 300, "drained", |w| drained(w, "pve1"));
    assert!((10..=120).contains(&s), "{s}");
    assert_eq!(world.ha.lrm[&node("pve1")].mode, LrmMode::Maintenance);
    let homes = world.ha.manager.services.values().filter(|s| s.maintenance_node == Some(node("pve1"))).count();
    assert_eq!(homes, 3, "vm:101, vm:104 and ct:201 remember their node");
    assert!(world.nodes[&node("pve1")].processes.contains(&GuestId::vm(110)), "HA moves no guests but its own");
    assert_ne!(where_is(&world, GuestId::vm(101)), "pve2", "the databases are kept apart");
    assert_eq!(report(&world).still_to_undo, 1);

    world.ha_maintenance(&node("pve2"), "pve1", false).unwrap();
    run_s(&mut world, 4);
    assert!(!settled(&world), "it takes a round or two until the move back begins");
    until(&mut world, 300, "home again", settled);
    for id in [GuestId::vm(101), GuestId::vm(104), GuestId::ct(201)] {
        assert_eq!(where_is(&world, id), "pve1");
    }
    run_s(&mut world, 60);
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn failback_undoes_a_manual_move_and_failback_0_keeps_it() {
    let mut world = demo();
    let mail = GuestId::vm(104);
    let upid = world.migrate(&node("pve1"), mail, to("pve3")).unwrap();
    assert!(upid.as_str().contains(":hamigrate:104:"));
    run_s(&mut world, 2);
    assert_eq!(exit(&world, &upid).as_deref(), Some("OK"), "only queued");
    assert_eq!(where_is(&world, mail), "pve1");
    until(&mut world, 120, "moved", |w| where_is(w, mail) == "pve3");
    until(&mut world, 120, "moved straight back", |w| where_is(w, mail) == "pve1");
    until(&mut world, 60, "settled", settled);
    world.ha_change(&node("pve1"), mail, ResourceChange { failback: Some(false), ..Default::default() }).unwrap();
    world.ha_move(&node("pve1"), mail, MoveKind::Migrate, "pve3").unwrap();
    until(&mut world, 120, "moved", |w| where_is(w, mail) == "pve3");
    run_s(&mut world, 120);
    assert_eq!(where_is(&world, mail), "pve3");
    assert_eq!(report(&world).still_to_undo, 1, "failback was on at the beginning");
}

#[test]
fn a_move_against_keep_apart_is_answered_with_200_and_refused_later() {
    let mut world = demo();
    run_s(&mut world, 30);
    let answer = world.ha_move(&node("pve1"), GuestId::vm(101), MoveKind::Migrate, "pve2").unwrap();
    assert_eq!(answer.blocking, [(GuestId::vm(102), "resource-affinity".to_owned())]);
    run_s(&mut world, 120);
    assert_eq!(where_is(&world, GuestId::vm(101)), "pve1");
    let upid = world.migrate(&node("pve1"), GuestId::vm(101), to("pve2")).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "command 'ha-manager migrate vm:101 pve2' failed: exit code 2");
}

#[test]
fn a_lost_node_is_fenced_and_its_services_start_elsewhere_after_about_three_minutes() {
    let mut world = demo();
    run_s(&mut world, 60);
    let lost = [GuestId::vm(103), GuestId::vm(106), GuestId::ct(202)];
    world.power_off(&node("pve3"));
    let status = |w: &World| w.ha.manager.node_status[&node("pve3")];
    let unknown_s = until(&mut world, 60, "unknown", |w| status(w) == NodeStatus::Unknown);
    let fence_s = unknown_s + until(&mut world, 90, "fence", |w| status(w) == NodeStatus::Fence);
    assert!((50..=90).contains(&fence_s), "{fence_s}");
    let up_s = fence_s + until(&mut world, 200, "recovered", |w| lost.iter().all(|id| w.guests[id].serves()));
    assert!((110..=200).contains(&up_s), "{up_s}");
    let report = report(&world);
    assert!(report.unconsented_downtime_s > 300, "three guests for two minutes and more");
    assert!(report.guests_lost > 0, "those outside HA are still down");
    assert!(!report.clean);
    world.power_on(&node("pve3"));
    until(&mut world, 300, "back", |w| back(w, "pve3"));
    run_s(&mut world, 60);
    assert!(world.guests[&GuestId::vm(112)].serves(), "onboot guests start with their node");
}

#[test]
fn a_reboot_with_the_default_policy_freezes_and_starts_again_on_the_same_node() {
    let mut world = demo();
    run_s(&mut world, 30);
    world.node_power(&node("pve1"), crate::node::AfterDown::Reboot).unwrap();
    until(&mut world, 60, "frozen", |w| w.ha.manager.services[&GuestId::vm(101)].state == ServiceState::Freeze);
    until(&mut world, 400, "back", |w| w.nodes[&node("pve1")].boots == 2 && back(w, "pve1"));
    until(&mut world, 120, "started", |w| w.guests[&GuestId::vm(101)].serves());
    assert_eq!(where_is(&world, GuestId::vm(101)), "pve1");
    assert_eq!(report(&world).fences, 0);
}

#[test]
fn maintenance_of_an_absent_node_is_only_refused_in_the_syslog() {
    let mut world = demo();
    world.power_off(&node("pve3"));
    run_s(&mut world, 60);
    world.ha_maintenance(&node("pve1"), "pve3", true).unwrap();
    run_s(&mut world, 15);
    let said = "crm command error - node not online: enable-node-maintenance pve3";
    assert!(world.ha.syslog.iter().any(|(_, line)| line == said));
    assert!(world.ha_maintenance(&node("pve1"), "pve9", true).is_err());
}
