//! HA timelines as in the vendor's own regression logs, line by line.
//!
//! The vendor's clock has master rounds of 20 s, this world and production have 10 s. So a transition that waits for the
//! master may come up to one of those rounds earlier; it is never later than there by more than one round of 10 s.

use super::*;
use crate::ha::{LrmMode, LrmState, MoveKind, NodeStatus, ServiceState};
use crate::node::AfterDown;
use crate::store::ShutdownPolicy;

fn status(world: &World, name: &str) -> NodeStatus {
    world.ha.manager.node_status[&node(name)]
}

fn state(world: &World, id: GuestId) -> ServiceState {
    world.ha.manager.services[&id].state
}

fn lrm<'a>(world: &'a World, name: &str) -> &'a crate::ha::Lrm {
    &world.ha.lrm[&node(name)]
}

fn said(world: &World, what: &str) -> bool {
    world.ha.syslog.iter().any(|(_, line)| line.contains(what))
}

/// Waits until this holds; the seconds since `from_ms`.
fn at(world: &mut World, from_ms: u64, limit_s: u64, what: &str, holds: impl Fn(&World) -> bool) -> u64 {
    until(world, limit_s, what, holds);
    (world.now_ms - from_ms) / 1000
}

fn settled_demo() -> World {
    let mut world = demo();
    run_s(&mut world, 31);
    world
}

fn erp() -> GuestId {
    GuestId::vm(103)
}

#[test]
fn maintenance_and_the_move_back_follow_the_vendors_steps() {
    let mut world = settled_demo();
    let t = world.now_ms;
    world.ha_maintenance(&node("pve1"), "pve3", true).unwrap();
    // 120 queued, 125 LRM in maintenance, 140 node in maintenance and the service migrates, 145 the LRM begins.
    let s = at(&mut world, t, 30, "LRM", |w| lrm(w, "pve3").mode == LrmMode::Maintenance);
    assert!((1..=15).contains(&s), "the mode after {s} s; 5 s there, about 6 s on a genuine cluster");
    let s = at(&mut world, t, 40, "node", |w| status(w, "pve3") == NodeStatus::Maintenance);
    assert!((5..=30).contains(&s), "the node after {s} s, 20 s there");
    assert_eq!(state(&world, erp()), ServiceState::Migrate, "in the same round");
    let moving = |w: &World| w.migrations.running.contains_key(&erp());
    let s = at(&mut world, t, 60, "the move begins", moving);
    assert!((8..=40).contains(&s), "the first move after {s} s, 20 to 40 s");
    until(&mut world, 120, "there", |w| state(w, erp()) == ServiceState::Started && where_is(w, erp()) != "pve3");
    let done = |w: &World| w.ha.manager.services.values().all(|s| s.node != node("pve3"));
    until(&mut world, 200, "drained", done);
    // 220 off, 320 on: still in maintenance.
    world.power_off(&node("pve3"));
    run_s(&mut world, 100);
    world.power_on(&node("pve3"));
    until(&mut world, 200, "back", |w| back(w, "pve3"));
    run_s(&mut world, 60);
    assert_eq!(status(&world, "pve3"), NodeStatus::Maintenance, "maintenance survives the reboot");
    assert_eq!(lrm(&world, "pve3").state, LrmState::WaitForAgentLock, "an LRM with nothing to do takes no lock");
    // 420 disabled; 440 online, and the move back begins in that round; 460 at home.
    let t = world.now_ms;
    world.ha_maintenance(&node("pve1"), "pve3", false).unwrap();
    let s = at(&mut world, t, 40, "online", |w| status(w, "pve3") == NodeStatus::Online);
    assert!((2..=30).contains(&s), "online after {s} s, 20 s there");
    assert!(said(&world, "moving service 'vm:103' back to 'pve3', node came back from maintenance."));
    assert_eq!(state(&world, erp()), ServiceState::Migrate);
    let s = at(&mut world, t, 30, "lock", |w| lrm(w, "pve3").state == LrmState::Active);
    assert!(s <= 35, "the LRM has its lock after {s} s, 25 s there");
    let home = |w: &World| where_is(w, erp()) == "pve3" && state(w, erp()) == ServiceState::Started;
    let s = at(&mut world, t, 120, "home", home);
    assert!((12..=65).contains(&s), "home after {s} s; 12 to 42 s on a genuine cluster, and this guest is larger");
}

fn cut_off(world: &mut World, name: &str) {
    for link in [0, 1] {
        world.set_link(&node(name), link, false);
    }
}

#[test]
fn a_master_cut_off_resets_itself_and_its_services_start_elsewhere_three_minutes_later() {
    let mut world = settled_demo();
    let vm = GuestId::vm(101);
    assert_eq!(world.ha.manager.master, Some(node("pve1")));
    let t = world.now_ms;
    cut_off(&mut world, "pve1");
    let s = at(&mut world, t, 30, "lost", |w| lrm(w, "pve1").state == LrmState::LostAgentLock);
    assert!((1..=20).contains(&s), "lock lost after {s} s: the token's loss and a round");
    let s = at(&mut world, t, 90, "reset", |w| w.ha.fences == 1);
    assert!((50..=75).contains(&s), "reset after {s} s: 60 s after it was last fed, 10 s of the hardware");
    assert!(!world.guests.values().any(|g| g.runs_on.contains(&node("pve1"))), "all its guests die");
    assert_eq!(status(&world, "pve1"), NodeStatus::Online, "no master has looked");
    // The new master waits for the old one's lock, then 60 s for what it has not seen itself.
    let s = at(&mut world, t, 100, "master", |w| w.ha.manager.master != Some(node("pve1")));
    assert!((100..=130).contains(&s), "new master after {s} s, 102 s there");
    assert_eq!(status(&world, "pve1"), NodeStatus::Unknown);
    let master_s = s;
    let s = at(&mut world, t, 90, "fenced", |w| said(w, "'unknown' => 'fence'"));
    assert!((60..=70).contains(&(s - master_s)), "fence {} s after that, 60 s there", s - master_s);
    assert!(said(&world, "fencing: acknowledged - got agent lock for node 'pve1'"), "in the same round");
    let s = at(&mut world, t, 60, "started", |w| w.guests[&vm].serves());
    assert!((165..=215).contains(&s), "vm:101 serves again after {s} s; 181 s there and on a genuine cluster");
    assert_ne!(where_is(&world, vm), "pve1");
    // The node is back in the cluster: online, and services that prefer it move back.
    for link in [0, 1] {
        world.set_link(&node("pve1"), link, true);
    }
    until(&mut world, 400, "online", |w| status(w, "pve1") == NodeStatus::Online);
    let t = world.now_ms;
    let s = at(&mut world, t, 120, "failback", |w| where_is(w, GuestId::vm(104)) == "pve1");
    assert!(s <= 60, "mail prefers pve1 and is back after {s} s, 37 s there");
    assert_eq!(report(&world).guests_doubled, 0);
}

#[test]
fn another_node_cut_off_is_unknown_at_once_fenced_after_a_minute_and_recovered_after_two() {
    let mut world = settled_demo();
    let t = world.now_ms;
    cut_off(&mut world, "pve3");
    let s = at(&mut world, t, 30, "unknown", |w| status(w, "pve3") == NodeStatus::Unknown);
    assert!((4..=20).contains(&s), "unknown after {s} s");
    let s = at(&mut world, t, 90, "fence", |w| status(w, "pve3") == NodeStatus::Fence);
    assert!((40..=80).contains(&s), "fence after {s} s, 40 s there");
    until(&mut world, 30, "reset", |w| w.ha.fences == 1);
    let s = (world.now_ms - t) / 1000;
    assert!((50..=80).contains(&s), "reset after {s} s, 46 s there");
    let s = at(&mut world, t, 120, "recovered", |w| where_is(w, erp()) != "pve3");
    assert!((110..=140).contains(&s), "recovery after {s} s, 120 s there: the lock is held for 120 s");
    until(&mut world, 30, "serves", |w| w.guests[&erp()].serves());
    for link in [0, 1] {
        world.set_link(&node("pve3"), link, true);
    }
    until(&mut world, 300, "online", |w| status(w, "pve3") == NodeStatus::Online);
    assert_eq!(report(&world).guests_doubled, 0);
}

#[test]
fn a_reboot_with_the_default_policy_freezes_stops_and_starts_services_on_the_same_node() {
    let mut world = settled_demo();
    let vm = GuestId::vm(101);
    let t = world.now_ms;
    world.node_power(&node("pve1"), AfterDown::Reboot).unwrap();
    let s = at(&mut world, t, 30, "frozen", |w| state(w, vm) == ServiceState::Freeze);
    assert!(s <= 12, "frozen after {s} s");
    let s = at(&mut world, t, 30, "stopped", |w| !w.guests[&vm].is_running());
    assert!((3..=20).contains(&s), "stopped after {s} s, 5 s there");
    until(&mut world, 60, "LRM gone", |w| !lrm(w, "pve1").running);
    let s = (world.now_ms - t) / 1000;
    assert!(s <= 40, "the LRM has gone after {s} s");
    until(&mut world, 300, "LRM back", |w| lrm(w, "pve1").running);
    let t = world.now_ms;
    let s = at(&mut world, t, 90, "started", |w| w.guests[&vm].serves());
    assert!(s <= 40, "started {s} s after the LRM came back");
    assert_eq!(where_is(&world, vm), "pve1");
    assert_eq!(lrm(&world, "pve1").state, LrmState::Active);
    assert_eq!(report(&world).fences, 0);
}

#[test]
fn a_reboot_with_policy_freeze_is_like_the_default_and_a_power_off_then_keeps_the_services_down() {
    let mut world = settled_demo();
    world.options.shutdown_policy = ShutdownPolicy::Freeze;
    world.node_power(&node("pve1"), AfterDown::Off).unwrap();
    run_s(&mut world, 600);
    assert_eq!(state(&world, GuestId::vm(101)), ServiceState::Freeze, "stopped and frozen: it stays down");
    assert_eq!(where_is(&world, GuestId::vm(101)), "pve1");
    world.power_on(&node("pve1"));
    until(&mut world, 300, "up again", |w| w.guests[&GuestId::vm(101)].serves());
}

#[test]
fn a_reboot_with_policy_failover_recovers_elsewhere_if_the_node_stays_away_for_long() {
    let mut world = settled_demo();
    world.options.shutdown_policy = ShutdownPolicy::Failover;
    let slow = crate::faults::FaultKind::BootSlow { node: node("pve3"), seconds: 400 };
    world.inject(crate::faults::Fault { at_s: 0, kind: slow });
    run_s(&mut world, 1);
    let t = world.now_ms;
    world.node_power(&node("pve3"), AfterDown::Reboot).unwrap();
    let s = at(&mut world, t, 200, "recovered", |w| where_is(w, erp()) != "pve3" && w.guests[&erp()].serves());
    assert!((80..=150).contains(&s), "recovered after {s} s, about two minutes");
    assert_eq!(report(&world).fences, 0, "it left in an orderly way: no node is reset");
}

#[test]
fn a_reboot_with_policy_migrate_moves_everything_away_and_back() {
    let mut world = settled_demo();
    world.options.shutdown_policy = ShutdownPolicy::Migrate;
    let (vm, ct) = (GuestId::vm(101), GuestId::ct(201));
    let t = world.now_ms;
    world.node_power(&node("pve1"), AfterDown::Reboot).unwrap();
    let s = at(&mut world, t, 40, "maintenance", |w| status(w, "pve1") == NodeStatus::Maintenance);
    assert!(s <= 20, "in maintenance after {s} s");
    let moving = |w: &World| (state(w, vm), state(w, ct)) == (ServiceState::Migrate, ServiceState::Relocate);
    assert!(moving(&world), "the VM migrates, the container is stopped and started");
    until(&mut world, 120, "moved", |w| where_is(w, vm) != "pve1" && where_is(w, ct) != "pve1");
    until(&mut world, 300, "LRM back", |w| w.nodes[&node("pve1")].boots == 2 && lrm(w, "pve1").running);
    let t = world.now_ms;
    let home = |w: &World| where_is(w, vm) == "pve1" && where_is(w, ct) == "pve1" && w.guests[&ct].serves();
    let s = at(&mut world, t, 120, "home", home);
    assert!((10..=80).contains(&s), "at home {s} s after the node came back");
}

#[test]
fn a_manual_move_off_a_strict_rule_is_undone_at_once() {
    let text = "[[rule]]\nid = \"erp-here\"\nkind = \"node-affinity\"\nresources = [\"vm:103\"]\nstrict = true\n\
                nodes = { pve3 = 1 }\n";
    let mut world = world_from_toml(&format!("{DEMO}\n{text}"), 7).unwrap();
    run_s(&mut world, 31);
    world.ha_move(&node("pve1"), erp(), MoveKind::Migrate, "pve2").unwrap();
    run_s(&mut world, 60);
    assert_eq!(where_is(&world, erp()), "pve3", "a target outside a strict rule is refused");
    // Someone adds the rule while the guest is elsewhere: it moves to where the rule requires it.
    let rule = world.ha.rules.remove("erp-here").unwrap();
    world.ha_move(&node("pve1"), erp(), MoveKind::Migrate, "pve2").unwrap();
    until(&mut world, 90, "moved", |w| where_is(w, erp()) == "pve2" && state(w, erp()) == ServiceState::Started);
    let t = world.now_ms;
    world.ha.rules.insert("erp-here".to_owned(), rule);
    let s = at(&mut world, t, 90, "back", |w| where_is(w, erp()) == "pve3");
    assert!(s <= 50, "back after {s} s, 20 s there");
}

#[test]
fn a_restarted_lrm_freezes_its_services_for_a_round_or_two_and_no_guest_notices() {
    let mut world = settled_demo();
    for name in ["pve2", "pve3", "pve1"] {
        let id = *world.ha.manager.by_node[&node(name)].first().unwrap();
        world.restart_service(&node(name), "pve-ha-lrm");
        until(&mut world, 15, "frozen", |w| state(w, id) == ServiceState::Freeze);
        let t = world.now_ms;
        until(&mut world, 10, "the LRM goes", |w| !lrm(w, name).running);
        assert_eq!(lrm(&world, name).state, LrmState::WaitForAgentLock, "its watchdog is closed");
        let s = at(&mut world, t, 60, "thawed", |w| state(w, id) == ServiceState::Started);
        assert!((9..=25).contains(&s), "frozen for {s} s; 11 to 21 s on a genuine cluster");
        assert!(world.guests[&id].serves());
    }
    run_s(&mut world, 60);
    assert_eq!(report(&world).unconsented_downtime_s, 0);
}

#[test]
fn an_idle_lrm_is_not_reset_and_an_active_one_is_idle_after_ten_minutes_without_services() {
    let mut world = settled_demo();
    for id in [GuestId::vm(103), GuestId::vm(106), GuestId::ct(202)] {
        world.ha_remove(&node("pve1"), id).unwrap();
    }
    run_s(&mut world, 500);
    assert_eq!(lrm(&world, "pve3").state, LrmState::Active, "not before ten minutes");
    run_s(&mut world, 130);
    assert_eq!(lrm(&world, "pve3").state, LrmState::WaitForAgentLock);
    cut_off(&mut world, "pve3");
    run_s(&mut world, 300);
    assert_eq!(report(&world).fences, 0);
    assert!(world.guests[&erp()].serves(), "guests keep running without quorum where HA is idle");
}

#[test]
fn quorum_that_returns_within_the_minute_prevents_the_reset() {
    let mut world = settled_demo();
    cut_off(&mut world, "pve3");
    run_s(&mut world, 40);
    assert_eq!(lrm(&world, "pve3").state, LrmState::LostAgentLock);
    for link in [0, 1] {
        world.set_link(&node("pve3"), link, true);
    }
    run_s(&mut world, 200);
    assert_eq!(report(&world).fences, 0);
    assert_eq!(lrm(&world, "pve3").state, LrmState::Active);
    assert!(world.guests[&erp()].serves());
}

#[test]
fn a_service_that_may_run_nowhere_else_stays_on_a_node_in_maintenance_with_its_watchdog_open() {
    let text = "[[rule]]\nid = \"erp-here\"\nkind = \"node-affinity\"\nresources = [\"vm:103\"]\nstrict = true\n\
                nodes = { pve3 = 1 }\n";
    let mut world = world_from_toml(&format!("{DEMO}\n{text}"), 7).unwrap();
    run_s(&mut world, 31);
    world.ha_maintenance(&node("pve1"), "pve3", true).unwrap();
    run_s(&mut world, 600);
    assert_eq!((where_is(&world, erp()).as_str(), state(&world, erp())), ("pve3", ServiceState::Started));
    assert!(world.guests[&erp()].serves());
    assert!(world.watchdog_is_open(&node("pve3")), "nothing reports an error, and it would be reset without quorum");
    assert_eq!(lrm(&world, "pve3").state, LrmState::Maintenance);
}
