//! What is wrong with disks is told by the same programs as on a real node, and an export carries it into a lab.

use std::sync::{Arc, Mutex};

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use common::{block_on, demo};
use quorate_core::ids::NodeName;
use quorate_core::observed::Observed::Known;
use quorate_core::snapshot::{Disks, Snapshot};
use quorate_pve::observe::{Look, observe};
use quorate_trials::ports::SimPorts;
use quorate_world::World;
use quorate_world::cluster_file::world_from_snapshot;

fn seen(world: World) -> Snapshot {
    let known_nodes = world.nodes.keys().cloned().collect();
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    block_on(observe(&sim.ports(), Look { known_nodes, ..Look::full() }))
}

fn of_pve2(snapshot: &Snapshot) -> Disks {
    snapshot.nodes[&"pve2".into()].host.disks.clone()
}

/// pve2 has a bit of everything.
fn unwell() -> World {
    let mut world = demo();
    let disks = &mut world.nodes.get_mut(&NodeName::from("pve2")).unwrap().surroundings.disks;
    disks.pools = [("rpool", "DEGRADED"), ("tank", "ONLINE")].map(|(pool, state)| (pool.into(), state.into())).into();
    disks.arrays = [("md0", "U_"), ("md1", "UU"), ("md2", "")].map(|(name, disks)| (name.into(), disks.into())).into();
    disks.smart =
        [("/dev/sda", "FAILED!"), ("/dev/sdx", "UNKNOWN")].map(|(disk, word)| (disk.into(), word.into())).into();
    disks.paths =
        [("sdm", "mpatha ready"), ("sdn", "mpatha faulty")].map(|(disk, said)| (disk.into(), said.into())).into();
    world
}

#[test]
fn a_lab_of_an_export_says_the_same_of_the_disks() {
    let cluster = seen(unwell());
    let disks = of_pve2(&cluster);
    assert_eq!(disks.pools.known().map(Vec::len), Some(2));
    assert_eq!(disks.arrays.known().map(Vec::len), Some(3));
    let (world, _) = world_from_snapshot(&cluster, 7).unwrap();
    assert_eq!(of_pve2(&seen(world)), disks);
}

#[test]
fn a_node_without_pools_arrays_and_multipath_has_nothing_to_say_and_nothing_is_unknown() {
    let disks = of_pve2(&seen(demo()));
    assert_eq!((disks.pools, disks.arrays, disks.paths), (Known(Vec::new()), Known(Vec::new()), Known(Vec::new())));
    assert!(disks.smart.known().is_some_and(|disks| disks.iter().all(|disk| disk.health == "PASSED")));
}

#[test]
fn disks_that_cannot_be_asked_are_unknown_and_named() {
    let mut world = demo();
    world.nodes.get_mut(&NodeName::from("pve2")).unwrap().api_error = Some("smartctl hangs".to_owned());
    let gaps = seen(world).gaps();
    let gap = gaps.iter().find(|gap| gap.place == "nodes/pve2/host/disks/smart").expect("it is named");
    assert!(gap.why.to_string().contains("smartctl hangs"), "{}", gap.why);
}
