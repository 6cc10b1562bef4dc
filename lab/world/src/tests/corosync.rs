//! Votes, devices, links, and a storm of migrations on the link that corosync uses.

use super::*;
use crate::cluster_file::ClusterFile;
use crate::corosync::View;
use crate::faults::{Fault, FaultKind};

/// Two of the demo cluster's nodes, with these votes, and a quorum device with these.
fn two(votes: [u32; 2], device: Option<u32>) -> World {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    file.cluster.qdevice_votes = device;
    file.nodes.pop();
    for (part, votes) in file.nodes.iter_mut().zip(votes) {
        part.votes = votes;
    }
    file.guests.retain(|guest| guest.node != node("pve3"));
    file.rules.clear();
    World::build(&file, 7).unwrap()
}

fn view<'a>(world: &'a World, name: &str) -> &'a View {
    &world.corosync.views[&node(name)]
}

fn isolate(world: &mut World, name: &str) {
    for link in [0, 1] {
        world.set_link(&node(name), link, false);
    }
    run_s(world, 15);
}

/// Number of lines in a node's corosync journal that contain this text.
fn lines(world: &World, name: &str, text: &str) -> usize {
    world.nodes[&node(name)].journal.iter().filter(|line| line.unit == "corosync" && line.text.contains(text)).count()
}

#[test]
fn the_device_votes_for_nobody_whose_network_did_not_come_up() {
    let mut world = two([1, 1], Some(1));
    world.inject(Fault { at_s: 0, kind: FaultKind::BootRenamesNics { node: node("pve1") } });
    run_s(&mut world, 1);
    world.power_off(&node("pve1"));
    world.power_on(&node("pve1"));
    run_s(&mut world, 900);
    assert!(world.nodes[&node("pve1")].is_up() && !view(&world, "pve1").quorate);
    assert!(view(&world, "pve2").quorate, "although pve1 has the lowest node id");
}

#[test]
fn uneven_votes_decide_who_has_quorum() {
    let mut world = two([2, 1], None);
    assert_eq!((view(&world, "pve1").expected, view(&world, "pve1").quorum), (3, 2));
    world.corosync_stop(&node("pve2"));
    assert!(world.corosync.quorate(&node("pve1")), "two votes of three");
    world.corosync_start(&node("pve2"));
    world.corosync_stop(&node("pve1"));
    assert!(!world.corosync.quorate(&node("pve2")), "one vote of three");
}

#[test]
fn two_plain_nodes_lose_quorum_with_either_of_them() {
    let mut world = two([1, 1], None);
    world.corosync_stop(&node("pve2"));
    let alone = view(&world, "pve1");
    assert_eq!((alone.total_votes, alone.quorum, alone.quorate), (1, 2, false));
}

#[test]
fn two_node_lets_one_continue_but_a_fresh_one_waits_for_the_other() {
    let mut world = two([1, 1], None);
    world.corosync.two_node = true;
    world.form_membership();
    world.corosync_stop(&node("pve2"));
    assert!(world.corosync.quorate(&node("pve1")), "it had seen both");
    world.corosync_stop(&node("pve1"));
    world.corosync_start(&node("pve1"));
    assert!(!world.corosync.quorate(&node("pve1")), "wait_for_all");
    world.corosync_start(&node("pve2"));
    assert!(world.corosync.quorate(&node("pve1")));
}

#[test]
fn a_device_breaks_the_tie_for_the_lowest_node_id_and_its_loss_costs_its_votes() {
    let mut world = two([1, 1], Some(1));
    isolate(&mut world, "pve2");
    assert_eq!((view(&world, "pve1").total_votes, view(&world, "pve1").quorate), (2, true));
    assert_eq!((view(&world, "pve2").total_votes, view(&world, "pve2").quorate), (1, false));
    world.inject(Fault { at_s: 0, kind: FaultKind::Qdevice { alive: false } });
    run_s(&mut world, 1);
    assert!(!world.corosync.quorate(&node("pve1")));
    world.inject(Fault { at_s: 0, kind: FaultKind::Qdevice { alive: true } });
    run_s(&mut world, 1);
    assert!(world.corosync.quorate(&node("pve1")));
}

#[test]
fn without_its_device_of_two_votes_a_cluster_of_three_needs_all_its_nodes() {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    file.cluster.qdevice_votes = Some(2);
    let mut world = World::build(&file, 7).unwrap();
    assert_eq!(view(&world, "pve1").quorum, 3);
    world.corosync_stop(&node("pve2"));
    world.corosync_stop(&node("pve3"));
    assert!(world.corosync.quorate(&node("pve1")), "one node and two votes of the device");
    world.corosync_start(&node("pve2"));
    world.inject(Fault { at_s: 0, kind: FaultKind::Qdevice { alive: false } });
    run_s(&mut world, 1);
    assert!(!world.corosync.quorate(&node("pve1")));
}

#[test]
fn expected_votes_are_lowered_only_when_alone_and_rise_with_each_that_joins() {
    let mut world = demo();
    world.power_off(&node("pve2"));
    world.power_off(&node("pve3"));
    run_s(&mut world, 15);
    let refused = world.pvecm_expected(&node("pve1"), 0).unwrap_err().to_string();
    assert_eq!(refused, "Unable to set expected votes: CS_ERR_INVALID_PARAM");
    world.pvecm_expected(&node("pve1"), 1).unwrap();
    assert!(world.corosync.quorate(&node("pve1")));
    world.power_on(&node("pve2"));
    until(&mut world, 200, "second", |w| view(w, "pve1").members.len() == 2);
    assert_eq!((view(&world, "pve1").expected, view(&world, "pve1").quorum), (2, 2));
    assert!(world.pvecm_expected(&node("pve1"), 1).is_err(), "two votes are there");
    world.power_on(&node("pve3"));
    until(&mut world, 200, "third", |w| view(w, "pve1").members.len() == 3);
    assert_eq!(view(&world, "pve1").expected, 3);
}

#[test]
fn a_flapping_link_is_logged_and_with_a_second_link_nothing_else_happens() {
    let mut world = demo();
    run_s(&mut world, 31);
    let ring = view(&world, "pve1").ring_seq;
    world.inject(Fault { at_s: 0, kind: FaultKind::LinkFlaps { node: node("pve2"), link: 0, times: 5, every_s: 20 } });
    run_s(&mut world, 120);
    assert_eq!(lines(&world, "pve1", "link: host: 2 link: 0 is down"), 5);
    assert_eq!(lines(&world, "pve1", "link: host: 2 link: 0 is up"), 5);
    assert_eq!(view(&world, "pve1").ring_seq, ring, "the membership never changed");
    assert!(report(&world).clean);
}

#[test]
fn a_vanished_node_is_a_failed_processor_and_one_that_leaves_is_not() {
    let mut world = demo();
    world.corosync_stop(&node("pve3"));
    assert_eq!(lines(&world, "pve1", "A processor failed"), 0);
    assert_eq!(lines(&world, "pve1", "Members left: 3"), 1);
    world.corosync_start(&node("pve3"));
    world.power_off(&node("pve3"));
    run_s(&mut world, 15);
    assert_eq!(lines(&world, "pve1", "A processor failed"), 1);
    isolate(&mut world, "pve2");
    assert_eq!(lines(&world, "pve2", "will NOT provide any services."), 1);
}

/// The demo cluster with migrations over corosync's only link at 1 Gbit/s.
fn shared_link(streams_that_starve: u32) -> World {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    file.options.migration_link = Some(0);
    file.options.migration_mib_per_s = Some(110);
    file.options.streams_that_starve_corosync = Some(streams_that_starve);
    for part in &mut file.nodes {
        part.links.truncate(1);
    }
    let mut world = World::build(&file, 7).unwrap();
    run_s(&mut world, 31);
    world
}

fn storm(world: &mut World, ids: &[u32]) {
    for id in ids {
        world.migrate(&node("pve1"), GuestId::vm(*id), to("pve2")).unwrap();
    }
}

#[test]
fn one_stream_that_fills_the_shared_link_only_causes_retransmits() {
    let mut world = shared_link(2);
    storm(&mut world, &[113]);
    until(&mut world, 60, "retransmits", |w| lines(w, "pve1", "Retransmit List") > 1);
    until(&mut world, 600, "moved", |w| w.migrations.running.is_empty());
    run_s(&mut world, 30);
    assert_eq!(lines(&world, "pve1", "A processor failed"), 0);
    let (before, _) = (lines(&world, "pve1", "Retransmit"), run_s(&mut world, 60));
    assert_eq!(lines(&world, "pve1", "Retransmit"), before, "it is over with the stream");
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn a_storm_on_the_shared_link_retransmits_first_then_loses_the_member_and_ha_fences_it() {
    let mut world = shared_link(2);
    for id in [110, 113, 119] {
        world.guests.get_mut(&GuestId::vm(id)).unwrap().memory_bytes = 16 << 30;
    }
    for machine in world.nodes.values_mut() {
        machine.memory_bytes = 256 << 30;
    }
    let t = world.now_ms;
    storm(&mut world, &[110, 113, 119]);
    until(&mut world, 30, "retransmits", |w| lines(w, "pve1", "Retransmit List") > 0);
    assert!(world.corosync.quorate(&node("pve1")), "retransmits come first");
    until(&mut world, 30, "token", |w| lines(w, "pve1", "A processor failed") > 0);
    assert!(!world.corosync.quorate(&node("pve1")), "source and target are isolated");
    assert!(!world.corosync_link_carries(&node("pve1"), &node("pve3"), 0));
    until(&mut world, 120, "fence", |w| report(w).fences > 0);
    let s = (world.now_ms - t) / 1000;
    assert!((60..=110).contains(&s), "about a minute after the token was lost: {s} s");
    assert!(!report(&world).clean);
}

#[test]
fn the_same_storm_with_a_rate_limit_or_a_second_link_loses_nothing() {
    let mut world = shared_link(2);
    world.options.migration_limit_bytes_per_s = Some(30 << 20);
    world.guests.get_mut(&GuestId::vm(113)).unwrap().dirty_bytes_per_s = 5 << 20;
    storm(&mut world, &[110, 113, 119]);
    until(&mut world, 900, "moved", |w| w.migrations.running.is_empty());
    assert_eq!(lines(&world, "pve1", "Retransmit"), 0, "90 of 110 MiB/s do not saturate the link");
    assert!(report(&world).clean, "{}", story(&world));

    let mut world = shared_link(2);
    let spare = |n: u32| crate::node::Link { address: format!("10.10.2.{n}"), up: true };
    for machine in world.nodes.values_mut() {
        machine.links.push(spare(machine.nodeid));
    }
    storm(&mut world, &[110, 113, 119]);
    until(&mut world, 900, "moved", |w| w.migrations.running.is_empty());
    run_s(&mut world, 30);
    assert!(lines(&world, "pve3", "link: host: 1 link: 0 is down") > 0, "the link is lost, the token takes the other");
    assert_eq!(lines(&world, "pve1", "A processor failed"), 0);
    assert!(report(&world).clean, "{}", story(&world));
}
