//! Moves: live, by restart, offline; and what prevents them.

use super::*;
use crate::faults::{Fault, FaultKind};

#[test]
fn a_live_move_takes_its_time_and_the_guest_never_stops() {
    let mut world = demo();
    let id = GuestId::vm(110);
    let upid = world.migrate(&node("pve1"), id, to("pve2")).unwrap();
    assert!(upid.as_str().contains(":qmigrate:110:root@pam!quorate:"), "{upid}");
    run_s(&mut world, 3);
    assert_eq!(world.guests[&id].lock.as_deref(), Some("migrate"));
    assert_eq!(where_is(&world, id), "pve1", "the configuration moves at the end");
    let error = world.guest_stop(&node("pve1"), id, ME).unwrap_err().to_string();
    assert_eq!(error, "VM is locked (migrate)");
    assert_eq!(task_ends(&mut world, &upid), "OK");
    assert_eq!(where_is(&world, id), "pve2");
    assert_eq!(world.guests[&id].runs_on.len(), 1);
    let text = log(&world, &upid);
    for line in ["starting migration of VM 110 to node 'pve2'", "- downtime ", "migration status: completed", "TASK OK"]
    {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    let report = report(&world);
    assert_eq!((report.moves, report.unconsented_downtime_s, report.backward_moves), (1, 0, 0));
    assert!((1..2_000).contains(&report.blackout_ms_max));
    assert!(report.clean, "{:?}", report.events);
    let error = world.migrate(&node("pve1"), id, to("pve2")).unwrap_err().to_string();
    assert_eq!(error, "Configuration file 'nodes/pve1/qemu-server/110.conf' does not exist");
}

#[test]
fn what_blocks_a_move_is_found_where_pve_finds_it() {
    let mut world = demo();
    let local = GuestId::vm(115);
    let error = world.migrate(&node("pve1"), GuestId::vm(110), to("pve1")).unwrap_err();
    assert_eq!(error.status(), 400);
    let error = world.migrate(&node("pve1"), GuestId::vm(110), to("pve9")).unwrap_err();
    assert_eq!(error.to_string(), "no such cluster node 'pve9'");
    let offline = MigrateRequest { online: false, ..to("pve2") };
    let error = world.migrate(&node("pve1"), GuestId::vm(110), offline).unwrap_err();
    assert_eq!(error.to_string(), "can't migrate running VM without --online");

    // The rest is only found in the task.
    for (from, id, word) in [
        ("pve3", local, "can't live migrate attached local disks without with-local-disks option"),
        ("pve2", GuestId::vm(114), "local cdrom image"),
        ("pve2", GuestId::vm(116), "can't migrate VM which uses local devices: hostpci0"),
    ] {
        let upid = world.migrate(&node(from), id, to("pve1")).unwrap();
        assert_eq!(task_ends(&mut world, &upid), "migration aborted");
        assert!(log(&world, &upid).contains(word), "{}", log(&world, &upid));
        assert_eq!(world.guests[&id].lock, None);
    }
    // With the flag the disk is copied, as fast as the network allows; the VM with the ISO moves once it is ejected.
    let upid = world.migrate(&node("pve3"), local, MigrateRequest { with_local_disks: true, ..to("pve1") }).unwrap();
    let from = world.now_ms;
    assert_eq!(task_ends(&mut world, &upid), "OK");
    assert!(world.now_ms - from > 45_000, "32 GiB do not move in {} ms", world.now_ms - from);
    world.guest_set_drive(&node("pve2"), GuestId::vm(114), "ide2", "none,media=cdrom").unwrap();
    let upid = world.migrate(&node("pve2"), GuestId::vm(114), to("pve1")).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    assert_eq!(report(&world).still_to_undo, 1, "the image is out, and lies where the guest is now");
    let image = "local:iso/virtio-win-0.1.285.iso,media=cdrom";
    world.guest_set_drive(&node("pve1"), GuestId::vm(114), "ide2", image).unwrap();
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn streams_share_the_network() {
    let mut world = demo();
    let alone = world.migrate(&node("pve1"), GuestId::vm(119), to("pve2")).unwrap();
    let from = world.now_ms;
    task_ends(&mut world, &alone);
    let alone_ms = world.now_ms - from;
    let back = world.migrate(&node("pve2"), GuestId::vm(119), to("pve1")).unwrap();
    let from = world.now_ms;
    for id in [111, 120, 114] {
        if id == 114 {
            world.guest_set_drive(&node("pve2"), GuestId::vm(114), "ide2", "none,media=cdrom").unwrap();
        }
        world.migrate(&node("pve2"), GuestId::vm(id), to("pve1")).unwrap();
    }
    task_ends(&mut world, &back);
    assert!(world.now_ms - from > alone_ms + 1_000, "{} against {alone_ms}", world.now_ms - from);
}

#[test]
fn a_container_moves_by_restart_and_its_downtime_counts() {
    let mut world = demo();
    let id = GuestId::ct(203);
    world.impact.consent(id, 60);
    let upid = world.migrate(&node("pve2"), id, to("pve1")).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    run_s(&mut world, 10);
    assert_eq!(where_is(&world, id), "pve1");
    assert!(world.guests[&id].serves());
    let with = report(&world);
    assert!((3..30).contains(&with.consented_downtime_s) && with.clean, "{with:?}");
    world.impact.consents.clear();
    let without = report(&world);
    assert_eq!(without.unconsented_downtime_s, with.consented_downtime_s);
    assert!(!without.clean);
}

#[test]
fn moves_fail_hang_and_misreport_when_a_fault_says_so() {
    let mut world = demo();
    let id = GuestId::vm(113);
    for kind in [
        FaultKind::MigrationFail { guest: Some(id), percent: 60, times: 1 },
        FaultKind::MigrationLies { guest: Some(id) },
        FaultKind::MigrationHang { guest: Some(id), times: 1 },
    ] {
        world.inject(Fault { at_s: 0, kind });
    }
    run_s(&mut world, 1);
    let failed = world.migrate(&node("pve1"), id, to("pve2")).unwrap();
    assert_eq!(task_ends(&mut world, &failed), "migration problems");
    assert_eq!(where_is(&world, id), "pve1");
    assert!(world.guests[&id].serves());
    let lied = world.migrate(&node("pve1"), id, to("pve2")).unwrap();
    assert_eq!(task_ends(&mut world, &lied), "migration problems");
    assert_eq!(where_is(&world, id), "pve2", "reported as failed, and yet it moved");
    let hung = world.migrate(&node("pve2"), id, to("pve1")).unwrap();
    run_s(&mut world, 3_600);
    assert_eq!(exit(&world, &hung), None);
    world.task_stop(&node("pve2"), &hung).unwrap();
    assert!(exit(&world, &hung).is_some());
    assert_eq!(where_is(&world, id), "pve2");
    assert_eq!(world.guests[&id].lock, None);
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn a_full_target_refuses_and_an_older_one_is_a_step_back() {
    let mut world = demo();
    let id = GuestId::vm(119);
    world.nodes.get_mut(&node("pve2")).unwrap().memory_bytes = 34 << 30;
    let upid = world.migrate(&node("pve1"), id, to("pve2")).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "migration problems");
    assert!(log(&world, &upid).contains("Cannot allocate memory"));
    assert_eq!(report(&world).rules_broken, 0, "nothing was overcommitted");
    assert_eq!(upgrade(&mut world, "pve3"), 0);
    for (from, to_node) in [("pve1", "pve3"), ("pve3", "pve1")] {
        let upid = world.migrate(&node(from), id, to(to_node)).unwrap();
        assert_eq!(task_ends(&mut world, &upid), "OK");
    }
    assert_eq!(report(&world).backward_moves, 1);
    assert!(!report(&world).clean);
}

#[test]
fn a_guest_that_dirties_faster_than_the_network_pauses_for_longer_and_still_moves() {
    let mut world = demo();
    world.options.migration_bytes_per_s = 110 << 20;
    let quiet = world.migrate(&node("pve1"), GuestId::vm(110), to("pve2")).unwrap();
    assert_eq!(task_ends(&mut world, &quiet), "OK");
    let quiet_ms = report(&world).blackout_ms_max;
    assert!((10..=100).contains(&quiet_ms), "{quiet_ms} ms, 13 to 61 ms on a genuine cluster");
    assert!(!log(&world, &quiet).contains("auto-increased downtime"));
    let from = world.now_ms;
    let busy = world.migrate(&node("pve1"), GuestId::vm(113), to("pve2")).unwrap();
    assert_eq!(task_ends(&mut world, &busy), "OK");
    assert!(world.now_ms - from > 300_000, "what was sent is dirtied again: {} ms", world.now_ms - from);
    assert!(log(&world, &busy).contains("auto-increased downtime to continue migration: 1600 ms"));
    let busy_ms = report(&world).blackout_ms_max;
    assert!((500..=2_000).contains(&busy_ms), "{busy_ms}");
    assert_eq!(report(&world).unconsented_downtime_s, 0, "a pause, not downtime");
}

#[test]
fn a_guest_that_is_starting_is_not_moved_as_one_that_is_stopped() {
    for (id, word) in [(GuestId::vm(110), "lock-110.conf' - got timeout"), (GuestId::ct(203), "pve-config-203.lock'")] {
        let mut world = demo();
        let from = node(&where_is(&world, id));
        let target = if from == node("pve3") { "pve2" } else { "pve3" };
        world.guest_stop(&from, id, ME).unwrap();
        run_s(&mut world, 30);
        world.guest_start(&from, id, ME).unwrap();
        let upid = world.migrate(&from, id, MigrateRequest { online: false, restart: false, ..to(target) }).unwrap();
        assert_eq!(task_ends(&mut world, &upid), "migration aborted");
        assert!(log(&world, &upid).contains(word), "{}", log(&world, &upid));
        run_s(&mut world, 60);
        assert_eq!(where_is(&world, id), from.to_string());
        assert!(world.guests[&id].runs_on.iter().eq([&from]), "{:?}", world.guests[&id].runs_on);
    }
}
