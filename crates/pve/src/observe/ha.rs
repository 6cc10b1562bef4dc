//! The HA manager: its state file, the configured resources, and rules (9.x) or groups (8.x).

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{
    AffinityRule, ArmedState, Guest, Ha, HaNodeState, HaRequest, HaService, HaServiceState, LrmMode, LrmStatus,
    NodeAffinity, ResourceAffinity,
};
use serde::de::DeserializeOwned;

use super::cluster::seconds;
use super::membership::Membership;
use super::reader::{Reader, api_why};
use crate::ports::ApiError;
use crate::wire::ha as wire;
use crate::wire::lenient::{self, List};

const MANAGER: &str = "/cluster/ha/status/manager_status";
const CURRENT: &str = "/cluster/ha/status/current";
const RESOURCES: &str = "/cluster/ha/resources";
const RULES: &str = "/cluster/ha/rules";
const GROUPS: &str = "/cluster/ha/groups";

/// Reads all of it, or reports what is missing: half a view of HA is no view.
pub(super) async fn read(reader: &Reader<'_>, membership: &Membership) -> Observed<Ha> {
    let (manager, current, resources, rules, groups) = tokio::join!(
        reader.get::<wire::ManagerStatus>(MANAGER),
        reader.get::<List<wire::CurrentEntry>>(CURRENT),
        reader.get::<List<wire::Resource>>(RESOURCES),
        optional::<wire::Rule>(reader, RULES),
        optional::<wire::Group>(reader, GROUPS),
    );
    let parts = || Ok::<_, WhyUnknown>((manager?, current?.0, resources?.0, rules?, groups?));
    parts()
        .and_then(|(manager, current, resources, rules, groups)| {
            assemble(membership, manager, &current, &resources, rules, &groups)
        })
        .into()
}

/// A resource without a guest, which the manager has left out of its state: nothing is to be expected of it.
pub(super) fn without_left_overs(
    mut ha: Observed<Ha>,
    sees_all_guests: &Observed<bool>,
    guests: &BTreeMap<GuestId, Guest>,
) -> Observed<Ha> {
    if let Some(ha) = ha.known_mut().filter(|_| sees_all_guests.is(&true)) {
        let is_left = |id: &GuestId, service: &mut HaService| service.state.is_none() && !guests.contains_key(id);
        ha.left_over = ha.services.extract_if(.., is_left).map(|(id, _)| id).collect();
    }
    ha
}

/// Rules are not known before 9.0 (501); groups are refused once they have become rules.
async fn optional<T: DeserializeOwned>(reader: &Reader<'_>, path: &str) -> Result<Vec<T>, WhyUnknown> {
    match reader.get_raw(path).await {
        Ok(value) => lenient::read::<List<T>>(value)
            .map(|list| list.0)
            .map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason)),
        Err(ApiError::Refused { status: 501, .. }) => Ok(Vec::new()),
        Err(ApiError::Refused { reason, .. }) if reason.contains("have been migrated to rules") => Ok(Vec::new()),
        Err(error) => Err(api_why(path, &error)),
    }
}

fn assemble(
    membership: &Membership,
    manager: wire::ManagerStatus,
    current: &[wire::CurrentEntry],
    resources: &[wire::Resource],
    rules: Vec<wire::Rule>,
    groups: &[wire::Group],
) -> Result<Ha, WhyUnknown> {
    let odd = |what: &str, word: &str| WhyUnknown::new(format!("GET {MANAGER}"), format!("unknown {what} {word:?}"));
    let mut ha = Ha { armed: armed(current)?, ..Ha::default() };
    for (node, lrm) in manager.lrm_status.0 {
        // A node that never ran has no file, or an empty one.
        let Some((mode, lrm)) = lrm.and_then(|lrm| Some((lrm.mode.clone()?, lrm))) else { continue };
        let status = LrmStatus {
            mode: word::<LrmMode>(&mode.0).ok_or_else(|| odd("LRM mode", &mode.0))?,
            state: lrm.state.map(|state| state.0).unwrap_or_default(),
            seen: lrm.timestamp.map(seconds).unwrap_or_default(),
        };
        ha.lrm.insert(NodeName::new(node), status);
    }
    let mut states: BTreeMap<GuestId, wire::Service> = BTreeMap::new();
    if let Some(state) = manager.manager_status {
        ha.master = state.master_node.filter(|name| !name.0.is_empty()).map(|name| NodeName::new(name.0));
        ha.master_seen = state.timestamp.map(seconds);
        for (node, status) in state.node_status.0 {
            let status = word::<HaNodeState>(&status.0).ok_or_else(|| odd("node state", &status.0))?;
            ha.nodes.insert(NodeName::new(node), status);
        }
        let requests = state.node_request.0.into_iter();
        let requested = requests.filter(|(_, asked)| asked.maintenance.is_some_and(|flag| flag.0));
        ha.maintenance_requested = requested.map(|(node, _)| NodeName::new(node)).collect();
        for (sid, service) in state.service_status.0 {
            let id = GuestId::parse(&sid).ok_or_else(|| odd("service", &sid))?;
            states.insert(id, service);
        }
    }
    ha.services = services(resources, states, groups)?;
    ha.rules = convert_rules(membership, rules, groups, resources)?;
    Ok(ha)
}

/// A value of PVE's as the enum variant that serialises to it.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

fn armed(current: &[wire::CurrentEntry]) -> Result<Option<ArmedState>, WhyUnknown> {
    let fencing = current.iter().find(|entry| entry.kind.0 == "fencing").and_then(|entry| entry.armed_state.as_ref());
    let Some(state) = fencing else { return Ok(None) };
    match word(&state.0) {
        Some(state) => Ok(Some(state)),
        None => Err(WhyUnknown::new(format!("GET {CURRENT}"), format!("unknown armed-state {:?}", state.0))),
    }
}

/// Configured services with their state, and those that the manager still has although their configuration is gone.
fn services(
    resources: &[wire::Resource],
    mut states: BTreeMap<GuestId, wire::Service>,
    groups: &[wire::Group],
) -> Result<BTreeMap<GuestId, HaService>, WhyUnknown> {
    let mut services = BTreeMap::new();
    for resource in resources {
        let odd = |reason: String| WhyUnknown::new(format!("GET {RESOURCES}"), reason);
        let sid = &resource.sid.0;
        let id = GuestId::parse(sid).ok_or_else(|| odd(format!("unknown service {sid:?}")))?;
        let request = match resource.state.as_ref().map_or("started", |state| &state.0) {
            "enabled" => HaRequest::Started,
            text => word(text).ok_or_else(|| odd(format!("unknown state {text:?} of {sid}")))?,
        };
        let group = resource.group.as_ref().and_then(|name| groups.iter().find(|group| group.group == *name));
        let failback = match resource.failback {
            Some(flag) => flag.0,
            None => group.is_none_or(|group| !group.nofailback.0),
        };
        services.insert(id, service(request, failback, states.remove(&id), sid)?);
    }
    for (id, state) in states {
        services.insert(id, service(HaRequest::Ignored, true, Some(state), &id.to_string())?);
    }
    Ok(services)
}

fn service(
    request: HaRequest,
    failback: bool,
    state: Option<wire::Service>,
    sid: &str,
) -> Result<HaService, WhyUnknown> {
    let name = |text: Option<lenient::Text>| text.filter(|name| !name.0.is_empty()).map(|name| NodeName::new(name.0));
    let Some(state) = state else {
        return Ok(HaService { request, state: None, node: None, target: None, maintenance_node: None, failback });
    };
    let Some(known) = word::<HaServiceState>(&state.state.0) else {
        let reason = format!("unknown state {:?} of {sid}", state.state.0);
        return Err(WhyUnknown::new(format!("GET {MANAGER}"), reason));
    };
    Ok(HaService {
        request,
        state: Some(known),
        node: name(state.node),
        target: name(state.target),
        maintenance_node: name(state.maintenance_node),
        failback,
    })
}

/// Rules in effect; groups that were not migrated yet are read as node-affinity rules.
fn convert_rules(
    membership: &Membership,
    rules: Vec<wire::Rule>,
    groups: &[wire::Group],
    resources: &[wire::Resource],
) -> Result<Vec<AffinityRule>, WhyUnknown> {
    let mut converted: BTreeMap<String, AffinityRule> = BTreeMap::new();
    for group in groups {
        let members = resources.iter().filter(|resource| resource.group.as_ref() == Some(&group.group));
        let guests: BTreeSet<GuestId> = members.filter_map(|member| GuestId::parse(&member.sid.0)).collect();
        let rule = NodeAffinity {
            id: group.group.0.clone(),
            guests,
            nodes: priorities(&group.nodes.0),
            strict: group.restricted.0,
        };
        converted.insert(format!("ha-group-{}", group.group.0), AffinityRule::Node(rule));
    }
    // The manager ignores rules that are switched off or contradict each other.
    for rule in rules.into_iter().filter(|rule| !rule.disable.0 && rule.errors.0.is_empty()) {
        let id = rule.rule.0.clone();
        converted.insert(id, convert_rule(membership, rule)?);
    }
    Ok(converted.into_values().collect())
}

fn convert_rule(membership: &Membership, rule: wire::Rule) -> Result<AffinityRule, WhyUnknown> {
    let id = rule.rule.0;
    let odd = |reason: String| WhyUnknown::new(format!("GET {RULES}"), format!("rule {id}: {reason}"));
    let mut guests = BTreeSet::new();
    for sid in &rule.resources.0 {
        guests.insert(GuestId::parse(sid).ok_or_else(|| odd(format!("unknown service {sid:?}")))?);
    }
    let positive = match rule.affinity.as_ref().map_or("positive", |affinity| &affinity.0) {
        "positive" => true,
        "negative" => false,
        other => return Err(odd(format!("unknown affinity {other:?}"))),
    };
    match rule.kind.0.as_str() {
        "resource-affinity" => {
            Ok(AffinityRule::Resource(ResourceAffinity { id: id.clone(), guests, together: positive }))
        }
        "node-affinity" => {
            let named = priorities(&rule.nodes.0);
            // "Not on these" is "on all others", at equal priority.
            let others =
                || membership.names.iter().filter(|name| !named.contains_key(*name)).map(|name| (name.clone(), 0));
            let nodes = if positive { named.clone() } else { others().collect() };
            Ok(AffinityRule::Node(NodeAffinity { id: id.clone(), guests, nodes, strict: rule.strict.0 }))
        }
        other => Err(odd(format!("unknown type {other:?}"))),
    }
}

/// `pve1:2`, `pve2` → priorities; without a number it is 0.
fn priorities(names: &[String]) -> BTreeMap<NodeName, u32> {
    let split = |name: &String| match name.split_once(':') {
        Some((name, priority)) => (NodeName::from(name), priority.parse().unwrap_or(0)),
        None => (NodeName::new(name.clone()), 0),
    };
    names.iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn membership() -> Membership {
        let names = ["pve1", "pve2", "pve3"].map(NodeName::from).to_vec();
        Membership {
            names,
            ids: BTreeMap::new(),
            votes: Observed::Known(BTreeMap::new()),
            links: BTreeMap::new(),
            online: BTreeMap::new(),
            cluster_name: Observed::Known("lab".into()),
        }
    }

    fn read_all(
        manager: serde_json::Value,
        resources: serde_json::Value,
        rules: serde_json::Value,
        groups: serde_json::Value,
    ) -> Result<Ha, WhyUnknown> {
        let rules: List<wire::Rule> = lenient::read(rules).unwrap();
        let resources: List<wire::Resource> = lenient::read(resources).unwrap();
        let groups: List<wire::Group> = lenient::read(groups).unwrap();
        assemble(&membership(), lenient::read(manager).unwrap(), &[], &resources.0, rules.0, &groups.0)
    }

    #[test]
    fn a_group_of_8_is_a_node_affinity_and_its_nofailback_is_the_members() {
        let ha = read_all(
            json!({"manager_status": {}, "lrm_status": {"pve1": null}}),
            json!([{"sid": "vm:101", "group": "prefer"}, {"sid": "ct:201", "state": "enabled"}]),
            json!([]),
            json!([{"group": "prefer", "nodes": "pve1:2,pve2", "restricted": 1, "nofailback": "1"}]),
        )
        .unwrap();
        assert!(!ha.services[&GuestId::vm(101)].failback && ha.services[&GuestId::ct(201)].failback);
        assert_eq!(ha.services[&GuestId::ct(201)].request, HaRequest::Started);
        let AffinityRule::Node(rule) = &ha.rules[0] else { panic!("{:?}", ha.rules) };
        assert_eq!((rule.strict, rule.nodes[&"pve1".into()], rule.nodes[&"pve2".into()]), (true, 2, 0));
        assert_eq!(rule.guests, BTreeSet::from([GuestId::vm(101)]));
        assert_eq!((ha.master, ha.master_seen), (None, None));
    }

    #[test]
    fn rules_that_the_manager_ignores_are_left_out_and_not_on_these_means_on_all_others() {
        let ha = read_all(
            json!({}),
            json!([]),
            json!([
                {"rule": "off", "type": "resource-affinity", "affinity": "negative", "resources": "vm:1,vm:2", "disable": 1},
                {"rule": "odd", "type": "resource-affinity", "affinity": "negative", "resources": "vm:1,vm:2", "errors": {"resources": ["x"]}},
                {"rule": "apart", "type": "resource-affinity", "affinity": "negative", "resources": "vm:1,ct:2"},
                {"rule": "not-there", "type": "node-affinity", "affinity": "negative", "resources": "vm:1", "nodes": "pve1", "strict": 1},
            ]),
            json!([]),
        )
        .unwrap();
        assert_eq!(ha.rules.len(), 2);
        assert!(matches!(&ha.rules[0], AffinityRule::Resource(rule) if !rule.together && rule.guests.len() == 2));
        let AffinityRule::Node(rule) = &ha.rules[1] else { panic!() };
        assert_eq!(rule.nodes.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["pve2", "pve3"]);
    }

    #[test]
    fn a_request_for_maintenance_is_seen_before_it_takes_effect() {
        let state = json!({"manager_status": {
            "master_node": "pve1",
            "node_status": {"pve1": "online", "pve2": "online"},
            "node_request": {"pve1": {"maintenance": 1}, "pve2": {"maintenance": 0}},
        }});
        let ha = read_all(state, json!([]), json!([]), json!([])).unwrap();
        assert_eq!(ha.maintenance_requested, BTreeSet::from(["pve1".into()]));
    }

    #[test]
    fn an_unknown_state_of_a_service_leaves_ha_unknown() {
        let state = json!({"manager_status": {"service_status": {"vm:1": {"state": "dancing"}}}});
        let why = read_all(state, json!([{"sid": "vm:1"}]), json!([]), json!([])).unwrap_err();
        assert!(why.reason.contains("dancing"), "{why}");
    }
}
