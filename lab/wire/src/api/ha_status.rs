//! The state of HA: what the manager and the local resource managers last wrote, and what is too old to trust.

use quorate_core::ids::{GuestId, NodeName};
use quorate_world::World;
use quorate_world::ha::{Lrm, LrmMode, LrmState, MoveKind, RequestState, Resource, Service, ServiceState};
use serde_json::{Map, Value, json};

use super::Call;
use crate::answer::{CallRefused, Reply, object};
use crate::release;
use crate::text::Moment;

/// A state that has not been written for this long counts as dead.
const OLD_AFTER_MS: u64 = 30_000;
/// A state further in the future than this comes from a clock that is wrong.
const DRIFT_MS: u64 = 2_000;

pub(super) fn current(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(Value::Array(entries(call.world, &call.node)).into())
}

/// The entries of `status/current`, which `ha-manager status` prints line by line.
pub(crate) fn entries(world: &World, node: &NodeName) -> Vec<Value> {
    let quorate = world.writable(node);
    let quorum = if quorate { "OK".to_owned() } else { format!("No quorum on node '{node}'!") };
    let mut list = vec![json!({
        "id": "quorum", "type": "quorum", "node": node, "status": quorum, "quorate": u8::from(quorate),
    })];
    let manager = &world.ha.manager;
    let clock_ms = world.clock_ms(node);
    let fresh = clock_ms <= manager.timestamp_ms + OLD_AFTER_MS;
    if let Some(master) = &manager.master {
        let word = match (fresh, manager.services.is_empty()) {
            (false, _) => "old timestamp - dead?",
            _ if manager.timestamp_ms > clock_ms + DRIFT_MS => "detected time drift!",
            (true, true) => "idle",
            (true, false) => "active",
        };
        let disarmed = manager.disarm.filter(|disarm| disarm.complete);
        let disarmed = disarmed.map(|disarm| format!(" - disarmed, resource mode: {}", disarm.mode.as_str()));
        let disarmed = disarmed.unwrap_or_default();
        let when_s = manager.timestamp_ms / 1000;
        list.push(json!({
            "id": "master", "type": "master", "node": master, "timestamp": when_s,
            "status": format!("{master} ({word}, {}){disarmed}", Moment::at(when_s).ctime()),
        }));
    }
    if shows_fencing(world, node) {
        let armed = fresh && manager.master.is_some() && !manager.services.is_empty();
        let (word, text) = match (armed, manager.disarm) {
            (false, _) => ("standby", "standby (CRM watchdog standby)".to_owned()),
            (true, None) => ("armed", "armed (CRM watchdog active)".to_owned()),
            (true, Some(disarm)) if disarm.complete => {
                let mode = disarm.mode.as_str();
                ("disarmed", format!("disarmed, resource mode: {mode} (CRM watchdog released)"))
            }
            (true, Some(_)) => ("disarming", "disarming...".to_owned()),
        };
        let mut entry = object(json!({
            "id": "fencing", "type": "fencing", "node": manager.master.as_ref().unwrap_or(node),
            "status": text, "armed-state": word,
        }));
        if let Some(disarm) = manager.disarm.filter(|disarm| disarm.complete) {
            entry.insert("resource_mode".into(), json!(disarm.mode.as_str()));
        }
        list.push(entry.into());
    }
    let known = manager.node_status.keys().filter_map(|name| world.ha.lrm.get(name).map(|lrm| (name, lrm)));
    list.extend(known.map(|(name, lrm)| lrm_entry(world, node, name, lrm)));
    let nine = world.nodes.get(node).is_some_and(|node| release(node) >= (9, 0));
    for (sid, resource) in &world.ha.resources {
        let mut entry = service_entry(world, *sid, resource);
        if nine {
            entry.insert("failback".into(), json!(u8::from(resource.failback)));
        }
        list.push(entry.into());
    }
    list
}

/// ha-manager 5.1.3 and later have a line about fencing.
fn shows_fencing(world: &World, node: &NodeName) -> bool {
    let version = world.nodes.get(node).and_then(|node| node.installed("pve-ha-manager"));
    version.is_some_and(|version| *version >= "5.1.3".into())
}

fn lrm_entry(world: &World, viewer: &NodeName, name: &NodeName, lrm: &Lrm) -> Value {
    let clock_ms = world.clock_ms(viewer);
    let fresh = clock_ms <= lrm.timestamp_ms + OLD_AFTER_MS;
    let has_services = world.ha.manager.services.values().any(|service| service.node == *name);
    let word = match (fresh, lrm.mode, lrm.state) {
        (false, ..) => "old timestamp - dead?",
        _ if lrm.timestamp_ms > clock_ms + DRIFT_MS => "detected time drift!",
        (_, LrmMode::Disarm, _) => "disarm mode",
        (_, LrmMode::Maintenance, _) => "maintenance mode",
        (_, LrmMode::Shutdown, _) => "shutdown mode",
        (_, LrmMode::Restart, _) => "restart mode",
        (_, _, LrmState::WaitForAgentLock) if has_services => "wait_for_agent_lock",
        (_, _, LrmState::WaitForAgentLock) => "idle",
        (_, _, LrmState::LostAgentLock) => "lost_agent_lock",
        (_, _, LrmState::Active | LrmState::Maintenance) => "active",
    };
    let when_s = lrm.timestamp_ms / 1000;
    let when = Moment::at(when_s).ctime();
    let status = match shows_fencing(world, viewer) {
        true => {
            let armed = fresh && lrm.state != LrmState::WaitForAgentLock;
            format!("{name} ({word}, watchdog {}, {when})", if armed { "active" } else { "standby" })
        }
        false => format!("{name} ({word}, {when})"),
    };
    json!({"id": format!("lrm:{name}"), "type": "lrm", "node": name, "timestamp": when_s, "status": status})
}

fn service_entry(world: &World, sid: GuestId, resource: &Resource) -> Map<String, Value> {
    let service = world.ha.manager.services.get(&sid);
    // What the manager has not seen is on the node where the guest's configuration lies.
    let at = service.map(|service| &service.node).or(world.guests.get(&sid).map(|guest| &guest.node));
    let at = at.map_or("", NodeName::as_str);
    let state = displayed_state(resource, service);
    let mut entry = object(json!({
        "id": format!("service:{sid}"),
        "type": "service",
        "sid": sid,
        "node": at,
        "state": state,
        "request_state": resource.state.as_str(),
        "status": format!("{sid} ({at}, {state})"),
        "max_restart": resource.max_restart,
        "max_relocate": resource.max_relocate,
    }));
    if let Some(service) = service {
        entry.insert("crm_state".into(), json!(service.state.as_str()));
    }
    if let Some(comment) = &resource.comment {
        entry.insert("comment".into(), json!(comment));
    }
    entry
}

/// The state for people: what the manager has, combined with what is requested and what runs.
fn displayed_state(resource: &Resource, service: Option<&Service>) -> &'static str {
    let Some(service) = service else {
        return if resource.state == RequestState::Ignored { "ignored" } else { "queued" };
    };
    match (resource.state, service.state) {
        (RequestState::Ignored, _) => "ignored",
        (_, ServiceState::Started) if !service.running => "starting",
        (_, ServiceState::RequestStart) => "starting",
        (_, ServiceState::RequestStop) => "stopping",
        (RequestState::Disabled, ServiceState::Stopped) => "disabled",
        (RequestState::Disabled, ServiceState::Error) => "clearing error flag",
        (_, state) => state.as_str(),
    }
}

pub(super) fn manager(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(manager_status(call.world, &call.node).into())
}

/// The state files of the manager and the LRMs, as in /etc/pve.
pub(crate) fn manager_status(world: &World, node: &NodeName) -> Value {
    let manager = &world.ha.manager;
    let mut status = Map::new();
    if let Some(master) = &manager.master {
        let nodes: Map<_, _> =
            manager.node_status.iter().map(|(name, status)| (name.to_string(), json!(status.as_str()))).collect();
        let services: Map<_, _> =
            manager.services.iter().map(|(sid, service)| (sid.to_string(), service_status(service))).collect();
        status = object(json!({
            "master_node": master,
            "timestamp": manager.timestamp_ms / 1000,
            "node_status": nodes,
            "service_status": services,
        }));
        if !manager.maintenance_requests.is_empty() {
            let requests: Map<_, _> =
                manager.maintenance_requests.iter().map(|name| (name.to_string(), json!({"maintenance": 1}))).collect();
            status.insert("node_request".into(), requests.into());
        }
        if let Some(disarm) = manager.disarm {
            let state = if disarm.complete { "disarmed" } else { "disarming" };
            status.insert("disarm".into(), json!({"state": state, "mode": disarm.mode.as_str()}));
        }
    }
    let lrms: Map<_, _> = world.ha.lrm.iter().map(|(name, lrm)| (name.to_string(), lrm_status(lrm))).collect();
    let quorate = if world.writable(node) { "1" } else { "" };
    json!({"manager_status": status, "lrm_status": lrms, "quorum": {"node": node, "quorate": quorate}})
}

fn service_status(service: &Service) -> Value {
    let mut entry = object(json!({"node": service.node, "state": service.state.as_str(), "uid": service.uid}));
    if service.running {
        entry.insert("running".into(), json!(1));
    }
    if let Some(target) = &service.target {
        entry.insert("target".into(), json!(target));
    }
    if let Some(home) = &service.maintenance_node {
        entry.insert("maintenance_node".into(), json!(home));
    }
    if !service.failed_nodes.is_empty() {
        entry.insert("failed_nodes".into(), json!(service.failed_nodes));
    }
    if let Some((kind, target)) = &service.command {
        let verb = if *kind == MoveKind::Migrate { "migrate" } else { "relocate" };
        entry.insert("cmd".into(), json!([verb, target]));
    }
    entry.into()
}

fn lrm_status(lrm: &Lrm) -> Value {
    let results: Map<_, _> = lrm
        .results
        .iter()
        .map(|(uid, result)| {
            let (sid, state) = (result.sid, result.state.as_str());
            (uid.clone(), json!({"sid": sid, "state": state, "exit_code": result.exit_code}))
        })
        .collect();
    json!({
        "mode": lrm.mode.as_str(),
        "state": lrm.state.as_str(),
        "timestamp": lrm.timestamp_ms / 1000,
        "results": results,
    })
}
