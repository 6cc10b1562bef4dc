//! Whatever is done to it, the world never contradicts itself, and it recovers once it is left alone.

use super::*;
use crate::events::Rng;
use crate::faults::{Fault, FaultKind};
use crate::guest::Activity;
use crate::ha::{MoveKind, ServiceState};
use crate::node::{AfterDown, Power};

/// What must hold at any moment.
fn check(world: &World, seed: u64) {
    for (name, machine) in &world.nodes {
        for id in &machine.guests {
            assert_eq!(world.guests[id].node, *name, "seed {seed}: {id} lies on {name}");
        }
        for id in &machine.processes {
            assert!(world.guests[id].runs_on.contains(name), "seed {seed}: {id} runs on {name}");
            assert!(machine.is_up(), "seed {seed}: {id} runs on {name}, which is off");
        }
        let used = machine.host_used_bytes + world.node_committed_bytes(name);
        assert!(used <= machine.memory_bytes, "seed {seed}: {name} holds {used} bytes\n{}", story(world));
    }
    for (id, guest) in &world.guests {
        assert!(world.nodes[&guest.node].guests.contains(id), "seed {seed}: {id}");
        assert!(guest.runs_on.iter().all(|n| world.nodes[n].processes.contains(id)), "seed {seed}: {id}");
        let running = matches!(guest.activity, Activity::Running | Activity::ShuttingDown);
        assert_eq!(running, guest.is_running(), "seed {seed}: {id} {:?} {:?}", guest.activity, guest.runs_on);
        if world.migrations.running.contains_key(id) {
            assert_eq!(guest.lock.as_deref(), Some("migrate"), "seed {seed}: {id}");
        }
    }
    for upid in &world.tasks.running {
        assert!(world.tasks.all[upid].end.is_none(), "seed {seed}: {upid}");
    }
}

/// Something that a person might do; refusals are fine.
fn meddle(world: &mut World, rng: &mut Rng) {
    let names = ["pve1", "pve2", "pve3"];
    let ids: Vec<GuestId> = world.guests.keys().copied().collect();
    let mut name = || node(names[rng.between(0, 2) as usize]);
    let (here, other) = (name(), name());
    let id = ids[rng.between(0, ids.len() as u64 - 1) as usize];
    let at = world.guests[&id].node.clone();
    match rng.between(0, 15) {
        0..=3 => drop(world.migrate(&at, id, MigrateRequest { with_local_disks: true, ..to(other.as_str()) })),
        4 => drop(world.guest_shutdown(&at, id, 60, true, ME)),
        5 => drop(world.guest_stop(&at, id, ME)),
        6 | 7 => drop(world.guest_start(&at, id, ME)),
        8 => drop(world.ha_maintenance(&here, other.as_str(), rng.between(0, 2) == 0)),
        9 => drop(world.ha_move(&here, id, MoveKind::Migrate, other.as_str())),
        10 => drop(world.node_power(&here, AfterDown::Reboot)),
        11 => world.power_off(&here),
        12 => world.power_on(&here),
        13 => world.inject(Fault { at_s: 0, kind: FaultKind::MigrationFail { guest: None, percent: 50, times: 1 } }),
        14 => world.set_link(&here, rng.between(0, 1) as usize, rng.between(0, 1) == 0),
        _ => drop(world.ceph_flag("noout", rng.between(0, 1) == 0)),
    }
}

#[test]
fn forty_random_histories_never_make_the_world_inconsistent_and_it_recovers() {
    for seed in 0..40 {
        let mut world = world_from_toml(DEMO, seed).unwrap();
        let mut rng = Rng::new(seed ^ 0xabcd);
        for _ in 0..60 {
            meddle(&mut world, &mut rng);
            let pause_s = rng.between(1, 90);
            run_s(&mut world, pause_s);
            check(&world, seed);
        }
        repair(&mut world);
        check(&world, seed);
        assert!(clean(&world), "seed {seed}: {:?}", world.ceph.as_ref().unwrap().pg_states(world.now_ms));
        for (sid, service) in &world.ha.manager.services {
            let rest = matches!(service.state, ServiceState::Started | ServiceState::Stopped | ServiceState::Error);
            assert!(rest, "seed {seed}: {sid} {service:?}\n{}", story(&world));
            if service.state == ServiceState::Started {
                assert!(world.guests[sid].serves(), "seed {seed}: {sid}\n{}", story(&world));
            }
        }
    }
}

/// Restores power, links, flags and maintenance, and lets time pass.
fn repair(world: &mut World) {
    for _ in 0..40 {
        for name in world.nodes.keys().cloned().collect::<Vec<_>>() {
            world.set_link(&name, 0, true);
            world.set_link(&name, 1, true);
            if world.nodes[&name].power == Power::Off {
                world.power_on(&name);
            }
            let _ = world.ha_maintenance(&name, name.as_str(), false);
        }
        let _ = world.ceph_flag("noout", false);
        for guest in world.guests.values_mut().filter(|guest| guest.lock.is_some()) {
            if !world.migrations.running.contains_key(&guest.id) {
                guest.lock = None;
            }
        }
        run_s(world, 60);
    }
}
