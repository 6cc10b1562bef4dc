//! The states of the world that an administrator can see with the node's own programs.

use quorate_core::ids::NodeName;
use quorate_wire::Wire;
use quorate_world::World;
use quorate_world::ha::ResourceMode;

use crate::common::demo;

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn run_s(world: &mut World, seconds: u64) {
    let to = world.now_ms + seconds * 1000;
    world.advance_to(to);
}

/// What a command prints on a node.
fn prints(world: &mut World, name: &str, line: &str) -> String {
    Wire::default().shell(world, &node(name), line).stdout
}

#[test]
fn corosyncs_complaints_are_in_the_journal() {
    let mut world = demo();
    world.set_link(&node("pve2"), 0, false);
    let line = "journalctl --unit=corosync --since=-24h --lines=5000 --output=cat --no-pager --quiet";
    let text = prints(&mut world, "pve1", line);
    assert!(text.contains("[KNET  ] link: host: 2 link: 0 is down"), "{text}");
    assert!(text.contains("[QUORUM] Members[3]: 1 2 3"), "{text}");
    assert!(prints(&mut world, "pve1", "journalctl -u corosync").contains(" pve1 corosync["));
    assert!(!prints(&mut world, "pve3", line).contains("host: 1 link: 0"), "only what this node has seen");
    let links = prints(&mut world, "pve1", "corosync-cfgtool -s");
    assert_eq!(links.matches("disconnected").count(), 1, "{links}");
}

#[test]
fn a_link_that_a_storm_has_taken_is_disconnected_although_its_cable_is_in() {
    let mut world = demo();
    world.options.migration_link = Some(0);
    world.corosync.starved.insert(node("pve2"));
    let links = prints(&mut world, "pve1", "corosync-cfgtool -s");
    assert_eq!(links.matches("disconnected").count(), 1, "{links}");
}

#[test]
fn a_disarmed_ha_says_so_and_a_wrong_clock_too() {
    let mut world = demo();
    for machine in world.nodes.values_mut() {
        machine.packages.installed.insert("pve-ha-manager".to_owned(), "5.2.0".into());
    }
    run_s(&mut world, 31);
    assert!(prints(&mut world, "pve1", "ha-manager status").contains("fencing armed (CRM watchdog active)"));
    world.ha_disarm(&node("pve1"), ResourceMode::Freeze).unwrap();
    run_s(&mut world, 40);
    let text = prints(&mut world, "pve1", "ha-manager status");
    assert!(text.contains("fencing disarmed, resource mode: freeze (CRM watchdog released)"), "{text}");
    assert!(text.contains("lrm pve2 (disarm mode, watchdog standby"), "{text}");
    assert!(text.contains("service vm:101 (pve1, freeze)"), "{text}");
    world.nodes.get_mut(&node("pve3")).unwrap().clock_skew_ms = 90_000;
    run_s(&mut world, 20);
    let text = prints(&mut world, "pve1", "ha-manager status");
    assert!(text.contains("lrm pve3 (detected time drift!"), "{text}");
}
