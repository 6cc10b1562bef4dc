//! Careless actions must show as harm in the impact report.

use super::*;
use crate::node::AfterDown;

#[test]
fn a_reboot_with_guests_on_the_node_is_harm() {
    let mut world = demo();
    run_s(&mut world, 30);
    assert!(report(&world).clean);
    world.node_power(&node("pve2"), AfterDown::Reboot).unwrap();
    until(&mut world, 600, "back", |w| w.nodes[&node("pve2")].boots == 2 && back(w, "pve2"));
    run_s(&mut world, 120);
    let report = report(&world);
    assert!(!report.clean);
    assert!(report.rules_broken >= 7, "each guest left on it: {:?}", report.events);
    assert!(report.unconsented_downtime_s > 7 * 60, "{}", report.unconsented_downtime_s);
    assert_eq!(report.guests_lost, 0, "they all start again: {:?}", report.events);
}

#[test]
fn two_nodes_off_lose_quorum_and_the_third_resets_itself() {
    let mut world = demo();
    run_s(&mut world, 60);
    world.power_off(&node("pve2"));
    world.power_off(&node("pve3"));
    let s = until(&mut world, 120, "fenced", |w| report(w).fences == 1);
    assert!((50..=85).contains(&s), "{s}");
    let harm = report(&world);
    assert!(harm.quorum_lost_s > 40 && !harm.clean, "{harm:?}");
    assert!(world.guests.values().all(|guest| !guest.is_running()), "all guests died, HA or not");
    run_s(&mut world, 600);
    assert!(!world.nodes[&node("pve1")].api_up, "without quorum pveproxy does not come up");
    assert!(world.guests.values().all(|guest| !guest.is_running()));
    assert_eq!(report(&world).fences, 1, "an idle LRM is not reset");
}

#[test]
fn taking_a_second_node_out_is_a_broken_rule_even_if_it_goes_well() {
    let mut world = demo();
    run_s(&mut world, 30);
    for name in ["pve1", "pve2"] {
        world.ha_maintenance(&node("pve3"), name, true).unwrap();
        run_s(&mut world, 60);
    }
    let report = report(&world);
    assert!(report.rules_broken >= 1, "{:?}", report.events);
    assert_eq!(report.still_to_undo, 2);
}

#[test]
fn a_guest_stopped_with_consent_and_never_started_again_is_lost() {
    let mut world = demo();
    let id = GuestId::vm(116);
    world.impact.consent(id, 100_000);
    let upid = world.guest_shutdown(&node("pve2"), id, 60, false, ME).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    run_s(&mut world, 600);
    let down = report(&world);
    assert_eq!((down.guests_lost, down.unconsented_downtime_s, down.clean), (1, 0, false));
    let upid = world.guest_start(&node("pve2"), id, ME).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    let up = report(&world);
    assert!(up.clean && up.consented_downtime_s >= 600, "{up:?}");
}

#[test]
fn the_report_has_exactly_the_agreed_keys() {
    let json = serde_json::to_value(report(&demo())).unwrap();
    let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut agreed = [
        "kind",
        "clean",
        "nodes_upgraded",
        "quorum_lost_s",
        "guests_lost",
        "guests_doubled",
        "unconsented_downtime_s",
        "consented_downtime_s",
        "blackout_ms_max",
        "fences",
        "ceph_bytes_rebalanced",
        "rules_broken",
        "backward_moves",
        "still_to_undo",
        "moves",
        "moves_bound",
        "virtual_s",
        "wall_s",
        "events",
    ];
    agreed.sort_unstable();
    assert_eq!(keys, agreed);
}

#[test]
fn an_image_that_was_ejected_and_not_inserted_again_is_still_to_undo() {
    let mut world = demo();
    let id = GuestId::vm(114);
    let at = world.guests[&id].node.clone();
    world.guest_set_drive(&at, id, "ide2", "none,media=cdrom").unwrap();
    let left = report(&world);
    assert_eq!((left.still_to_undo, left.clean), (1, false));
    assert!(left.events[0].contains("ide2 of vm:114 is empty"), "{:?}", left.events);
    world.guest_set_drive(&at, id, "ide2", "local:iso/virtio-win-0.1.285.iso,media=cdrom").unwrap();
    assert!(report(&world).clean, "{:?}", report(&world).events);
}
