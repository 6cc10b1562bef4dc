//! `/cluster/ha`: the endpoints, resources, and requests to move. State and rules are in separate files.

use quorate_core::ids::GuestId;
use quorate_world::ha::{MoveKind, RequestState, Resource, ResourceChange, ResourceMode, RuleKind};
use quorate_world::{World, WorldError};
use serde_json::{Map, Value, json};

use super::ha_rules::{into_group, migrated, parse_sid};
use super::ha_status::{current, manager};
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::config_digest;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/ha/status/current", current),
    route("GET", "/cluster/ha/status/manager_status", manager),
    route("POST", "/cluster/ha/status/disarm-ha", disarm),
    route("POST", "/cluster/ha/status/arm-ha", arm),
    route("GET", "/cluster/ha/resources", resources),
    route("POST", "/cluster/ha/resources", add),
    route("GET", "/cluster/ha/resources/{sid}", resource),
    route("PUT", "/cluster/ha/resources/{sid}", change),
    route("DELETE", "/cluster/ha/resources/{sid}", remove),
    route("POST", "/cluster/ha/resources/{sid}/migrate", migrate),
    route("POST", "/cluster/ha/resources/{sid}/relocate", relocate),
];

/// Digest of resources.cfg: the same for all its entries.
fn resources_digest(world: &World) -> String {
    config_digest(&format!("{:?}", world.ha.resources))
}

fn resources(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
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
fn sid(call: &Call<'_>) -> Result<GuestId, CallRefused> {
    parse_sid(call.world, call.args.text("sid")).ok_or_else(|| {
        CallRefused::parameter(
            "sid",
            format!("invalid format - unable to parse resource ID '{}'\n", call.args.text("sid")),
        )
    })
}

fn resource(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let sid = sid(call)?;
    let found = call.world.ha.resources.get(&sid);
    let found = found.ok_or_else(|| CallRefused::failed(format!("no such resource '{sid}'")))?;
    Ok(Value::Object(resource_entry(call, sid, found, &resources_digest(call.world))).into())
}

fn number(call: &Call<'_>, name: &str) -> Option<u32> {
    call.args.number(name).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

fn no_groups(call: &Call<'_>) -> Result<(), CallRefused> {
    match call.args.get("group") {
        Some(_) if migrated(call.world) => {
            Err(CallRefused::failed("invalid parameter 'group': ha groups have been migrated to rules"))
        }
        _ => Ok(()),
    }
}

fn add(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    no_groups(call)?;
    let sid = sid(call)?;
    if !call.world.guests.contains_key(&sid) {
        return Err(CallRefused::failed(format!("resource '{sid}' does not exist in cluster")));
    }
    let failed = |text: String| CallRefused::failed(format!("create resource failed: {text}"));
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
    let group = call.args.get("group").map(str::to_owned);
    call.world.ha_add(&call.node, sid, resource).map_err(|error| prefixed("create resource failed", error))?;
    if group.is_some() {
        into_group(call, sid, group.as_deref())?;
    }
    Ok(Value::Null.into())
}

fn change(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    no_groups(call)?;
    let sid = sid(call)?;
    if !call.world.ha.resources.contains_key(&sid) {
        return Err(CallRefused::failed(format!("update resources config failed: no such resource '{sid}'")));
    }
    let deleted = |name: &str| call.args.text("delete").split(',').any(|key| key.trim() == name);
    let change = ResourceChange {
        state: call.args.get("state").and_then(RequestState::parse),
        max_restart: number(call, "max_restart").or(deleted("max_restart").then_some(1)),
        max_relocate: number(call, "max_relocate").or(deleted("max_relocate").then_some(1)),
        failback: call.args.switch("failback").or(deleted("failback").then_some(true)),
        comment: call.args.get("comment").map(str::to_owned),
    };
    let group = call.args.get("group").map(str::to_owned);
    let leaves = deleted("group");
    call.world.ha_change(&call.node, sid, change).map_err(|error| prefixed("update resources config failed", error))?;
    if group.is_some() || leaves {
        into_group(call, sid, group.as_deref())?;
    }
    Ok(Value::Null.into())
}

fn remove(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let sid = sid(call)?;
    if !call.world.ha.resources.contains_key(&sid) {
        return Err(CallRefused::failed(format!("cannot delete service '{sid}', not HA managed!")));
    }
    call.world.ha_remove(&call.node, sid).map_err(|error| prefixed("delete resource failed", error))?;
    Ok(Value::Null.into())
}

/// When the lock on HA's files is refused, PVE's error says what it was about to write.
fn prefixed(what: &str, error: WorldError) -> CallRefused {
    match error {
        WorldError::NoLock(_) => CallRefused::failed(format!("{what}: {error}")),
        other => other.into(),
    }
}

fn migrate(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    request_move(call, MoveKind::Migrate)
}

fn relocate(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    request_move(call, MoveKind::Relocate)
}

/// Like a move, it is only queued.
fn disarm(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let mode = ResourceMode::parse(call.args.text("resource-mode")).unwrap_or(ResourceMode::Freeze);
    call.world.ha_disarm(&call.node, mode)?;
    Ok(Value::Null.into())
}

fn arm(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    call.world.ha_arm(&call.node)?;
    Ok(Value::Null.into())
}

/// Queues a move. An answer of 200 does not mean that the manager will carry it out.
fn request_move(call: &mut Call<'_>, kind: MoveKind) -> Result<Reply, CallRefused> {
    let sid = sid(call)?;
    if !call.world.ha.resources.contains_key(&sid) {
        return Err(CallRefused::failed(format!("resource '{sid}' is not HA managed")));
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

/// Resources that prevent the move, each with the kind of rule.
pub(super) fn blocking(all: &[(GuestId, String)]) -> Value {
    all.iter().map(|(sid, cause)| json!({"sid": sid, "cause": cause})).collect()
}
