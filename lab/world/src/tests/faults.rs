//! Faults of every kind, and what they do to a cluster.

use super::*;
use crate::cluster_file::ClusterFile;
use crate::faults::{Fault, FaultKind};
use crate::ha::{NodeStatus, RuleKind};

fn planned_fault(world: &mut World, kinds: &[FaultKind]) {
    for kind in kinds {
        world.inject(Fault { at_s: 0, kind: kind.clone() });
    }
    run_s(world, 1);
}

fn isolate(world: &mut World, name: &str) {
    let cut = |link| FaultKind::LinkDown { node: node(name), link };
    planned_fault(world, &[cut(0), cut(1)]);
}

#[test]
fn faults_are_data_with_names() {
    let text = r#"
        [[fault]]
        at_s = 30
        fault = "migration-fail"
        guest = "vm:113"
        percent = 40
        times = 2
        [[fault]]
        fault = "power-off"
        node = "pve2"
    "#;
    let file = ClusterFile::parse(&format!("{DEMO}\n{text}")).unwrap();
    assert_eq!(file.faults[0].at_s, 30);
    let fail = FaultKind::MigrationFail { guest: Some(GuestId::vm(113)), percent: 40, times: 2 };
    assert_eq!(file.faults[0].kind, fail);
    assert_eq!(file.faults[1].kind, FaultKind::PowerOff { node: node("pve2") });
    let json = serde_json::to_string(&file.faults[1]).unwrap();
    assert_eq!(json, r#"{"at_s":0,"fault":"power-off","node":"pve2"}"#);
}

#[test]
fn an_isolated_node_resets_itself_and_its_services_start_once_elsewhere() {
    let mut world = demo();
    run_s(&mut world, 60);
    isolate(&mut world, "pve3");
    until(&mut world, 100, "fenced", |w| report(w).fences == 1);
    until(&mut world, 200, "recovered", |w| w.guests[&GuestId::vm(103)].serves());
    assert_ne!(where_is(&world, GuestId::vm(103)), "pve3");
    run_s(&mut world, 600);
    assert_eq!(report(&world).guests_doubled, 0);
    assert!(!world.guests[&GuestId::vm(112)].is_running(), "without quorum onboot guests wait");
}

#[test]
fn nothing_arrives_on_a_node_that_has_no_quorum_and_ha_doubles_no_guest() {
    for id in [GuestId::vm(110), GuestId::vm(101)] {
        let mut world = demo();
        run_s(&mut world, 60);
        let (from, moves) = (node(&where_is(&world, id)), world.impact.moves);
        let target = if from == node("pve3") { "pve2" } else { "pve3" };
        isolate(&mut world, target);
        // Corosync has not noticed yet.
        run_s(&mut world, 4);
        world.migrate(&from, id, to(target)).unwrap();
        run_s(&mut world, 50);
        assert_eq!((where_is(&world, id), world.impact.moves), (from.to_string(), moves), "{}", story(&world));
        run_s(&mut world, 600);
        assert_eq!(report(&world).guests_doubled, 0);
    }
}

#[test]
fn lowering_votes_on_a_node_that_is_only_cut_off_runs_guests_twice() {
    let mut world = demo();
    run_s(&mut world, 60);
    isolate(&mut world, "pve3");
    run_s(&mut world, 10);
    world.pvecm_expected(&node("pve3"), 1).unwrap();
    until(&mut world, 400, "doubled", |w| report(w).guests_doubled == 3);
    assert_eq!(report(&world).fences, 0, "with quorum of its own it is not reset");
    assert!(world.guests[&GuestId::vm(103)].runs_on.len() == 2);
    assert!(!report(&world).clean);
}

#[test]
fn an_upgrade_waits_for_dpkgs_lock_but_not_for_a_full_disk() {
    let mut world = demo();
    planned_fault(&mut world, &[FaultKind::AptLocked { node: node("pve1"), seconds: 120 }]);
    let from = world.now_ms;
    assert_eq!(upgrade(&mut world, "pve1"), 0);
    assert!(world.now_ms - from > 220_000, "it waited");
    planned_fault(&mut world, &[FaultKind::AptLocked { node: node("pve2"), seconds: 1_000 }]);
    assert_eq!(upgrade(&mut world, "pve2"), 100);
    planned_fault(&mut world, &[FaultKind::DiskFull { node: node("pve3"), free_bytes: 1 << 20 }]);
    assert_eq!(upgrade(&mut world, "pve3"), 100);
}

#[test]
fn power_lost_under_dpkg_leaves_a_broken_package_and_a_broken_rule() {
    let mut world = demo();
    let upid = world.apt_update(&node("pve1"), ME).unwrap();
    task_ends(&mut world, &upid);
    let argv = ["apt-get", "dist-upgrade"].map(str::to_owned);
    world.systemd_run(&node("pve1"), UnitName::new("u"), None, &argv).unwrap();
    run_s(&mut world, 60);
    world.power_off(&node("pve1"));
    assert_eq!(world.nodes[&node("pve1")].packages.broken.len(), 1);
    assert!(report(&world).events.iter().any(|line| line.contains("upgrade-interrupted")));
    assert!(world.nodes[&node("pve1")].units.is_empty(), "a transient unit does not survive");
}

#[test]
fn a_lost_source_or_target_ends_a_move_differently() {
    let mut world = demo();
    let id = GuestId::vm(113);
    let upid = world.migrate(&node("pve1"), id, to("pve2")).unwrap();
    run_s(&mut world, 5);
    world.power_off(&node("pve2"));
    assert_eq!(exit(&world, &upid).as_deref(), Some("migration problems"));
    assert!(world.guests[&id].serves(), "the guest keeps running on the source");
    let mut world = demo();
    let upid = world.migrate(&node("pve1"), id, to("pve2")).unwrap();
    run_s(&mut world, 5);
    world.power_off(&node("pve1"));
    assert_eq!(exit(&world, &upid).as_deref(), Some("unexpected status"));
    assert_eq!(world.guests[&id].lock.as_deref(), Some("migrate"), "the lock is left behind");
}

#[test]
fn what_an_administrator_does_is_not_counted_as_harm_by_the_run() {
    let mut world = demo();
    run_s(&mut world, 20);
    let noout = |set| FaultKind::AdminNoout { set };
    planned_fault(&mut world, &[FaultKind::AdminStops { guest: GuestId::vm(112) }, noout(true)]);
    let moved = FaultKind::AdminMoves { guest: GuestId::vm(110), target: node("pve3") };
    planned_fault(&mut world, &[moved, FaultKind::AdminStarts { guest: GuestId::vm(117) }]);
    run_s(&mut world, 120);
    assert!(!world.guests[&GuestId::vm(112)].is_running());
    assert!(world.guests[&GuestId::vm(117)].serves());
    assert_eq!(where_is(&world, GuestId::vm(110)), "pve3");
    assert!(report(&world).clean, "{}", story(&world));
    world.ceph_flag("noout", false).unwrap();
    assert_eq!(report(&world).still_to_undo, 1, "the administrator's flag was not ours to clear");
}

#[test]
fn a_strict_rule_keeps_a_service_on_a_node_in_maintenance_forever() {
    let mut world = demo();
    let rule = world.ha.rules.get_mut("mail-on-pve1").unwrap();
    rule.kind = RuleKind::NodeAffinity { nodes: [(node("pve1"), 1)].into(), strict: true };
    run_s(&mut world, 30);
    world.ha_maintenance(&node("pve2"), "pve1", true).unwrap();
    run_s(&mut world, 1_800);
    assert_eq!(world.ha.manager.node_status[&node("pve1")], NodeStatus::Maintenance);
    assert_eq!(where_is(&world, GuestId::vm(104)), "pve1");
    assert!(world.guests[&GuestId::vm(104)].serves());
    assert_ne!(where_is(&world, GuestId::vm(101)), "pve1");
}

#[test]
fn a_failing_ha_move_is_tried_again_every_round() {
    let mut world = demo();
    run_s(&mut world, 30);
    let fails = FaultKind::MigrationFail { guest: Some(GuestId::vm(101)), percent: 10, times: 3 };
    planned_fault(&mut world, &[fails]);
    world.impact.consent(GuestId::ct(201), 120);
    world.ha_maintenance(&node("pve2"), "pve1", true).unwrap();
    until(&mut world, 600, "moved", |w| where_is(w, GuestId::vm(101)) == "pve3");
    let failed = world.tasks.all.values().filter(|t| t.kind == "qmigrate" && t.id == "101");
    let failed = failed.filter(|t| t.end.as_ref().is_some_and(|end| end.exitstatus != "OK")).count();
    assert_eq!(failed, 3);
}

#[test]
fn a_replicated_guest_only_moves_to_its_target_and_the_job_is_reversed() {
    let text = "[[replication]]\nguest = \"vm:115\"\ntarget = \"pve2\"\n";
    let mut world = world_from_toml(&format!("{DEMO}\n{text}"), 7).unwrap();
    let id = GuestId::vm(115);
    let error = world.migrate(&node("pve3"), id, to("pve1")).unwrap_err().to_string();
    assert!(error.starts_with("Cannot live-migrate replicated VM to node 'pve1'"), "{error}");
    let request = MigrateRequest { with_local_disks: true, ..to("pve2") };
    let upid = world.migrate(&node("pve3"), id, request).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    let job = &world.replication_jobs[0];
    assert_eq!((job.source.as_str(), job.target.as_str()), ("pve2", "pve3"));
}

#[test]
fn migrations_that_starve_corosync_cut_their_node_off() {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    file.options.migration_link = Some(0);
    file.options.migration_mib_per_s = Some(100);
    file.options.streams_that_starve_corosync = Some(2);
    let mut world = World::build(&file, 7).unwrap();
    // With the second link in place nothing happens; without it three streams at once are too many.
    world.set_link(&node("pve1"), 1, false);
    run_s(&mut world, 10);
    for id in [110, 113, 119] {
        world.migrate(&node("pve1"), GuestId::vm(id), to("pve2")).unwrap();
    }
    until(&mut world, 30, "cut off", |w| !w.corosync.quorate(&node("pve1")));
    until(&mut world, 300, "back", |w| w.corosync.quorate(&node("pve1")) && w.migrations.running.is_empty());
}

#[test]
fn a_quorum_device_votes_with_the_larger_part() {
    let mut file = ClusterFile::parse(DEMO).unwrap();
    file.cluster.qdevice_votes = Some(1);
    file.nodes.pop();
    file.guests.retain(|guest| guest.node != node("pve3"));
    file.rules.clear();
    let mut world = World::build(&file, 7).unwrap();
    world.corosync_stop(&node("pve2"));
    let view = &world.corosync.views[&node("pve1")];
    assert_eq!((view.total_votes, view.quorum, view.quorate), (2, 2, true));
    planned_fault(&mut world, &[FaultKind::Qdevice { alive: false }]);
    assert!(!world.corosync.quorate(&node("pve1")));
}
