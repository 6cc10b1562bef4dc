//! Replication jobs: their schedule, their failures, and migrations of the guests they copy.

use super::*;
use crate::faults::{Fault, FaultKind};

/// A build cache on local disks of pve3, replicated to pve2 every quarter of an hour.
fn replicated() -> World {
    let text = "[[replication]]\nguest = \"vm:115\"\ntarget = \"pve2\"\n";
    world_from_toml(&format!("{DEMO}\n{text}"), 7).unwrap()
}

fn cache() -> GuestId {
    GuestId::vm(115)
}

#[test]
fn a_job_runs_every_quarter_of_an_hour() {
    let mut world = replicated();
    let start_s = world.now_ms / 1000;
    run_s(&mut world, 16 * 60);
    let job = world.replication_jobs[0].clone();
    assert!(job.last_sync_s > start_s, "it ran");
    run_s(&mut world, 15 * 60);
    let next = &world.replication_jobs[0];
    let pause_s = next.last_sync_s - job.last_sync_s;
    assert!((14 * 60..=16 * 60).contains(&pause_s), "{pause_s}");
    assert_eq!((next.fail_count, &next.error), (0, &None));
    assert!((4_000..30_000).contains(&world.replication_runs["115-0"].duration_ms));
}

#[test]
fn a_target_that_reboots_fails_a_due_job_once_and_it_is_retried_after_its_return() {
    let mut world = replicated();
    run_s(&mut world, 16 * 60);
    world.power_off(&node("pve2"));
    run_s(&mut world, 45 * 60);
    assert_eq!(world.replication_jobs[0].fail_count, 1, "held while the target is away");
    assert!(world.replication_jobs[0].error.is_some());
    world.power_on(&node("pve2"));
    until(&mut world, 600, "synced", |w| w.replication_jobs[0].fail_count == 0);
    assert_eq!(world.replication_jobs[0].error, None);
}

#[test]
fn a_failed_run_is_tried_again_after_five_minutes_and_then_ten() {
    let mut world = replicated();
    world.inject(Fault { at_s: 0, kind: FaultKind::ReplicationFail { guest: cache(), times: 2 } });
    until(&mut world, 1_000, "first", |w| w.replication_jobs[0].fail_count == 1);
    let s = until(&mut world, 400, "second", |w| w.replication_jobs[0].fail_count == 2);
    assert!((290..=370).contains(&s), "{s}");
    let s = until(&mut world, 800, "third", |w| w.replication_jobs[0].fail_count == 0);
    assert!((590..=690).contains(&s), "{s}");
}

#[test]
fn a_migration_to_the_replica_copies_little_waits_for_a_run_and_reverses_the_job() {
    let mut world = replicated();
    until(&mut world, 1_000, "a run", |w| w.replication_runs.values().any(|run| run.running_until_ms.is_some()));
    let request = MigrateRequest { with_local_disks: true, ..to("pve2") };
    let upid = world.migrate(&node("pve3"), cache(), request).unwrap();
    let t = world.now_ms;
    assert_eq!(task_ends(&mut world, &upid), "OK", "{}", log(&world, &upid));
    assert!(log(&world, &upid).contains("found local, replicated disk"));
    assert!(world.now_ms - t < 40_000, "32 GiB are already there: {} ms", world.now_ms - t);
    let job = world.replication_jobs[0].clone();
    assert_eq!((job.source.as_str(), job.target.as_str()), ("pve2", "pve3"));
    run_s(&mut world, 16 * 60);
    assert!(world.replication_jobs[0].last_sync_s > job.last_sync_s, "and it runs in that direction now");
}

#[test]
fn a_run_that_takes_longer_than_ten_seconds_fails_the_migration() {
    let mut world = replicated();
    world.guests.get_mut(&cache()).unwrap().disks[0].size_bytes = 400 << 30;
    until(&mut world, 1_000, "a run", |w| w.replication_runs.values().any(|run| run.running_until_ms.is_some()));
    let request = MigrateRequest { with_local_disks: true, ..to("pve2") };
    let upid = world.migrate(&node("pve3"), cache(), request).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "migration aborted");
    assert!(log(&world, &upid).contains("can't lock file '/var/lock/pve-manager/pve-migrate-115' - got timeout"));
}
