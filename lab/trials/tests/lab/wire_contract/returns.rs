//! What every call answers, against the schema's `returns`: types, what must be there, nothing that is not described.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::samples::{Start, sample};
use super::undescribed::UNDESCRIBED;
use super::{data, methods};

#[derive(Deserialize)]
struct Described {
    method: String,
    path: String,
    returns: Value,
}

fn described() -> BTreeMap<(String, String), Value> {
    let all: Vec<Described> =
        serde_json::from_str(include_str!("../fixtures/returns.json")).expect("the fixtures are JSON");
    all.into_iter().map(|entry| ((entry.method, entry.path), entry.returns)).collect()
}

/// What is wrong with a value, as `path: what`.
fn check(at: &str, schema: &Value, value: &Value, found: &mut BTreeSet<String>) {
    let kind = schema["type"].as_str().unwrap_or("any");
    let good = match kind {
        "null" => value.is_null(),
        // PVE's booleans are numbers on the wire, and now and then a text.
        "boolean" => matches!(value, Value::Bool(_)) || matches!(value.to_string().trim_matches('"'), "0" | "1" | ""),
        "integer" => value.as_i64().is_some() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
        "number" => value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok()),
        // Numbers come where texts are described: Perl does not distinguish them.
        "string" => value.is_string() || value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if !good {
        let shown = match value {
            Value::Object(_) => "an object".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            plain => plain.to_string(),
        };
        found.insert(format!("{at}: {shown} is no {kind}"));
        return;
    }
    if let (Some(words), Some(text)) = (schema["enum"].as_array(), value.as_str())
        && !words.iter().any(|word| word == text)
    {
        found.insert(format!("{at}: {text:?} is none of the words"));
    }
    if let Some(items) = value.as_array() {
        for item in items {
            check(&format!("{at}[]"), &schema["items"], item, found);
        }
    }
    if let (Some(described), Some(keys)) = (schema["properties"].as_object(), value.as_object()) {
        check_keys(at, described, schema, keys, found);
    }
}

fn check_keys(
    at: &str,
    described: &Map<String, Value>,
    schema: &Value,
    keys: &Map<String, Value>,
    found: &mut BTreeSet<String>,
) {
    for (key, schema) in described {
        match keys.get(key) {
            Some(value) => check(&format!("{at}/{key}"), schema, value, found),
            None if schema["optional"] == 1 => {}
            None => drop(found.insert(format!("{at}/{key}: missing"))),
        }
    }
    let numbered = |key: &str| {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        stem != key && described.contains_key(&format!("{stem}[n]"))
    };
    // An answer without a description may contain anything.
    if described.is_empty() || schema["additionalProperties"] == 1 {
        return;
    }
    for key in keys.keys().filter(|key| !described.contains_key(*key) && !numbered(key)) {
        found.insert(format!("{at}/{key}: not described"));
    }
}

#[test]
fn every_call_answers_what_the_schema_describes_on_every_node() {
    let schema = described();
    let mut found = BTreeSet::new();
    let mut asked = 0;
    let start = Start::new();
    for method in methods() {
        let of_nodes = method.path.starts_with("/nodes/{node}/") && method.method == "GET";
        // Reads that depend on things of one node are made there; all others on every node.
        let bound =
            ["{snapname}", "{id}", "{osdid}", "{vmid}/status/start"].iter().any(|name| method.path.contains(name));
        let nodes: &[&str] = if of_nodes && !bound { &["pve1", "pve2", "pve3"] } else { &["pve1"] };
        for node in nodes {
            let mut lab = start.lab(&method);
            let call = sample(&mut lab, &method, node);
            let answer = lab.call("pve1", &method.method, &call.path, &call.params);
            let name = format!("{} {}", method.method, method.path);
            asked += 1;
            if answer.status != 200 {
                let body = String::from_utf8_lossy(&answer.body.bytes()).into_owned();
                found.insert(format!("{name}: {} {} {body}", answer.status, answer.reason));
                continue;
            }
            let compressed = answer.headers.iter().any(|(name, _)| *name == "Content-Encoding");
            let described = schema.get(&(method.method.clone(), method.path.clone()));
            if let Some(described) = described.filter(|_| !compressed) {
                check(&name, described, &data(&answer), &mut found);
            }
        }
    }
    let listed: BTreeSet<String> = UNDESCRIBED.iter().map(|(difference, _)| (*difference).to_owned()).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\nno longer there: {gone:#?}");
    assert!(asked > 250, "{asked} calls");
}

#[test]
fn a_wrong_answer_is_found() {
    let schema: Value = serde_json::from_str(
        r#"{"type":"array","items":{"type":"object","properties":{"vmid":{"type":"integer"},"name":{"type":"string","optional":1}}}}"#,
    )
    .expect("JSON");
    let wrong = |text: &str| {
        let mut found = BTreeSet::new();
        check("x", &schema, &serde_json::from_str(text).expect("JSON"), &mut found);
        found.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(wrong(r#"[{"vmid":101,"name":"a"}]"#), [""; 0]);
    assert_eq!(wrong(r#"[{"name":"a"}]"#), ["x[]/vmid: missing"]);
    assert_eq!(wrong(r#"[{"vmid":"a"}]"#), ["x[]/vmid: \"a\" is no integer"]);
    assert_eq!(wrong(r#"[{"vmid":1,"nmae":"a"}]"#), ["x[]/nmae: not described"]);
    assert_eq!(wrong(r#"{"data":[]}"#), ["x: an object is no array"]);
}
