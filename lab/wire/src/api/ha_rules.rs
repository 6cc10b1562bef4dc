//! HA rules, and the groups that preceded them before PVE 9: showing and changing them.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};
use quorate_world::World;
use quorate_world::ha::{Rule, RuleKind};
use serde_json::{Value, json};

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::config_digest;

/// Groups become rules once every node has PVE 9, and the master has written them.
pub(super) fn migrated(world: &World) -> bool {
    world.ha.groups_became_rules
}

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/ha/groups", groups),
    route("POST", "/cluster/ha/groups", add_group),
    route("GET", "/cluster/ha/groups/{group}", group),
    route("PUT", "/cluster/ha/groups/{group}", change_group),
    route("DELETE", "/cluster/ha/groups/{group}", remove_group),
    route("GET", "/cluster/ha/rules", rules),
    route("POST", "/cluster/ha/rules", add_rule),
    route("GET", "/cluster/ha/rules/{rule}", rule),
    route("PUT", "/cluster/ha/rules/{rule}", change_rule),
    route("DELETE", "/cluster/ha/rules/{rule}", remove_rule),
];

const LOCK: &str = "domain-ha";

/// Once groups have become rules, every call about groups says so.
fn still_groups(call: &Call<'_>, verb: &str) -> Result<(), CallRefused> {
    let what = if verb == "index" { "groups" } else { "group" };
    match migrated(call.world) {
        true => Err(CallRefused::failed(format!("cannot {verb} {what}: ha groups have been migrated to rules"))),
        false => Ok(()),
    }
}

fn groups(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    still_groups(call, "index")?;
    let digest = rules_digest(call.world);
    let groups = call.world.ha.rules.iter();
    let list = groups.filter_map(|(name, rule)| group_entry(call.world, name, rule, &digest));
    Ok(list.collect::<Value>().into())
}

fn rules_digest(world: &World) -> String {
    config_digest(&format!("{:?}", world.ha.rules))
}

fn group_entry(world: &World, name: &str, rule: &Rule, digest: &str) -> Option<Value> {
    let RuleKind::NodeAffinity { nodes, strict } = &rule.kind else { return None };
    let failback = |sid: &GuestId| world.ha.resources.get(sid).is_none_or(|resource| resource.failback);
    let mut entry = object(json!({
        "group": name, "type": "group", "nodes": node_list(nodes), "digest": digest,
        "restricted": u8::from(*strict),
    }));
    if !rule.resources.iter().all(failback) {
        entry.insert("nofailback".into(), json!(1));
    }
    if let Some(comment) = &rule.comment {
        entry.insert("comment".into(), json!(comment));
    }
    Some(entry.into())
}

fn group(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    still_groups(call, "read")?;
    let name = call.args.text("group");
    let found = call.world.ha.rules.get(name);
    let found = found.and_then(|rule| group_entry(call.world, name, rule, &rules_digest(call.world)));
    Ok(found.ok_or_else(|| CallRefused::failed(format!("no such ha group '{name}'")))?.into())
}

fn add_group(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    still_groups(call, "create")?;
    call.locks(LOCK).map_err(|refusal| prefixed("create ha group failed", &refusal))?;
    let name = call.args.text("group").to_owned();
    if call.world.ha.rules.contains_key(&name) {
        return Err(CallRefused::failed(format!("create ha group failed: group ID '{name}' already defined")));
    }
    let kind = RuleKind::NodeAffinity { nodes: known_nodes(call)?, strict: call.args.is_on("restricted") };
    let comment = call.args.get("comment").map(str::to_owned);
    call.world.ha.rules.insert(name, Rule { kind, resources: BTreeSet::new(), disabled: false, comment });
    Ok(Value::Null.into())
}

fn change_group(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    still_groups(call, "update")?;
    call.locks(LOCK).map_err(|refusal| prefixed("update ha group failed", &refusal))?;
    let name = call.args.text("group").to_owned();
    let nodes = call.args.get("nodes").is_some().then(|| known_nodes(call)).transpose()?;
    let restricted = call.args.switch("restricted").or(is_deleted(call, "restricted").then_some(false));
    let stays = call.args.switch("nofailback").or(is_deleted(call, "nofailback").then_some(false));
    let comment = call.args.get("comment").map(str::to_owned);
    let rule = call.world.ha.rules.get_mut(&name);
    let rule = rule.ok_or_else(|| CallRefused::failed(format!("update ha group failed: no such ha group '{name}'")))?;
    if let RuleKind::NodeAffinity { nodes: old, strict } = &mut rule.kind {
        *old = nodes.unwrap_or_else(|| old.clone());
        *strict = restricted.unwrap_or(*strict);
    }
    rule.comment = comment.or(rule.comment.take());
    let members = rule.resources.clone();
    for (_, resource) in call.world.ha.resources.iter_mut().filter(|(sid, _)| members.contains(sid)) {
        resource.failback = stays.map_or(resource.failback, |stays| !stays);
    }
    Ok(Value::Null.into())
}

fn remove_group(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    still_groups(call, "delete")?;
    call.locks(LOCK).map_err(|refusal| prefixed("delete ha group failed", &refusal))?;
    let name = call.args.text("group").to_owned();
    if let Some(rule) = call.world.ha.rules.get(&name).filter(|rule| !rule.resources.is_empty()) {
        let users: Vec<_> = rule.resources.iter().map(GuestId::to_string).collect();
        let text = format!("delete ha group failed: group '{name}' is in use by: {}", users.join(", "));
        return Err(CallRefused::failed(text));
    }
    match call.world.ha.rules.remove(&name) {
        Some(_) => Ok(Value::Null.into()),
        None => Err(CallRefused::failed(format!("delete ha group failed: no such ha group '{name}'"))),
    }
}

/// Puts a resource into a group, or removes it from its group.
pub(super) fn into_group(call: &mut Call<'_>, sid: GuestId, group: Option<&str>) -> Result<(), CallRefused> {
    if let Some(name) = group.filter(|name| !call.world.ha.rules.contains_key(*name)) {
        return Err(CallRefused::failed(format!("ha group '{name}' does not exist")));
    }
    for (name, rule) in &mut call.world.ha.rules {
        if !matches!(rule.kind, RuleKind::NodeAffinity { .. }) {
            continue;
        }
        match Some(name.as_str()) == group {
            true => rule.resources.insert(sid),
            false => rule.resources.remove(&sid),
        };
    }
    Ok(())
}

/// The guest that `vm:101`, or its number alone, names.
pub(super) fn parse_sid(world: &World, text: &str) -> Option<GuestId> {
    GuestId::parse(text).or_else(|| {
        let vmid: u32 = text.parse().ok()?;
        world.guests.keys().find(|guest| guest.vmid.0 == vmid).copied()
    })
}

fn prefixed(what: &str, refusal: &CallRefused) -> CallRefused {
    CallRefused::failed(format!("{what}: {}", refusal.message()))
}

fn is_deleted(call: &Call<'_>, name: &str) -> bool {
    call.args.text("delete").split([',', ' ', ';']).any(|key| key == name)
}

/// `pve1:2,pve2` of the parameter `nodes`; unknown nodes are refused.
fn known_nodes(call: &Call<'_>) -> Result<BTreeMap<NodeName, u32>, CallRefused> {
    let parts = call.args.text("nodes").split([',', ' ', ';']).filter(|part| !part.is_empty());
    let nodes: BTreeMap<NodeName, u32> = parts
        .map(|part| part.split_once(':').unwrap_or((part, "0")))
        .map(|(name, priority)| (NodeName::new(name), priority.parse().unwrap_or(0)))
        .collect();
    let strangers: Vec<_> = nodes.keys().filter(|node| !call.world.nodes.contains_key(node)).collect();
    if strangers.is_empty() {
        return Ok(nodes);
    }
    let names: Vec<_> = strangers.into_iter().map(ToString::to_string).collect();
    Err(CallRefused::failed(format!("cannot use non-existing node(s) {}.", names.join(", "))))
}

/// The parameter `resources`; all of them must be managed by HA.
fn known_resources(call: &Call<'_>) -> Result<BTreeSet<GuestId>, CallRefused> {
    let parts = call.args.text("resources").split([',', ' ', ';']).filter(|part| !part.is_empty());
    let mut found = BTreeSet::new();
    let mut strangers = Vec::new();
    for part in parts {
        match parse_sid(call.world, part).filter(|sid| call.world.ha.resources.contains_key(sid)) {
            Some(sid) => drop(found.insert(sid)),
            None => strangers.push(part),
        }
    }
    match strangers.is_empty() {
        true => Ok(found),
        false => Err(CallRefused::failed(format!("cannot use unmanaged resource(s) {}.", strangers.join(", ")))),
    }
}

/// Rules can be created once no node reads groups any more.
fn no_groups_left(call: &Call<'_>, verb: &str) -> Result<(), CallRefused> {
    match migrated(call.world) {
        true => Ok(()),
        false => Err(CallRefused::failed(format!("cannot {verb} ha rule: ha groups have not been migrated yet"))),
    }
}

fn affinity(call: &Call<'_>) -> Option<RuleKind> {
    Some(match call.args.get("affinity")? {
        "negative" => RuleKind::KeepApart,
        _ => RuleKind::KeepTogether,
    })
}

fn add_rule(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    no_groups_left(call, "create")?;
    let name = call.args.text("rule").to_owned();
    let needed = if call.args.text("type") == "node-affinity" { "nodes" } else { "affinity" };
    if call.args.get(needed).is_none() {
        return Err(CallRefused::parameter(needed, "property is missing and it is not optional"));
    }
    call.locks(LOCK).map_err(|refusal| prefixed("create ha rule failed", &refusal))?;
    if call.world.ha.rules.contains_key(&name) {
        return Err(CallRefused::failed(format!("create ha rule failed: HA rule '{name}' already exists")));
    }
    let resources = known_resources(call)?;
    let kind = match affinity(call).filter(|_| needed == "affinity") {
        Some(_) if resources.len() < 2 => {
            return Err(CallRefused::parameter("resources", "rule is infeasible as there are less than two resources"));
        }
        Some(kind) => kind,
        None => RuleKind::NodeAffinity { nodes: known_nodes(call)?, strict: call.args.is_on("strict") },
    };
    let (disabled, comment) = (call.args.is_on("disable"), call.args.get("comment").map(str::to_owned));
    call.world.ha.rules.insert(name, Rule { kind, resources, disabled, comment });
    Ok(Value::Null.into())
}

fn change_rule(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    no_groups_left(call, "update")?;
    call.locks(LOCK).map_err(|refusal| prefixed("update ha rule failed", &refusal))?;
    let name = call.args.text("rule").to_owned();
    if call.args.get("digest").is_some_and(|sent| sent != rules_digest(call.world)) {
        return Err(CallRefused::failed("detected modified configuration - file changed by other user? Try again."));
    }
    let resources = call.args.get("resources").is_some().then(|| known_resources(call)).transpose()?;
    let nodes = call.args.get("nodes").is_some().then(|| known_nodes(call)).transpose()?;
    let strict = call.args.switch("strict").or(is_deleted(call, "strict").then_some(false));
    let disabled = call.args.switch("disable").or(is_deleted(call, "disable").then_some(false));
    let comment = call.args.get("comment").map(str::to_owned);
    let (drops_comment, kind) = (is_deleted(call, "comment"), affinity(call));
    let rule = call.world.ha.rules.get_mut(&name);
    let rule = rule.ok_or_else(|| CallRefused::failed(format!("update ha rule failed: no such ha rule '{name}'")))?;
    match &mut rule.kind {
        RuleKind::NodeAffinity { nodes: old, strict: was_strict } => {
            *old = nodes.unwrap_or_else(|| old.clone());
            *was_strict = strict.unwrap_or(*was_strict);
        }
        old => *old = kind.unwrap_or_else(|| old.clone()),
    }
    rule.resources = resources.unwrap_or_else(|| rule.resources.clone());
    rule.disabled = disabled.unwrap_or(rule.disabled);
    rule.comment = if drops_comment { None } else { comment.or(rule.comment.take()) };
    Ok(Value::Null.into())
}

fn remove_rule(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    call.locks(LOCK).map_err(|refusal| prefixed("delete ha rule failed", &refusal))?;
    let name = call.args.text("rule").to_owned();
    match call.world.ha.rules.remove(&name) {
        Some(_) => Ok(Value::Null.into()),
        None => Err(CallRefused::failed(format!("delete ha rule failed: no such ha rule '{name}'"))),
    }
}

fn node_list(nodes: &BTreeMap<NodeName, u32>) -> String {
    let one = |(node, priority): (&NodeName, &u32)| match priority {
        0 => node.to_string(),
        _ => format!("{node}:{priority}"),
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(",")
}

fn rules(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let wanted = call.args.get("type");
    let about = call.args.get("resource").and_then(|text| parse_sid(call.world, text));
    let all = rule_entries(call.world).into_iter().filter(|(rule, entry)| {
        wanted.is_none_or(|wanted| entry["type"] == wanted)
            && about.is_none_or(|sid| call.world.ha.rules[rule].resources.contains(&sid))
    });
    Ok(all.map(|(_, entry)| entry).collect::<Value>().into())
}

fn rule(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("rule");
    let found = rule_entries(call.world).into_iter().find(|(rule, _)| rule == name);
    let (_, entry) = found.ok_or_else(|| CallRefused::failed(format!("no such ha rule '{name}'")))?;
    Ok(entry.into())
}

/// All rules by name; groups that are not migrated yet are not included.
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
