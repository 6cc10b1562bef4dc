//! Backups, tasks, and boots with a pinned kernel.

use quorate_core::version::Version;

use super::*;

#[test]
fn a_backup_locks_the_guests_it_saves_and_unlocks_them() {
    let text = DEMO.replace("next_run_in_s = 52200", "next_run_in_s = 60");
    let mut world = world_from_toml(&text, 7).unwrap();
    run_s(&mut world, 62);
    let locked: Vec<GuestId> = world.guests.values().filter(|g| g.lock.is_some()).map(|g| g.id).collect();
    assert_eq!(locked.len(), 3, "one on each node: {locked:?}");
    let id = locked[0];
    let from = world.guests[&id].node.clone();
    let error = world.migrate(&from, id, to(if from == node("pve1") { "pve2" } else { "pve1" })).unwrap_err();
    assert!(error.to_string().ends_with(" is locked (backup)"), "{error}");
    let running = |w: &World| w.tasks.running.iter().any(|upid| upid.as_str().contains(":vzdump:"));
    assert!(running(&world));
    until(&mut world, 3_600, "saved", |w| !running(w));
    assert!(world.guests.values().all(|guest| guest.lock.is_none()));
    assert!(world.tasks.all.values().filter(|t| t.kind == "vzdump").all(|t| t.log.last().unwrap() == "TASK OK"));
    assert!(world.backup_jobs[0].next_run_s > world.now_ms / 1000, "tomorrow again");
    assert!(report(&world).clean);
}

#[test]
fn a_pinned_kernel_boots_again_whatever_is_installed() {
    let mut world = demo();
    assert_eq!(upgrade(&mut world, "pve3"), 0);
    world.nodes.get_mut(&node("pve3")).unwrap().kernel.pinned = Some(Version::new("6.17.2-1-pve"));
    world.power_off(&node("pve3"));
    world.power_on(&node("pve3"));
    until(&mut world, 300, "back", |w| back(w, "pve3"));
    assert_eq!(world.nodes[&node("pve3")].kernel.running.as_str(), "6.17.2-1-pve");
    assert_eq!(report(&world).nodes_upgraded, 1, "a pin is what the administrator wants");
}

#[test]
fn moments_are_written_as_calendar_dates() {
    use crate::tasks::timestamp;
    assert_eq!(timestamp(0), "1970-01-01 00:00:00");
    assert_eq!(timestamp(951_782_400_000), "2000-02-29 00:00:00");
    assert_eq!(timestamp(1_795_348_800_000), "2026-11-22 12:00:00");
}
