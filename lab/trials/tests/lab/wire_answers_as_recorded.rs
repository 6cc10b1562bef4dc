//! The answers of a world that looks like the recorded cluster, compared with the recorded ones: keys, JSON types,
//! what is left out, and every refusal to the byte.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::NodeName;
use quorate_wire::{ApiAnswer, ApiRequest, Credentials, Gate, Wire};
use quorate_world::World;
use quorate_world::access::{AclEntry, ROOT_PASSWORD, TOKEN, TOKEN_SECRET, Token, User};
use quorate_world::cluster_file::{DEMO, world_from_toml};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Recorded {
    name: String,
    method: String,
    path: String,
    params: BTreeMap<String, String>,
    auth: String,
    status: u16,
    reason: String,
    content_type: Option<String>,
    body: Value,
}

fn recorded() -> Vec<Recorded> {
    let mut all: Vec<Recorded> =
        serde_json::from_str(include_str!("fixtures/recorded_api.json")).expect("the fixtures are JSON");
    let more: Vec<Recorded> =
        serde_json::from_str(include_str!("fixtures/recorded_more.json")).expect("the fixtures are JSON");
    all.extend(more);
    all
}

#[track_caller]
fn find(name: &str) -> Recorded {
    recorded().into_iter().find(|recorded| recorded.name == name).unwrap_or_else(|| panic!("no fixture {name}"))
}

/// The recorded cluster, with the three kinds of callers that asked it.
fn cluster() -> (Wire, World) {
    cluster_of(include_str!("fixtures/recorded_cluster.toml"))
}

fn cluster_of(text: &str) -> (Wire, World) {
    let mut world = world_from_toml(text, 7).expect("the cluster builds");
    let access = &mut world.access;
    for (user, role) in [("audit@pve", Some("PVEAuditor")), ("noperm@pve", None)] {
        access.users.insert(user.into(), User { password: "x".into(), enabled: true });
        let token = Token { user: user.into(), secret: "x".into(), privsep: false };
        access.tokens.insert(format!("{user}!t"), token);
        if let Some(role) = role {
            access.acl.push(AclEntry { path: "/".into(), who: user.into(), role: role.into(), propagate: true });
        }
    }
    let fingerprints = world.nodes.keys().map(|node| (node.clone(), "AA:BB".to_owned())).collect();
    let mut wire = Wire::new(Gate { ticket_key: [1; 32], fingerprints });
    let later_ms = world.now_ms + 60_000;
    wire.advance(&mut world, later_ms);
    (wire, world)
}

fn request(recorded: &Recorded, cookie: Option<&str>) -> ApiRequest {
    let token = |id: &str, secret: &str| Credentials::token(id, secret);
    let credentials = match recorded.auth.as_str() {
        "token" | "root" => token(TOKEN, TOKEN_SECRET),
        "ro" => token("audit@pve!t", "x"),
        "noperm" => token("noperm@pve!t", "x"),
        "bad" => token(TOKEN, "wrong"),
        "nocsrf" => Credentials { cookie: cookie.map(str::to_owned), ..Credentials::default() },
        "badticket" => Credentials { cookie: Some("PVEAuthCookie=PVE:x::y".into()), ..Credentials::default() },
        _ => Credentials::default(),
    };
    let form: Vec<_> = recorded
        .params
        .iter()
        .map(|(key, value)| match (key.as_str(), value.as_str()) {
            ("password", "right") => format!("password={ROOT_PASSWORD}"),
            _ => format!("{key}={value}"),
        })
        .collect();
    let form = form.join("&");
    let (path, query) = recorded.path.split_once('?').unwrap_or((&recorded.path, ""));
    let changes = recorded.method != "GET" && recorded.method != "DELETE";
    ApiRequest {
        asked: NodeName::from("pve1"),
        method: recorded.method.clone(),
        path: path.to_owned(),
        query: if changes || form.is_empty() { query.to_owned() } else { form.clone() },
        body: if changes { form.into_bytes() } else { Vec::new() },
        content_type: changes.then(|| "application/x-www-form-urlencoded".to_owned()),
        credentials,
    }
}

fn ask(wire: &Wire, world: &mut World, recorded: &Recorded) -> ApiAnswer {
    let cookie = (recorded.auth == "nocsrf").then(|| {
        let answer = wire.api(world, &request(&find("access-ticket-ok"), None));
        let body: Value = serde_json::from_slice(&answer.body.bytes()).expect("a ticket is JSON");
        format!("PVEAuthCookie={}", body["data"]["ticket"].as_str().expect("there is a ticket"))
    });
    wire.api(world, &request(recorded, cookie.as_deref()))
}

/// The shape of a value: types, and keys with the names of things taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Null,
    Bool,
    Number,
    Text,
    /// What the elements have in common is not asked for: each key with all its types.
    Object(BTreeMap<String, Vec<Shape>>),
    List(Vec<Shape>),
}

fn shape(value: &Value) -> Shape {
    match value {
        Value::Null => Shape::Null,
        Value::Bool(_) => Shape::Bool,
        Value::Number(_) => Shape::Number,
        Value::String(_) => Shape::Text,
        Value::Array(items) => Shape::List(items.iter().map(shape).collect()),
        Value::Object(map) => {
            let mut keys: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
            for (key, value) in map {
                keys.entry(plain_key(key)).or_default().push(shape(value));
            }
            Shape::Object(keys)
        }
    }
}

/// Nodes, services and uids are names, not keys.
fn plain_key(key: &str) -> String {
    let is_name = key.starts_with("pve") && key.len() >= 4 && key.as_bytes()[3].is_ascii_digit();
    if is_name || key.contains(':') || key.len() == 22 || key.contains('.') { "*".to_owned() } else { key.to_owned() }
}

/// Differences of ours from the recorded shape, as `path: what`.
fn differences(path: &str, recorded: &[Shape], ours: &[Shape], found: &mut BTreeSet<String>) {
    let kinds = |shapes: &[Shape]| -> BTreeSet<&'static str> { shapes.iter().map(kind).collect() };
    if !ours.is_empty() && !recorded.is_empty() && !kinds(ours).is_subset(&kinds(recorded)) {
        found.insert(format!("{path}: {:?} instead of {:?}", kinds(ours), kinds(recorded)));
    }
    let keys = |shapes: &[Shape]| -> BTreeMap<String, Vec<Shape>> {
        let mut all: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
        for shape in shapes {
            if let Shape::Object(keys) = shape {
                for (key, shapes) in keys {
                    all.entry(key.clone()).or_default().extend(shapes.clone());
                }
            }
        }
        all
    };
    let (theirs, mine) = (keys(recorded), keys(ours));
    if recorded.iter().any(|shape| kind(shape) == "object") && ours.iter().any(|shape| kind(shape) == "object") {
        for key in theirs.keys().filter(|key| !mine.contains_key(*key)) {
            found.insert(format!("{path}/{key}: missing"));
        }
        for key in mine.keys().filter(|key| !theirs.contains_key(*key)) {
            found.insert(format!("{path}/{key}: not in the recorded answer"));
        }
        for (key, shapes) in &theirs {
            if let Some(mine) = mine.get(key) {
                differences(&format!("{path}/{key}"), shapes, mine, found);
            }
        }
    }
    let items = |shapes: &[Shape]| -> Vec<Shape> {
        let lists = shapes.iter().filter_map(|shape| if let Shape::List(items) = shape { Some(items) } else { None });
        lists.flatten().cloned().collect()
    };
    let (theirs, mine) = (items(recorded), items(ours));
    if !theirs.is_empty() && !mine.is_empty() {
        differences(&format!("{path}[]"), &theirs, &mine, found);
    }
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Shape::Null => "null",
        Shape::Bool => "bool",
        Shape::Number => "number",
        Shape::Text => "text",
        Shape::Object(_) => "object",
        Shape::List(_) => "list",
    }
}

/// Lists of unlike things are compared per kind of thing.
fn by_type(value: &Value) -> BTreeMap<String, Vec<Shape>> {
    let mut groups: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
    match value {
        Value::Array(items) if items.iter().any(|item| item.get("type").is_some()) => {
            for item in items {
                let name = item["type"].as_str().unwrap_or_default();
                groups.entry(name.to_owned()).or_default().push(shape(item));
            }
        }
        other => {
            groups.insert(String::new(), vec![shape(other)]);
        }
    }
    groups
}

fn compare(name: &str, recorded: &Value, ours: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (theirs, mine) = (by_type(recorded), by_type(ours));
    for (group, shapes) in &theirs {
        if let Some(mine) = mine.get(group) {
            let at = if group.is_empty() { name.to_owned() } else { format!("{name}({group})") };
            differences(&at, shapes, mine, &mut found);
        }
    }
    found
}

use crate::accepted_differences::ACCEPTED;

#[test]
fn every_answer_has_the_keys_and_types_of_the_recorded_one() {
    let mut found = BTreeSet::new();
    let states = ["-while-down", "-node-down", "maintenance-dr", "rebooting", "negative-affinity"];
    let reads = recorded().into_iter().filter(|recorded| {
        recorded.status == 200
            && recorded.method == "GET"
            && !recorded.path.contains("UPID")
            && !recorded.name.starts_with("noquorum")
            && !recorded.name.starts_with("noperm")
            && !states.iter().any(|state| recorded.name.contains(state))
    });
    for recorded in reads {
        // Ceph was recorded on the same machines at another time: the demo cluster takes their place.
        let (wire, mut world) = if recorded.path.contains("/ceph/") { cluster_of(DEMO) } else { cluster() };
        if recorded.name.ends_with("-noout") {
            world.ceph_flag("noout", true).expect("there is Ceph");
        }
        let answer = ask(&wire, &mut world, &recorded);
        let body: Value = serde_json::from_slice(&answer.body.bytes()).unwrap_or_default();
        assert_eq!(answer.status, 200, "{}: {} {body}", recorded.name, answer.reason);
        assert_eq!(recorded.content_type.as_deref(), Some("application/json;charset=UTF-8"));
        found.extend(compare(&recorded.name, &recorded.body["data"], &body["data"]));
        let total = |body: &Value| body.get("total").is_some();
        assert_eq!(total(&body), total(&recorded.body), "{}: total", recorded.name);
    }
    let accepted: BTreeSet<String> = ACCEPTED.iter().map(|(difference, _)| (*difference).to_owned()).collect();
    let new: Vec<_> = found.difference(&accepted).collect();
    let gone: Vec<_> = accepted.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\nno longer there: {gone:#?}");
}

/// Brings the cluster into the state in which a call was recorded.
fn bring_about(name: &str, wire: &mut Wire, world: &mut World) {
    let pve3 = NodeName::from("pve3");
    if name.starts_with("noquorum") {
        for node in ["pve2", "pve3"] {
            world.set_link(&NodeName::from(node), 0, false);
        }
    }
    if name.starts_with("offline") {
        world.power_off(&pve3);
    }
    if name == "migrate-while-locked" {
        let guest = world.guests.values_mut().find(|guest| guest.id.vmid.0 == 104).expect("it is there");
        guest.lock = Some("migrate".into());
    }
    // Long enough for corosync to notice, too short for the watchdog.
    let later_ms = world.now_ms + 20_000;
    wire.advance(world, later_ms);
}

/// The guests that had been moved when a call was recorded are asked for where they are in this world.
fn at_home(mut recorded: Recorded, world: &World) -> Recorded {
    for (id, guest) in &world.guests {
        let stays = ["offline", "vm-on-other"].iter().any(|start| recorded.name.starts_with(start));
        for node in world.nodes.keys().filter(|_| !stays) {
            let there = format!("/nodes/{node}/qemu/{}/", id.vmid);
            recorded.path = recorded.path.replace(&there, &format!("/nodes/{}/qemu/{}/", guest.node, id.vmid));
        }
    }
    recorded
}

/// Refusals whose text differs for a reason.
const OTHER_TEXT: [(&str, &str); 4] = [
    ("offline-node-migrate-from", "the recorded one still refused connections, this one has lost power"),
    ("offline-node-status-late", "the recorded one still refused connections, this one has lost power"),
    ("offline-node-status", "the recorded one still refused connections, this one has lost power"),
    ("offline-node-vm-status", "the recorded one still refused connections, this one has lost power"),
];

#[test]
fn every_refusal_is_the_recorded_one_to_the_byte() {
    let refusals: Vec<_> = recorded().into_iter().filter(|recorded| recorded.status >= 400).collect();
    assert!(refusals.len() > 35, "{} fixtures", refusals.len());
    let mut wrong = Vec::new();
    for recorded in refusals {
        let (mut wire, mut world) = cluster();
        let recorded = at_home(recorded, &world);
        bring_about(&recorded.name, &mut wire, &mut world);
        let answer = ask(&wire, &mut world, &recorded);
        let body: Value = serde_json::from_slice(&answer.body.bytes()).unwrap_or(Value::Null);
        let content_type =
            answer.headers.iter().find(|(name, _)| *name == "Content-Type").map(|(_, kind)| kind.clone());
        let same_text = answer.reason == recorded.reason && body == recorded.body;
        let may_differ = OTHER_TEXT.iter().any(|(name, _)| *name == recorded.name);
        if answer.status != recorded.status
            || content_type != recorded.content_type
            || !answer.closes()
            || (same_text == may_differ)
        {
            wrong.push(format!(
                "{}: {} {:?} {body}\n    recorded {} {:?} {}",
                recorded.name, answer.status, answer.reason, recorded.status, recorded.reason, recorded.body
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn calls_that_succeed_although_one_might_think_they_do_not() {
    for name in ["noquorum-apt-update", "noquorum-vm-start", "ha-migrate-bad-node", "migrate-local-disk-no-flag"] {
        let (mut wire, mut world) = cluster();
        let recorded = at_home(find(name), &world);
        bring_about(name, &mut wire, &mut world);
        let answer = ask(&wire, &mut world, &recorded);
        let body: Value = serde_json::from_slice(&answer.body.bytes()).unwrap_or_default();
        assert_eq!(answer.status, 200, "{name}: {}", answer.reason);
        let found = compare(name, &recorded.body, &body);
        assert!(found.is_empty(), "{name}: {found:?} {body}");
    }
}
