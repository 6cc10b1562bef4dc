//! Boots, quorum, packages.

use super::*;
use crate::faults::{Fault, FaultKind};
use crate::node::AfterDown;

#[test]
fn a_rebooted_node_keeps_serving_for_25_s_and_is_back_within_three_minutes() {
    let mut world = demo();
    // Everything that runs on pve3 is simply removed: this test is about the machine.
    for id in world.nodes[&node("pve3")].processes.clone() {
        world.impact.consent(id, 10_000);
        world.process_ends(id, &node("pve3"));
    }
    let old = world.nodes[&node("pve3")].boot_id.clone();
    world.node_power(&node("pve3"), AfterDown::Reboot).unwrap();
    run_s(&mut world, 20);
    assert!(world.nodes[&node("pve3")].api_answers(world.now_ms), "the API keeps serving");
    assert_eq!(world.corosync.views[&node("pve1")].members.len(), 3, "and every node sees it online");
    let gone_s = 20 + until(&mut world, 60, "down", |w| !w.nodes[&node("pve3")].api_up);
    assert!((25..=35).contains(&gone_s), "{gone_s}");
    assert_eq!(world.corosync.views[&node("pve1")].members.len(), 2, "a clean stop is noticed at once");
    assert!(world.corosync.quorate(&node("pve1")));
    let ssh_s = until(&mut world, 200, "ssh", |w| w.nodes[&node("pve3")].ssh_up);
    assert!((45..=130).contains(&ssh_s), "{ssh_s}");
    assert!(!world.nodes[&node("pve3")].api_up, "SSH comes first");
    assert!(!world.corosync.quorate(&node("pve3")), "an SSH answer is not membership");
    until(&mut world, 60, "api", |w| back(w, "pve3"));
    assert_ne!(world.nodes[&node("pve3")].boot_id, old);
    until(&mut world, 120, "clean", clean);
    assert_eq!(report(&world).quorum_lost_s, 0);
}

#[test]
fn a_vanished_node_is_noticed_after_the_token_timeout() {
    let mut world = demo();
    world.power_off(&node("pve3"));
    run_s(&mut world, 3);
    assert_eq!(world.corosync.views[&node("pve1")].members.len(), 3);
    let s = 3 + until(&mut world, 20, "noticed", |w| w.corosync.views[&node("pve1")].members.len() == 2);
    assert!((4..=9).contains(&s), "{s}");
}

#[test]
fn one_link_down_changes_nothing_and_both_cut_a_node_off() {
    let mut world = demo();
    world.inject(Fault { at_s: 0, kind: FaultKind::LinkDown { node: node("pve2"), link: 0 } });
    run_s(&mut world, 20);
    assert_eq!(world.corosync.views[&node("pve2")].members.len(), 3);
    world.inject(Fault { at_s: 0, kind: FaultKind::LinkDown { node: node("pve2"), link: 1 } });
    run_s(&mut world, 20);
    let view = &world.corosync.views[&node("pve2")];
    assert_eq!((view.members.len(), view.total_votes, view.quorum, view.quorate), (1, 1, 2, false));
    assert!(world.corosync.quorate(&node("pve1")));
    // A node that is alone may lower the expected votes to its own; they rise again as soon as another joins.
    assert!(world.pvecm_expected(&node("pve1"), 1).is_err(), "two votes are there");
    world.pvecm_expected(&node("pve2"), 1).unwrap();
    assert!(world.corosync.quorate(&node("pve2")));
    for link in [0, 1] {
        world.set_link(&node("pve2"), link, true);
    }
    run_s(&mut world, 20);
    assert_eq!(world.corosync.views[&node("pve2")].expected, 3);
}

#[test]
fn without_quorum_writes_are_refused_with_pves_words() {
    let mut world = demo();
    world.corosync_stop(&node("pve2"));
    world.corosync_stop(&node("pve3"));
    let id = GuestId::vm(110);
    let refusal = |r: Result<Upid, crate::WorldError>| r.unwrap_err().to_string();
    assert_eq!(refusal(world.migrate(&node("pve1"), id, to("pve2"))), "cluster not ready - no quorum?");
    let change = crate::ha::ResourceChange { failback: Some(false), ..Default::default() };
    let error = world.ha_change(&node("pve1"), GuestId::vm(101), change).unwrap_err();
    assert_eq!(error.to_string(), "cfs-lock 'domain-ha' error: no quorum!");
    let error = world.guest_set_drive(&node("pve1"), id, "ide2", "none,media=cdrom").unwrap_err();
    assert!(error.to_string().ends_with("- Permission denied"), "{error}");
    assert!(report(&world).events.iter().any(|line| line.contains("no partition has quorum")));
}

#[test]
fn an_upgrade_installs_what_is_pending_and_the_kernel_waits_for_the_reboot() {
    let mut world = demo();
    let name = node("pve1");
    assert!(world.pending(&name).is_empty(), "nothing is known before apt update");
    let from = world.now_ms;
    assert_eq!(upgrade(&mut world, "pve1"), 0);
    let took_s = (world.now_ms - from) / 1000;
    assert!((100..=240).contains(&took_s), "{took_s}");
    let machine = &world.nodes[&name];
    assert_eq!(machine.installed("pve-manager").unwrap().as_str(), "9.1.4");
    assert_eq!(machine.kernel.running.as_str(), "6.17.2-1-pve");
    assert_eq!(machine.kernel.will_boot().as_str(), "6.17.4-1-pve");
    assert!(world.pending(&name).is_empty());
    assert_eq!(report(&world).nodes_upgraded, 0, "not before its kernel runs");
    let ceph = world.ceph.as_ref().unwrap();
    assert!(ceph.osds.values().all(|osd| osd.version.as_str() == "19.2.2-pve1"), "daemons keep running as they are");
    run_s(&mut world, 60);
    assert!(world.guests.values().filter(|g| g.onboot).all(|g| g.serves()), "guests do not notice");
    assert_eq!(report(&world).quorum_lost_s, 0);
}

#[test]
fn a_failed_package_leaves_it_half_configured_and_a_second_run_repairs_it() {
    let mut world = demo();
    let kind = FaultKind::AptFail { node: node("pve1"), package: "pve-manager".to_owned(), times: 1 };
    world.inject(Fault { at_s: 0, kind });
    assert_eq!(upgrade(&mut world, "pve1"), 100);
    assert_eq!(world.nodes[&node("pve1")].packages.broken, ["pve-manager"]);
    let logs = &world.nodes[&node("pve1")].unit_logs["/var/log/quorate-upgrade-t.log"];
    assert_eq!(logs.last().unwrap(), "E: Sub-process /usr/bin/dpkg returned an error code (1)");
    let again = UnitName::new("quorate-upgrade-t-2");
    let argv = ["apt-get", "-y", "dist-upgrade"].map(str::to_owned);
    world.systemd_run(&node("pve1"), again.clone(), None, &argv).unwrap();
    until(&mut world, 600, "second run", |w| w.nodes[&node("pve1")].units[&again].state == UnitState::Exited(0));
    assert!(world.nodes[&node("pve1")].packages.broken.is_empty());
    assert!(world.systemd_run(&node("pve1"), again, None, &argv).is_err(), "the unit's name is taken");
}

#[test]
fn boots_can_be_slow_bring_up_the_old_kernel_or_never_end() {
    let mut world = demo();
    assert_eq!(upgrade(&mut world, "pve3"), 0);
    for kind in
        [FaultKind::BootSlow { node: node("pve3"), seconds: 600 }, FaultKind::BootOldKernel { node: node("pve3") }]
    {
        world.inject(Fault { at_s: 0, kind });
    }
    run_s(&mut world, 1);
    world.power_off(&node("pve3"));
    world.power_on(&node("pve3"));
    run_s(&mut world, 590);
    assert!(!world.nodes[&node("pve3")].ssh_up);
    run_s(&mut world, 60);
    assert!(back(&world, "pve3"));
    assert_eq!(world.nodes[&node("pve3")].kernel.running.as_str(), "6.17.2-1-pve");
    world.inject(Fault { at_s: 0, kind: FaultKind::BootNever { node: node("pve3") } });
    run_s(&mut world, 1);
    world.power_off(&node("pve3"));
    world.power_on(&node("pve3"));
    run_s(&mut world, 3_600);
    assert!(!world.nodes[&node("pve3")].ssh_up);
}
