//! `/cluster/ha`: the manager's state as its files show it, resources, rules, and requests to move.

use quorate_core::ids::{GuestId, NodeName};
use serde_json::{Map, Value, json};

use super::cluster::object;
use super::{Call, Needs, Route, route, since};
use crate::wire::answer::{Refusal, Reply};
use crate::wire::params::{Kind, opt, req, since as param_since};
use crate::wire::release;
use crate::wire::text::{Moment, config_digest};
use crate::world::ha::{
    Lrm, LrmMode, LrmState, MoveKind, RequestState, Resource, ResourceChange, Rule, RuleKind, Service, ServiceState,
};
use crate::world::{World, WorldError};

const AUDIT: Needs = Needs::Privilege("/", &["Sys.Audit"]);
const CONSOLE: Needs = Needs::Privilege("/", &["Sys.Console"]);
const STATES: Kind = Kind::Enum(&["started", "stopped", "enabled", "disabled", "ignored"]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/ha", AUDIT, &[], index),
    route("GET", "/cluster/ha/status", AUDIT, &[], status_index),
    route("GET", "/cluster/ha/status/current", AUDIT, &[], current),
    route("GET", "/cluster/ha/status/manager_status", AUDIT, &[], manager),
    route("GET", "/cluster/ha/resources", AUDIT, &[opt("type", Kind::Enum(&["ct", "vm"]))], resources),
    route(
        "POST",
        "/cluster/ha/resources",
        CONSOLE,
        &[
            req("sid", Kind::Text),
            opt("state", STATES),
            opt("max_restart", Kind::Integer(0, i64::MAX)),
            opt("max_relocate", Kind::Integer(0, i64::MAX)),
            param_since((9, 0), opt("failback", Kind::Boolean)),
            opt("comment", Kind::Text),
            opt("type", Kind::Enum(&["ct", "vm"])),
            opt("group", Kind::Text),
        ],
        add,
    ),
    route("GET", "/cluster/ha/resources/{sid}", AUDIT, &[], resource),
    route(
        "PUT",
        "/cluster/ha/resources/{sid}",
        CONSOLE,
        &[
            opt("state", STATES),
            opt("max_restart", Kind::Integer(0, i64::MAX)),
            opt("max_relocate", Kind::Integer(0, i64::MAX)),
            param_since((9, 0), opt("failback", Kind::Boolean)),
            opt("comment", Kind::Text),
            opt("delete", Kind::Text),
            opt("digest", Kind::Text),
            opt("group", Kind::Text),
        ],
        change,
    ),
    route(
        "DELETE",
        "/cluster/ha/resources/{sid}",
        CONSOLE,
        &[param_since((9, 1), opt("purge", Kind::Boolean))],
        remove,
    ),
    route("POST", "/cluster/ha/resources/{sid}/migrate", CONSOLE, &[req("node", Kind::Node)], migrate),
    route("POST", "/cluster/ha/resources/{sid}/relocate", CONSOLE, &[req("node", Kind::Node)], relocate),
    since(
        (9, 0),
        route(
            "GET",
            "/cluster/ha/rules",
            AUDIT,
            &[opt("type", Kind::Enum(&["node-affinity", "resource-affinity"])), opt("resource", Kind::Text)],
            rules,
        ),
    ),
    since((9, 0), route("GET", "/cluster/ha/rules/{rule}", AUDIT, &[], rule)),
    route("GET", "/cluster/ha/groups", AUDIT, &[], groups),
];

fn index(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let names: &[&str] = match call.release() >= (9, 0) {
        true => &["status", "resources", "groups", "rules"],
        false => &["status", "resources", "groups"],
    };
    Ok(names.iter().map(|name| json!({"id": name})).collect::<Value>().into())
}

fn status_index(_: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(json!([{"name": "current"}, {"name": "manager_status"}]).into())
}

/// A state that was not written for this long is taken for dead.
const OLD_AFTER_MS: u64 = 30_000;

fn current(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(Value::Array(entries(call.world, &call.node)).into())
}

/// The entries of `status/current`, which `ha-manager status` prints line by line.
pub(crate) fn entries(world: &World, node: &NodeName) -> Vec<Value> {
    let quorate = world.corosync.quorate(node);
    let quorum = if quorate { "OK".to_owned() } else { format!("No quorum on node '{node}'!") };
    let mut list = vec![json!({
        "id": "quorum", "type": "quorum", "node": node, "status": quorum, "quorate": u8::from(quorate),
    })];
    let manager = &world.ha.manager;
    let fresh = world.now_ms <= manager.timestamp_ms + OLD_AFTER_MS;
    if let Some(master) = &manager.master {
        let word = match (fresh, manager.services.is_empty()) {
            (false, _) => "old timestamp - dead?",
            (true, true) => "idle",
            (true, false) => "active",
        };
        let when_s = manager.timestamp_ms / 1000;
        list.push(json!({
            "id": "master", "type": "master", "node": master, "timestamp": when_s,
            "status": format!("{master} ({word}, {})", Moment::at(when_s).ctime()),
        }));
    }
    if shows_fencing(world, node) {
        let armed = fresh && manager.master.is_some() && !manager.services.is_empty();
        let word = if armed { "armed" } else { "standby" };
        let watchdog = if armed { "active" } else { "standby" };
        list.push(json!({
            "id": "fencing", "type": "fencing", "node": manager.master.as_ref().unwrap_or(node),
            "status": format!("{word} (CRM watchdog {watchdog})"), "armed-state": word,
        }));
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
    let fresh = world.now_ms <= lrm.timestamp_ms + OLD_AFTER_MS;
    let has_services = world.ha.manager.services.values().any(|service| service.node == *name);
    let word = match (fresh, lrm.mode, lrm.state) {
        (false, ..) => "old timestamp - dead?",
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

/// The state for people: what the manager has, seen together with what is wanted and what runs.
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

fn manager(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    Ok(manager_status(call.world, &call.node).into())
}

/// The state files of manager and LRMs, as they lie in /etc/pve.
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
    }
    let lrms: Map<_, _> = world.ha.lrm.iter().map(|(name, lrm)| (name.to_string(), lrm_status(lrm))).collect();
    let quorate = if world.corosync.quorate(node) { "1" } else { "" };
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

/// Digest of resources.cfg: the same for all its entries.
fn resources_digest(world: &World) -> String {
    config_digest(&format!("{:?}", world.ha.resources))
}

fn resources(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let only = call.args.get("type");
    let digest = resources_digest(call.world);
    let of_type = |sid: &GuestId| only.is_none_or(|only| kind_word(*sid) == only);
    let list = call.world.ha.resources.iter().filter(|(sid, _)| of_type(sid)).map(|(sid, resource)| {
        let mut entry = resource_entry(call, *sid, resource, &digest);
        // The file has only what differs from the defaults.
        if resource.max_restart == 1 {
            entry.remove("max_restart");
        }
        if resource.max_relocate == 1 {
            entry.remove("max_relocate");
        }
        if resource.failback {
            entry.remove("failback");
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn kind_word(sid: GuestId) -> &'static str {
    match sid.kind {
        quorate_core::ids::GuestKind::Vm => "vm",
        quorate_core::ids::GuestKind::Ct => "ct",
    }
}

fn resource_entry(call: &Call<'_>, sid: GuestId, resource: &Resource, digest: &str) -> Map<String, Value> {
    let mut entry = object(json!({
        "sid": sid,
        "type": kind_word(sid),
        "state": resource.state.as_str(),
        "digest": digest,
        "max_restart": resource.max_restart,
        "max_relocate": resource.max_relocate,
    }));
    if call.release() >= (9, 0) {
        entry.insert("failback".into(), json!(u8::from(resource.failback)));
    }
    if let Some(comment) = &resource.comment {
        entry.insert("comment".into(), json!(comment));
    }
    if !migrated(call.world) {
        let group = call
            .world
            .ha
            .rules
            .iter()
            .find(|(_, rule)| matches!(rule.kind, RuleKind::NodeAffinity { .. }) && rule.resources.contains(&sid));
        entry.extend(group.map(|(name, _)| ("group".to_owned(), json!(name))));
    }
    entry
}

/// The sid in the path; a bare number is a guest's.
fn sid(call: &Call<'_>) -> Result<GuestId, Refusal> {
    parse_sid(call.world, call.args.text("sid")).ok_or_else(|| {
        Refusal::parameter("sid", format!("invalid format - unable to parse resource ID '{}'\n", call.args.text("sid")))
    })
}

fn parse_sid(world: &World, text: &str) -> Option<GuestId> {
    GuestId::parse(text).or_else(|| {
        let vmid: u32 = text.parse().ok()?;
        world.guests.keys().find(|guest| guest.vmid.0 == vmid).copied()
    })
}

fn resource(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let sid = sid(call)?;
    let found = call.world.ha.resources.get(&sid);
    let found = found.ok_or_else(|| Refusal::failed(format!("no such resource '{sid}'")))?;
    Ok(Value::Object(resource_entry(call, sid, found, &resources_digest(call.world))).into())
}

fn number(call: &Call<'_>, name: &str) -> Option<u32> {
    call.args.number(name).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn no_groups(call: &Call<'_>) -> Result<(), Refusal> {
    match call.args.get("group") {
        Some(_) if migrated(call.world) => {
            Err(Refusal::failed("invalid parameter 'group': ha groups have been migrated to rules"))
        }
        _ => Ok(()),
    }
}

fn add(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    no_groups(call)?;
    let sid = sid(call)?;
    if !call.world.guests.contains_key(&sid) {
        return Err(Refusal::failed(format!("resource '{sid}' does not exist in cluster")));
    }
    let failed = |text: String| Refusal::failed(format!("create resource failed: {text}"));
    if call.world.ha.resources.contains_key(&sid) {
        return Err(failed(format!("resource ID '{sid}' already defined")));
    }
    let resource = Resource {
        state: call.args.get("state").and_then(RequestState::parse).unwrap_or(RequestState::Started),
        max_restart: number(call, "max_restart").unwrap_or(1),
        max_relocate: number(call, "max_relocate").unwrap_or(1),
        failback: call.args.switch("failback").unwrap_or(true),
        comment: call.args.get("comment").map(str::to_owned),
    };
    call.world.ha_add(&call.node, sid, resource).map_err(|error| prefixed("create resource failed", error))?;
    Ok(Value::Null.into())
}

fn change(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    no_groups(call)?;
    let sid = sid(call)?;
    if !call.world.ha.resources.contains_key(&sid) {
        return Err(Refusal::failed(format!("update resources config failed: no such resource '{sid}'")));
    }
    let deleted = |name: &str| call.args.text("delete").split(',').any(|key| key.trim() == name);
    let change = ResourceChange {
        state: call.args.get("state").and_then(RequestState::parse),
        max_restart: number(call, "max_restart").or(deleted("max_restart").then_some(1)),
        max_relocate: number(call, "max_relocate").or(deleted("max_relocate").then_some(1)),
        failback: call.args.switch("failback").or(deleted("failback").then_some(true)),
        comment: call.args.get("comment").map(str::to_owned),
    };
    call.world.ha_change(&call.node, sid, change).map_err(|error| prefixed("update resources config failed", error))?;
    Ok(Value::Null.into())
}

fn remove(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let sid = sid(call)?;
    if !call.world.ha.resources.contains_key(&sid) {
        return Err(Refusal::failed(format!("cannot delete service '{sid}', not HA managed!")));
    }
    call.world.ha_remove(&call.node, sid).map_err(|error| prefixed("delete resource failed", error))?;
    Ok(Value::Null.into())
}

/// PVE says what it was about to write when the lock on HA's files is refused.
fn prefixed(what: &str, error: WorldError) -> Refusal {
    match error {
        WorldError::NoLock(_) => Refusal::failed(format!("{what}: {error}")),
        other => other.into(),
    }
}

fn migrate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    request_move(call, MoveKind::Migrate)
}

fn relocate(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    request_move(call, MoveKind::Relocate)
}

/// Queues a move. That the answer is 200 does not mean that the manager will do it.
fn request_move(call: &mut Call<'_>, kind: MoveKind) -> Result<Reply, Refusal> {
    let sid = sid(call)?;
    if !call.world.ha.resources.contains_key(&sid) {
        return Err(Refusal::failed(format!("resource '{sid}' is not HA managed")));
    }
    let target = call.args.text("node").to_owned();
    let answer = call.world.ha_move(&call.node, sid, kind, &target)?;
    if call.release() < (9, 0) {
        return Ok(Value::Null.into());
    }
    let mut data = object(json!({"sid": sid, "requested-node": target}));
    if !answer.comigrated.is_empty() {
        data.insert("comigrated-resources".into(), json!(answer.comigrated));
    }
    if !answer.blocking.is_empty() {
        data.insert("blocking-resources".into(), blocking(&answer.blocking));
    }
    Ok(Value::Object(data).into())
}

/// Resources in the way, each with the kind of rule.
pub(super) fn blocking(all: &[(GuestId, String)]) -> Value {
    all.iter().map(|(sid, cause)| json!({"sid": sid, "cause": cause})).collect()
}

/// Groups become rules once every node has PVE 9.
fn migrated(world: &World) -> bool {
    world.nodes.values().all(|node| release(node) >= (9, 0))
}

fn groups(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if migrated(call.world) {
        return Err(Refusal::failed("cannot index groups: ha groups have been migrated to rules"));
    }
    let digest = config_digest(&format!("{:?}", call.world.ha.rules));
    let list = call.world.ha.rules.iter().filter_map(|(name, rule)| {
        let RuleKind::NodeAffinity { nodes, strict } = &rule.kind else { return None };
        let failback = |sid: &GuestId| call.world.ha.resources.get(sid).is_none_or(|resource| resource.failback);
        let mut entry = object(json!({
            "group": name, "type": "group", "nodes": node_list(nodes), "digest": digest,
            "restricted": u8::from(*strict),
        }));
        if !rule.resources.iter().all(failback) {
            entry.insert("nofailback".into(), json!(1));
        }
        Some(Value::Object(entry))
    });
    Ok(list.collect::<Value>().into())
}

fn node_list(nodes: &std::collections::BTreeMap<NodeName, u32>) -> String {
    let one = |(node, priority): (&NodeName, &u32)| match priority {
        0 => node.to_string(),
        _ => format!("{node}:{priority}"),
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(",")
}

fn rules(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let wanted = call.args.get("type");
    let about = call.args.get("resource").and_then(|text| parse_sid(call.world, text));
    let all = rule_entries(call.world).into_iter().filter(|(rule, entry)| {
        wanted.is_none_or(|wanted| entry["type"] == wanted)
            && about.is_none_or(|sid| call.world.ha.rules[rule].resources.contains(&sid))
    });
    Ok(all.map(|(_, entry)| entry).collect::<Value>().into())
}

fn rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.args.text("rule");
    let found = rule_entries(call.world).into_iter().find(|(rule, _)| rule == name);
    let (_, entry) = found.ok_or_else(|| Refusal::failed(format!("no such ha rule '{name}'")))?;
    Ok(entry.into())
}

/// All rules by name; groups that are not migrated yet are none.
fn rule_entries(world: &World) -> Vec<(String, Value)> {
    let digest = config_digest(&format!("{:?}", world.ha.rules));
    let in_force = world
        .ha
        .rules
        .iter()
        .filter(|(_, rule)| migrated(world) || !matches!(rule.kind, RuleKind::NodeAffinity { .. }));
    in_force
        .enumerate()
        .map(|(order, (name, rule))| (name.clone(), rule_entry(name, rule, order + 1, &digest)))
        .collect()
}

fn rule_entry(name: &str, rule: &Rule, order: usize, digest: &str) -> Value {
    let resources: Vec<_> = rule.resources.iter().map(GuestId::to_string).collect();
    let mut entry = object(json!({"rule": name, "order": order, "digest": digest, "resources": resources.join(",")}));
    match &rule.kind {
        RuleKind::NodeAffinity { nodes, strict } => {
            entry.insert("type".into(), json!("node-affinity"));
            entry.insert("nodes".into(), json!(node_list(nodes)));
            if *strict {
                entry.insert("strict".into(), json!(1));
            }
        }
        RuleKind::KeepTogether | RuleKind::KeepApart => {
            let together = rule.kind == RuleKind::KeepTogether;
            entry.insert("type".into(), json!("resource-affinity"));
            entry.insert("affinity".into(), json!(if together { "positive" } else { "negative" }));
        }
    }
    if rule.disabled {
        entry.insert("disable".into(), json!(1));
    }
    if let Some(comment) = &rule.comment {
        entry.insert("comment".into(), json!(comment));
    }
    entry.into()
}
