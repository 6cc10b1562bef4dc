//! What a finding recommends is done in the lab: after it the finding is gone, and nothing is worse than before.

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use common::{block_on, demo, policy};
use quorate_core::checks::{Asked, Finding, Severity, run_all};
use quorate_core::ids::{GuestId, NodeName};
use quorate_engine::{refresh, stale};
use quorate_pve::observe::{Look, observe};
use quorate_trials::ports::SimPorts;
use quorate_world::World;
use quorate_world::cluster_file::world_from_toml;
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::ha::{RequestState, Resource};
use quorate_world::node::Service;

/// What is wrong, which finding says so, and the commands that it recommends, each with its node.
struct Row {
    id: &'static str,
    severity: Severity,
    problem: &'static str,
    change: fn(&mut World),
    remedy: &'static [(&'static str, &'static str)],
}

fn write(world: &mut World, path: &str) {
    world.pmxcfs_write(&"pve1".into(), path, "text\n").unwrap();
}

/// HA is configured with a guest that does not exist.
fn resource_without_a_guest(world: &mut World) {
    let any = world.ha.resources.values().next().unwrap().clone();
    world.ha.resources.insert(GuestId::vm(199), Resource { state: RequestState::Started, ..any });
}

const ROWS: &[Row] = &[
    Row {
        id: "orphaned-guests/left-behind",
        severity: Severity::Warning,
        problem: "the configuration of vm:900 is left below /etc/pve/nodes/pve-old",
        change: |world| write(world, "/etc/pve/nodes/pve-old/qemu-server/900.conf"),
        remedy: &[("pve1", "rm /etc/pve/nodes/pve-old/qemu-server/900.conf")],
    },
    Row {
        id: "orphaned-guests/left-behind",
        severity: Severity::Warning,
        problem: "the configuration of ct:901 is left below /etc/pve/nodes/pve-old",
        change: |world| write(world, "/etc/pve/nodes/pve-old/lxc/901.conf"),
        remedy: &[("pve1", "rm /etc/pve/nodes/pve-old/lxc/901.conf")],
    },
    Row {
        id: "ha-state/left-over",
        severity: Severity::Warning,
        problem: "HA has vm:199 among its resources, and there is no such guest",
        change: resource_without_a_guest,
        remedy: &[("pve1", "ha-manager remove vm:199")],
    },
    Row {
        id: "ha-state/guest-gone",
        severity: Severity::Blocking,
        problem: "HA still manages vm:199, and there is no such guest",
        change: |world| {
            resource_without_a_guest(world);
            let any = world.ha.manager.services.values().next().unwrap().clone();
            world.ha.manager.services.insert(GuestId::vm(199), any);
        },
        remedy: &[("pve1", "ha-manager remove vm:199")],
    },
    Row {
        id: "other-movers/at-work",
        severity: Severity::Blocking,
        problem: "proxlb is running on pve2",
        change: |world| {
            let service = Service {
                active_state: "active".into(),
                sub_state: "running".into(),
                unit_state: "enabled".into(),
                description: "ProxLB".into(),
            };
            world.nodes.get_mut(&NodeName::from("pve2")).unwrap().services.insert("proxlb".into(), service);
        },
        remedy: &[("pve2", "systemctl disable --now proxlb")],
    },
    Row {
        id: "services/needed-stopped",
        severity: Severity::Blocking,
        problem: "service pvestatd on pve2 is dead, and not enabled",
        change: |world| {
            let node = world.nodes.get_mut(&NodeName::from("pve2")).unwrap();
            let service = node.services.get_mut("pvestatd").unwrap();
            (service.active_state, service.sub_state) = ("inactive".into(), "dead".into());
            service.unit_state = "disabled".into();
        },
        remedy: &[("pve2", "systemctl enable --now pvestatd")],
    },
    Row {
        id: "storages/not-active",
        severity: Severity::Blocking,
        problem: "is not active on pve3",
        change: |world| {
            let local = world.storages.values().find(|storage| !storage.shared && storage.nodes.is_empty());
            let storage = local.expect("the demo has a local storage").id.clone();
            world.inject(Fault {
                at_s: 0,
                kind: FaultKind::StorageGone { node: "pve3".into(), storage: storage.to_string(), gone: true },
            });
        },
        remedy: &[("pve1", "pvesm set local --nodes pve1,pve2")],
    },
];

/// Everything that is found, after the lists were refreshed.
fn found(sim: &SimPorts) -> Vec<Finding> {
    let ports = sim.ports();
    let snapshot = block_on(async {
        let old = stale(&observe(&ports, Look::full()).await);
        refresh(&ports, &old).await;
        observe(&ports, Look::full()).await
    });
    run_all(&snapshot, &policy(), Asked::BeforeARun)
}

fn has(found: &[Finding], row: &Row) -> bool {
    found.iter().any(|finding| finding.id() == row.id && finding.problem.contains(row.problem))
}

/// Findings above information, without those about `except`.
fn grave(found: &[Finding]) -> Vec<String> {
    found.iter().filter(|finding| finding.severity > Severity::Info).map(|finding| finding.problem.clone()).collect()
}

fn pass(world: &mut MutexGuard<'_, World>, seconds: u64) {
    let until = world.now_ms + seconds * 1000;
    world.advance_to(until);
}

#[test]
fn each_remedy_is_in_its_finding_and_after_it_the_finding_is_gone_and_nothing_is_worse() {
    for row in ROWS {
        let healthy = SimPorts::new(Arc::new(Mutex::new(demo())));
        pass(&mut healthy.world(), 60);
        let before = grave(&found(&healthy));
        let mut world = demo();
        (row.change)(&mut world);
        let sim = SimPorts::new(Arc::new(Mutex::new(world)));
        pass(&mut sim.world(), 60);
        let wrong = found(&sim);
        let hit = wrong.iter().find(|finding| finding.id() == row.id && finding.problem.contains(row.problem));
        let hit = hit.unwrap_or_else(|| panic!("{}: {:#?}", row.id, grave(&wrong)));
        assert_eq!(hit.severity, row.severity, "{hit:#?}");
        let others = |finding: &&Finding| finding.severity == Severity::Blocking && finding.id() != row.id;
        let others: Vec<&Finding> = wrong.iter().filter(others).collect();
        assert!(others.is_empty(), "{}: {others:#?}", row.id);
        for (node, command) in row.remedy {
            assert!(hit.remedy.contains(command), "{command:?} is not in {:?}", hit.remedy);
            let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
            let output =
                block_on(sim.ports().shell.run(&NodeName::from(*node), &argv, Duration::from_secs(30))).unwrap();
            assert!(output.succeeded(), "{command}: {}", output.stderr);
        }
        pass(&mut sim.world(), 60);
        let after = found(&sim);
        assert!(!has(&after, row), "{} is still there", row.id);
        assert_eq!(grave(&after), before, "{}", row.id);
    }
}

/// Three nodes without Ceph, of which packages and configuration are left.
#[test]
fn ceph_that_was_given_up_is_taken_away_by_what_its_finding_recommends() {
    let text = include_str!("fixtures/no_ceph.toml");
    let mut world = world_from_toml(text, 1).unwrap();
    write(&mut world, "/etc/pve/ceph.conf");
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let wrong = found(&sim);
    let of_ceph: Vec<&Finding> = wrong.iter().filter(|finding| finding.problem.contains("ceph")).collect();
    assert!(of_ceph.iter().any(|finding| finding.severity == Severity::Blocking), "{of_ceph:#?}");
    assert!(of_ceph.iter().any(|finding| finding.remedy.contains("pveceph purge") && finding.remedy.contains("rm /etc/pve/ceph.conf")), "{of_ceph:#?}");
    let purge = ["pveceph", "purge"].map(str::to_owned);
    let output = block_on(sim.ports().shell.run(&"pve2".into(), &purge, Duration::from_secs(30))).unwrap();
    assert!(output.succeeded(), "{}", output.stderr);
    assert!(found(&sim).iter().all(|finding| !finding.problem.contains("ceph")));
}

#[test]
fn a_greeting_in_every_session_is_one_finding_with_its_cause_and_nothing_is_read_from_it() {
    let mut world = demo();
    world.nodes.get_mut(&NodeName::from("pve2")).unwrap().greeting = Some("Welcome to pve2 - production!".to_owned());
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let healthy = grave(&found(&SimPorts::new(Arc::new(Mutex::new(demo())))));
    let wrong = found(&sim);
    let of_it: Vec<&Finding> = wrong.iter().filter(|finding| finding.severity == Severity::Blocking).collect();
    assert_eq!(of_it.len(), 1, "{of_it:#?}");
    assert!(of_it[0].problem.contains("the login shell of root on pve2 prints text of its own"), "{of_it:#?}");
    assert!(of_it[0].remedy.contains("/root/.bashrc"), "{of_it:#?}");
    let misread = |finding: &&Finding| finding.check != "login-text" && finding.problem.contains("Welcome");
    assert_eq!(wrong.iter().find(misread), None);
    sim.world().nodes.get_mut(&NodeName::from("pve2")).unwrap().greeting = None;
    assert_eq!(grave(&found(&sim)), healthy);
}
