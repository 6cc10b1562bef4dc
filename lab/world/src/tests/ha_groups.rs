//! Groups of PVE 8, and when they become rules; affinity when a node is lost.

use quorate_core::version::Version;

use super::*;
use crate::cluster_file::ClusterFile;
use crate::ha::{LrmMode, RuleKind, ServiceState};

/// The demo cluster on 8.4, where `mail-on-pve1` is a group.
fn eight() -> World {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    file.installed.insert("pve-manager".to_owned(), "8.4.14".to_owned());
    file.rules.retain(|rule| rule.kind == "node-affinity");
    World::build(&file, 7).unwrap()
}

fn to_nine(world: &mut World, name: &str, version: &str) {
    let machine = world.nodes.get_mut(&node(name)).unwrap();
    machine.packages.installed.insert("pve-manager".to_owned(), Version::new(version));
}

#[test]
fn groups_become_rules_about_a_minute_after_the_last_node_and_its_maintenance() {
    let mut world = eight();
    run_s(&mut world, 100);
    assert!(!world.ha.groups_became_rules);
    to_nine(&mut world, "pve1", "9.1.1");
    to_nine(&mut world, "pve2", "9.1.1");
    run_s(&mut world, 130);
    assert!(!world.ha.groups_became_rules, "one node cannot read rules yet");
    world.ha_maintenance(&node("pve1"), "pve3", true).unwrap();
    until(&mut world, 60, "mode", |w| w.ha.lrm[&node("pve3")].mode == LrmMode::Maintenance);
    to_nine(&mut world, "pve3", "9.0.0~16");
    run_s(&mut world, 300);
    assert!(!world.ha.groups_became_rules, "not while a node is in maintenance");
    world.ha_maintenance(&node("pve1"), "pve3", false).unwrap();
    let s = until(&mut world, 150, "rules", |w| w.ha.groups_became_rules);
    assert!(s <= 95, "tried about once a minute, written after {s} s");
    let names: Vec<&String> = world.ha.rules.keys().collect();
    assert_eq!(names, ["ha-group-mail-on-pve1"]);
}

#[test]
fn a_node_that_is_away_keeps_the_groups_as_they_are() {
    let mut world = eight();
    for name in ["pve1", "pve2", "pve3"] {
        to_nine(&mut world, name, "9.1.1");
    }
    world.corosync_stop(&node("pve2"));
    run_s(&mut world, 50);
    world.corosync_start(&node("pve2"));
    assert!(!world.ha.groups_became_rules);
}

#[test]
fn a_group_pulls_its_member_back_unless_it_has_nofailback() {
    let mail = GuestId::vm(104);
    for (failback, home) in [(true, "pve1"), (false, "pve3")] {
        let mut world = eight();
        world.ha.resources.get_mut(&mail).unwrap().failback = failback;
        run_s(&mut world, 31);
        world.migrate(&node("pve1"), mail, to("pve3")).unwrap();
        until(&mut world, 90, "moved", |w| where_is(w, mail) == "pve3");
        run_s(&mut world, 120);
        assert_eq!(where_is(&world, mail), home);
    }
}

#[test]
fn what_must_be_apart_is_recovered_apart_or_not_at_all() {
    let mut world = demo();
    let all = [GuestId::vm(101), GuestId::vm(102), GuestId::vm(103)];
    world.ha.rules.get_mut("databases-apart").unwrap().resources = all.into();
    run_s(&mut world, 60);
    // One on each of three nodes: there is no node for the guest of the lost one.
    world.power_off(&node("pve3"));
    until(&mut world, 300, "fenced", |w| w.ha.manager.services[&GuestId::vm(103)].state == ServiceState::Recovery);
    run_s(&mut world, 300);
    assert_eq!(world.ha.manager.services[&GuestId::vm(103)].state, ServiceState::Recovery, "retried every round");
    assert!(world.guests[&GuestId::vm(106)].serves(), "the others are recovered");
    world.power_on(&node("pve3"));
    until(&mut world, 400, "recovered at home", |w| w.guests[&GuestId::vm(103)].serves());
    assert_eq!(where_is(&world, GuestId::vm(103)), "pve3");
}

#[test]
fn what_must_be_together_is_recovered_together_and_a_strict_rule_holds_for_recovery() {
    let text = r#"
        [[rule]]
        id = "together"
        kind = "keep-together"
        resources = ["vm:103", "ct:202"]
        [[rule]]
        id = "monitoring-strict"
        kind = "node-affinity"
        resources = ["vm:106"]
        strict = true
        nodes = { pve3 = 2, pve2 = 1 }
    "#;
    let mut world = world_from_toml(&format!("{DEMO}\n{text}"), 7).unwrap();
    run_s(&mut world, 60);
    world.power_off(&node("pve3"));
    let up = |w: &World| [GuestId::vm(103), GuestId::ct(202), GuestId::vm(106)].iter().all(|id| w.guests[id].serves());
    until(&mut world, 300, "recovered", up);
    assert_eq!(where_is(&world, GuestId::vm(103)), where_is(&world, GuestId::ct(202)));
    assert_eq!(where_is(&world, GuestId::vm(106)), "pve2");
    assert!(matches!(world.ha.rules["monitoring-strict"].kind, RuleKind::NodeAffinity { strict: true, .. }));
}
