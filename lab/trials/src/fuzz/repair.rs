//! What a person does to repair the cluster: every fault that is still in effect is removed.
//!
//! It touches only what faults touched. What the tool did, and has to undo, is left to the tool.

use quorate_core::ids::{GuestId, NodeName, OsdId, StorageId, UnitName};

use quorate_world::World;
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::ha::{RequestState, ResourceChange, ServiceState};

/// Free space on `/` after a clean-up.
const FREE_BYTES: u64 = 40 << 30;

/// HA's rounds are ten seconds long, and a stop takes up to a minute.
const HA_ROUNDS_MS: u64 = 90_000;

/// Repairs everything. Nodes boot, daemons start and HA recovers in their own time afterwards.
pub(super) fn repair(world: &mut World) {
    world.armed.waiting.clear();
    // Every move that is under way is stopped: one that hangs never ends by itself.
    let moving: Vec<GuestId> = world.migrations.running.keys().copied().collect();
    for guest in moving {
        world.fail_migration(guest, "received interrupt");
    }
    // `qm unlock`: a node that lost its power in the middle of a move has left the lock behind.
    for guest in world.guests.values_mut() {
        guest.lock = None;
    }
    let nodes: Vec<NodeName> = world.nodes.keys().cloned().collect();
    for name in &nodes {
        repair_node(world, name);
    }
    if let Some(device) = &mut world.corosync.qdevice {
        device.alive = true;
    }
    world.inject(Fault { at_s: 0, kind: FaultKind::Qdevice { alive: true } });
    for (storage, node) in gone(world) {
        let storage = storage.to_string();
        world.inject(Fault { at_s: 0, kind: FaultKind::StorageGone { node, storage, gone: false } });
    }
    if let Some(ceph) = &mut world.ceph {
        (ceph.busy_until_ms, ceph.slow_until_ms) = (0, 0);
        ceph.osds.values_mut().for_each(|osd| osd.full_percent = 0);
    }
    let osds: Vec<OsdId> = world.ceph.iter().flat_map(|ceph| ceph.osds.keys().copied()).collect();
    for id in osds {
        start_osd(world, id);
    }
    if world.impact.baseline.as_ref().is_some_and(|baseline| baseline.flags.contains("noout")) {
        world.inject(Fault { at_s: 0, kind: FaultKind::AdminNoout { set: false } });
    }
    let his: Vec<NodeName> = world.impact.baseline.iter().flat_map(|baseline| baseline.maintenance.clone()).collect();
    for node in his {
        world.inject(Fault { at_s: 0, kind: FaultKind::AdminMaintenance { node, on: false } });
    }
}

/// The services that HA has given up are handled as the pause says: disabled, and started again.
pub(super) fn takes_up_again(world: &mut World) {
    let services = world.ha.manager.services.iter();
    let guests: Vec<GuestId> =
        services.filter(|(_, service)| service.state == ServiceState::Error).map(|(id, _)| *id).collect();
    let Some(node) = world.nodes.keys().find(|node| world.writable(node)).cloned() else { return };
    for state in [RequestState::Disabled, RequestState::Started] {
        for guest in &guests {
            let change = ResourceChange { state: Some(state), ..ResourceChange::default() };
            world.ha_change(&node, *guest, change).expect("the node has quorum, and HA manages the guest");
        }
        let until_ms = world.now_ms + if guests.is_empty() { 0 } else { HA_ROUNDS_MS };
        world.advance_to(until_ms);
    }
}

/// Storages that do not answer, and where.
fn gone(world: &World) -> Vec<(StorageId, NodeName)> {
    let storages = world.storages.values();
    storages.flat_map(|storage| storage.inactive_on.iter().map(|node| (storage.id.clone(), node.clone()))).collect()
}

fn repair_node(world: &mut World, name: &NodeName) {
    world.power_on(name);
    let Some(machine) = world.nodes.get_mut(name) else { return };
    machine.api_error = None;
    machine.clock_skew_ms = 0;
    // `systemctl restart pve-cluster`
    machine.pmxcfs_alone = false;
    machine.root_free_bytes = machine.root_free_bytes.max(FREE_BYTES);
    machine.ssh_up |= machine.is_up();
    if machine.packages.locked_by == Some(777) {
        machine.packages.locked_by = None;
    }
    // What hangs is killed; then `dpkg --configure -a`.
    let hang: Vec<UnitName> =
        if machine.packages.broken.is_empty() { Vec::new() } else { machine.units.keys().cloned().collect() };
    for unit in hang {
        world.kill_upgrade(name, &unit);
    }
    let Some(machine) = world.nodes.get_mut(name) else { return };
    machine.packages.broken.clear();
    machine.packages.interrupted = false;
    machine.pmxcfs_away_until_ms = 0;
    machine.pvestatd_hangs_until_ms = 0;
    for link in 0..machine.links.len() {
        world.set_link(name, link, true);
    }
}

fn start_osd(world: &mut World, id: OsdId) {
    let Some(osd) = world.ceph.as_mut().and_then(|ceph| ceph.osds.get_mut(&id)) else { return };
    osd.returns = true;
    let (host, running) = (osd.host.clone(), osd.running);
    let boots = world.nodes.get(&host).filter(|machine| machine.is_up()).map(|machine| machine.boots);
    if let Some(boots) = boots.filter(|_| !running) {
        world.on_ceph_up(&host, boots, &id.to_string());
    }
}
