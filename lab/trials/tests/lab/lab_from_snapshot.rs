//! A lab made from a snapshot shows what was seen of the cluster.

use std::sync::{Arc, Mutex};

use quorate_core::snapshot::Snapshot;
use quorate_pve::observe::{Look, observe};
use quorate_trials::ports::SimPorts;
use quorate_world::World;
use quorate_world::cluster_file::{DEMO, world_from_snapshot, world_from_toml};

pub(crate) fn seen(world: World) -> Snapshot {
    let known_nodes = world.nodes.keys().cloned().collect();
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(observe(&sim.ports(), Look { known_nodes, ..Look::full() }))
}

#[test]
fn the_lab_of_a_snapshot_of_the_demo_looks_like_the_demo() {
    let demo = seen(world_from_toml(DEMO, 1).unwrap());
    let (world, notes) = world_from_snapshot(&demo, 7).unwrap();
    let lab = seen(world);

    assert_eq!(lab.cluster_name, demo.cluster_name);
    assert_eq!(lab.configured_votes, demo.configured_votes);
    assert_eq!(lab.nodes.keys().collect::<Vec<_>>(), demo.nodes.keys().collect::<Vec<_>>());
    for (name, node) in &demo.nodes {
        let again = &lab.nodes[name];
        assert_eq!(again.pve_version, node.pve_version, "{name}");
        assert_eq!(again.qemu_version, node.qemu_version, "{name}");
        assert_eq!(again.kernel, node.kernel, "{name}");
        let total = |node: &quorate_core::snapshot::Node| node.memory.known().map(|memory| memory.total_bytes);
        assert_eq!(total(again), total(node), "{name}");
        let pending = |node: &quorate_core::snapshot::Node| {
            let packages = node.packages.known().expect("packages were read");
            packages.pending.iter().map(|one| format!("{} {:?} {}", one.name, one.from, one.to)).collect::<Vec<_>>()
        };
        assert_eq!(pending(again), pending(node), "{name}");
    }
    assert_eq!(lab.guests.keys().collect::<Vec<_>>(), demo.guests.keys().collect::<Vec<_>>());
    for (id, guest) in &demo.guests {
        let again = &lab.guests[id];
        assert_eq!((&again.node, &again.status, again.memory_bytes), (&guest.node, &guest.status, guest.memory_bytes));
        let bound = |guest: &quorate_core::snapshot::Guest| {
            let facts = guest.migration.known().expect("what binds a guest was read").clone();
            let disks: Vec<_> = facts.local_disks.iter().map(|disk| (disk.drive.clone(), disk.usage)).collect();
            (disks, facts.local_resources.len(), facts.storages)
        };
        assert_eq!(bound(again), bound(guest), "{id}");
    }
    let ha = |snapshot: &Snapshot| {
        let ha = snapshot.ha.known().expect("HA was read").clone();
        let services: Vec<_> = ha.services.into_iter().map(|(id, one)| (id, one.request, one.failback)).collect();
        (services, ha.rules)
    };
    assert_eq!(ha(&lab), ha(&demo));
    let ceph = |snapshot: &Snapshot| {
        let ceph = snapshot.ceph().expect("Ceph was read").clone();
        (ceph.pools, ceph.osds.into_iter().map(|(id, osd)| (id, osd.node)).collect::<Vec<_>>(), ceph.mon_quorum)
    };
    assert_eq!(ceph(&lab), ceph(&demo));
    assert!(notes.iter().any(|note| note.contains("how fast they write memory")), "guesses are named: {notes:#?}");
}

#[test]
fn a_snapshot_with_gaps_becomes_a_lab_and_every_guess_is_named() {
    let text = include_str!("../../../../crates/pve/tests/fixtures/pve91-snapshot.json");
    let snapshot: Snapshot = serde_json::from_str(text).unwrap();
    let (world, notes) = world_from_snapshot(&snapshot, 1).unwrap();
    assert_eq!(world.nodes.len(), 3);
    assert_eq!(world.guests.len(), snapshot.guests.len());
    let all = notes.join("\n");
    for guess in ["pending updates are not known: none", "whether it runs is not known", "vm:101"] {
        assert!(all.contains(guess), "{guess:?} is not in\n{all}");
    }
    let version = world.nodes.values().next().and_then(|node| node.installed("pve-manager")).unwrap();
    assert_eq!(version.as_str(), "9.1.8", "what was read is kept");
}
