//! HA from a snapshot: the state that its master and its local resource managers last wrote.

use std::collections::BTreeMap;

use quorate_core::ids::NodeName;
use quorate_core::snapshot::{
    ArmedState, Ha, HaNodeState, HaRequest, HaService, HaServiceState, LrmMode as SeenMode, LrmStatus, Snapshot,
};

use crate::World;
use crate::ha::{
    Disarm, Lrm, LrmMode, LrmState, NodeStatus, RequestState, Resource, ResourceMode, Service, ServiceState,
};

/// Sets it.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot) {
    let Some(seen) = snapshot.ha.known() else { return };
    let manager = &mut world.ha.manager;
    manager.master = seen.master.clone();
    if let Some(at) = seen.master_seen {
        manager.timestamp_ms = at.0;
    }
    manager.node_status = seen.nodes.iter().map(|(node, state)| (node.clone(), node_status(*state))).collect();
    manager.maintenance_requests = seen.maintenance_requested.clone();
    manager.disarm = match seen.armed {
        Some(ArmedState::Disarmed) => Some(Disarm { mode: ResourceMode::Freeze, complete: true }),
        Some(ArmedState::Disarming) => Some(Disarm { mode: ResourceMode::Freeze, complete: false }),
        Some(ArmedState::Armed | ArmedState::Standby) | None => None,
    };
    for (node, status) in &seen.lrm {
        if let Some(lrm) = world.ha.lrm.get_mut(node) {
            lrm_status(lrm, status);
        }
    }
    services(world, seen);
}

fn node_status(state: HaNodeState) -> NodeStatus {
    match state {
        HaNodeState::Online => NodeStatus::Online,
        HaNodeState::Maintenance => NodeStatus::Maintenance,
        HaNodeState::Unknown => NodeStatus::Unknown,
        HaNodeState::Fence => NodeStatus::Fence,
        HaNodeState::Gone => NodeStatus::Gone,
    }
}

fn lrm_status(lrm: &mut Lrm, seen: &LrmStatus) {
    lrm.mode = match seen.mode {
        SeenMode::Active => LrmMode::Active,
        SeenMode::Maintenance => LrmMode::Maintenance,
        SeenMode::Restart => LrmMode::Restart,
        SeenMode::Shutdown => LrmMode::Shutdown,
        SeenMode::Disarm => LrmMode::Disarm,
    };
    lrm.state = match seen.state.as_str() {
        "active" => LrmState::Active,
        "maintenance" => LrmState::Maintenance,
        "lost_agent_lock" => LrmState::LostAgentLock,
        _ => LrmState::WaitForAgentLock,
    };
    lrm.timestamp_ms = seen.seen.0;
}

/// The services as the master has them; a resource may be left over from a guest that is gone.
fn services(world: &mut World, seen: &Ha) {
    for (id, service) in &seen.services {
        let request = match service.request {
            HaRequest::Started => RequestState::Started,
            HaRequest::Stopped => RequestState::Stopped,
            HaRequest::Disabled => RequestState::Disabled,
            HaRequest::Ignored => RequestState::Ignored,
        };
        let failback = service.failback;
        let new = Resource { state: request, max_restart: 1, max_relocate: 1, failback, comment: None };
        world.ha.resources.entry(*id).or_insert(new);
    }
    for id in &seen.left_over {
        let state = RequestState::Started;
        let new = Resource { state, max_restart: 1, max_relocate: 1, failback: true, comment: None };
        world.ha.resources.entry(*id).or_insert(new);
    }
    let old = std::mem::take(&mut world.ha.manager.services);
    for (id, service) in &seen.services {
        let (Some(state), Some(node)) = (service.state.and_then(service_state), &service.node) else { continue };
        let running = world.guests.get(id).is_some_and(|guest| guest.is_running());
        let own = Service { state, running, ..of_node(node, service, old.get(id)) };
        world.ha.manager.services.insert(*id, own);
    }
    let mut by_node: BTreeMap<NodeName, Vec<_>> = BTreeMap::new();
    for (id, service) in &world.ha.manager.services {
        by_node.entry(service.node.clone()).or_default().push(*id);
    }
    world.ha.manager.by_node = by_node;
}

fn of_node(node: &NodeName, seen: &HaService, old: Option<&Service>) -> Service {
    Service {
        node: node.clone(),
        state: ServiceState::Started,
        target: seen.target.clone(),
        maintenance_node: seen.maintenance_node.clone(),
        uid: old.map(|old| old.uid.clone()).unwrap_or_default(),
        running: false,
        command: None,
        failed_nodes: Vec::new(),
        failures: 0,
    }
}

fn service_state(state: HaServiceState) -> Option<ServiceState> {
    Some(match state {
        HaServiceState::Stopped => ServiceState::Stopped,
        HaServiceState::RequestStop => ServiceState::RequestStop,
        HaServiceState::RequestStart | HaServiceState::RequestStartBalance => ServiceState::RequestStart,
        HaServiceState::Started => ServiceState::Started,
        HaServiceState::Fence => ServiceState::Fence,
        HaServiceState::Recovery => ServiceState::Recovery,
        HaServiceState::Migrate => ServiceState::Migrate,
        HaServiceState::Relocate => ServiceState::Relocate,
        HaServiceState::Freeze => ServiceState::Freeze,
        HaServiceState::Error => ServiceState::Error,
    })
}
