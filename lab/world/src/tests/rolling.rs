//! The whole demo cluster can be upgraded without harm by a careful administrator, with nothing but the world's
//! operations.

use quorate_core::ids::GuestKind;

use super::*;
use crate::node::AfterDown;

/// Moves one guest outside HA and waits for it.
fn move_one(world: &mut World, id: GuestId, target: &str) {
    let from = world.guests[&id].node.clone();
    let request = MigrateRequest { with_local_disks: true, ..to(target) };
    let upid = world.migrate(&from, id, request).expect("the move starts");
    assert_eq!(task_ends(world, &upid), "OK", "{id}: {}", log(world, &upid));
    until(world, 30, "serves again", |w| !w.guests[&id].template && w.guests[&id].serves());
}

fn outside_ha(world: &World, name: &str) -> Vec<GuestId> {
    let here = world.nodes[&node(name)].processes.iter().copied();
    here.filter(|id| !world.ha_managed(*id)).collect()
}

/// One node: drain, upgrade, reboot, wait, move back.
fn roll(world: &mut World, name: &str, shelter: &str) {
    let asked = node(shelter);
    let mut displaced = Vec::new();
    let mut down = Vec::new();
    for id in outside_ha(world, name) {
        if id.kind == GuestKind::Vm && !world.guests[&id].devices.is_empty() {
            let upid = world.guest_shutdown(&node(name), id, 60, false, ME).unwrap();
            assert_eq!(task_ends(world, &upid), "OK");
            down.push(id);
        } else {
            if id == GuestId::vm(114) {
                world.guest_set_drive(&node(name), id, "ide2", "none,media=cdrom").unwrap();
            }
            move_one(world, id, shelter);
            displaced.push(id);
        }
    }
    world.ha_maintenance(&asked, name, true).unwrap();
    until(world, 400, "empty", |w| {
        let busy = w.ha.manager.services.values().any(|s| s.node == node(name) || s.target == Some(node(name)));
        w.nodes[&node(name)].processes.is_empty() && !busy
    });
    world.ceph_group(&[name.to_owned()], true).unwrap();
    assert_eq!(upgrade(world, name), 0);
    world.node_power(&node(name), AfterDown::Reboot).unwrap();
    let boots = world.nodes[&node(name)].boots;
    until(world, 600, "booted", |w| w.nodes[&node(name)].boots > boots && back(w, name));
    until(world, 600, "clean", clean);
    world.ceph_group(&[name.to_owned()], false).unwrap();
    world.ha_maintenance(&asked, name, false).unwrap();
    until(world, 600, "home", |w| {
        // A service with failback 0 stays where it is, and remembers its node forever.
        let at_home = w.ha.manager.services.iter().all(|(sid, s)| {
            let stays = !w.ha.resources[sid].failback;
            (s.maintenance_node.is_none() || stays) && s.state == crate::ha::ServiceState::Started
        });
        at_home && w.ha.manager.node_status[&node(name)] == crate::ha::NodeStatus::Online
    });
    for id in displaced {
        move_one(world, id, name);
        if id == GuestId::vm(114) {
            world.guest_set_drive(&node(name), id, "ide2", "local:iso/virtio-win-0.1.285.iso,media=cdrom").unwrap();
        }
    }
    for id in down {
        until(world, 60, "started with its node", |w| w.guests[&id].serves());
    }
    until(world, 200, "healthy", |w| w.ceph.as_ref().unwrap().health(w.now_ms).0 == "HEALTH_OK");
}

#[test]
fn a_careful_administrator_upgrades_the_demo_cluster_with_a_clean_impact_report() {
    let mut world = demo();
    run_s(&mut world, 60);
    let cts: Vec<GuestId> = world.guests.keys().copied().filter(|id| id.kind == GuestKind::Ct).collect();
    for id in cts {
        world.impact.consent(id, 600);
    }
    world.impact.consent(GuestId::vm(116), 900);
    // A move back by HA may lead to an older release: a careful administrator knows that and upgrades in this order.
    for (name, shelter) in [("pve1", "pve2"), ("pve2", "pve1"), ("pve3", "pve1")] {
        roll(&mut world, name, shelter);
    }
    run_s(&mut world, 120);
    let report = report(&world);
    assert!(report.clean, "{}", story(&world));
    assert_eq!(report.nodes_upgraded, 3);
    assert!(report.virtual_s < 3 * 3_600, "{}", report.virtual_s);
    let ceph = world.ceph.as_ref().unwrap();
    assert!(ceph.osds.values().all(|osd| osd.version.as_str() == "19.2.3-pve2"));
}
