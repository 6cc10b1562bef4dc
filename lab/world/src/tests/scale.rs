//! Large clusters start fast, and the same seed gives the same history.

use super::*;
use crate::cluster_file::synthetic;

#[test]
fn the_same_seed_gives_the_same_world() {
    let story = |seed| {
        let mut world = world_from_toml(DEMO, seed).unwrap();
        world.ha_maintenance(&node("pve1"), "pve2", true).unwrap();
        world.migrate(&node("pve1"), GuestId::vm(110), to("pve3")).unwrap();
        run_s(&mut world, 300);
        world.power_off(&node("pve3"));
        run_s(&mut world, 600);
        (format!("{:?}", world.guests), format!("{:?}", world.tasks), report(&world))
    };
    assert_eq!(story(3), story(3));
    assert_ne!(story(3).1, story(4).1);
}

#[test]
fn sixty_four_nodes_and_4000_guests_are_built_and_run() {
    let mut world = World::build(&synthetic(64, 4_000).unwrap(), 1).unwrap();
    assert_eq!((world.nodes.len(), world.guests.len()), (64, 4_000));
    run_s(&mut world, 120);
    let report = report(&world);
    assert!(report.clean, "{:?}", report.events);
}

#[test]
#[ignore = "a measurement, not an assertion: run with --ignored and look at the time"]
fn an_hour_of_64_nodes() {
    let mut world = World::build(&synthetic(64, 4_000).unwrap(), 1).unwrap();
    run_s(&mut world, 3_600);
}
