//! HA rules, and the groups that they were before PVE 9.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName};
use serde_json::{Value, json};

use super::Call;
use super::cluster::object;
use crate::wire::answer::{Refusal, Reply};
use crate::wire::release;
use crate::wire::text::config_digest;
use crate::world::World;
use crate::world::ha::{Rule, RuleKind};

/// Groups become rules once every node has PVE 9.
pub(super) fn migrated(world: &World) -> bool {
    world.nodes.values().all(|node| release(node) >= (9, 0))
}

pub(super) fn groups(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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

fn node_list(nodes: &BTreeMap<NodeName, u32>) -> String {
    let one = |(node, priority): (&NodeName, &u32)| match priority {
        0 => node.to_string(),
        _ => format!("{node}:{priority}"),
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(",")
}

pub(super) fn rules(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let wanted = call.args.get("type");
    let about = call.args.get("resource").and_then(|text| super::ha::parse_sid(call.world, text));
    let all = rule_entries(call.world).into_iter().filter(|(rule, entry)| {
        wanted.is_none_or(|wanted| entry["type"] == wanted)
            && about.is_none_or(|sid| call.world.ha.rules[rule].resources.contains(&sid))
    });
    Ok(all.map(|(_, entry)| entry).collect::<Value>().into())
}

pub(super) fn rule(call: &mut Call<'_>) -> Result<Reply, Refusal> {
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
