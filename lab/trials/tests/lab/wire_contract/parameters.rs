//! Every parameter of every call: unknown, missing, of the wrong kind.

use serde_json::Value;

use super::samples::{Start, sample};
use super::{Lab, body, methods};

/// A text that no value of this description may be, with PVE's words for it.
fn wrong_value(name: &str, described: &Value) -> Option<(String, String)> {
    let known = |format: &str| described["format"] == format;
    if let Some(words) = described["enum"].as_array() {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
        let text = format!("value 'nonsense' does not have a value in the enumeration '{}'", words.join(", "));
        return Some(("nonsense".into(), text));
    }
    let plain = |value: &str, text: &str| Some((value.to_owned(), text.to_owned()));
    match described["type"].as_str() {
        Some("boolean") => return plain("maybe", "type check ('boolean') failed - got 'maybe'"),
        Some("integer") => return plain("1.5", "type check ('integer') failed - got '1.5'"),
        Some("number") => return plain("many", "type check ('number') failed - got 'many'"),
        Some("array") => return None,
        _ => {}
    }
    if name == "upid" {
        return plain("UPID:x", "unable to parse worker upid");
    }
    if known("pve-node") {
        return plain("no_node", "invalid format - value does not look like a valid node name\n");
    }
    if known("pve-storage-id") {
        return plain("0:", "invalid format - storage ID '0:' contains illegal characters\n");
    }
    if known("pve-configid") {
        return plain("0", "invalid format - invalid configuration ID '0'\n");
    }
    if let Some(most) =
        described["maxLength"].as_u64().filter(|_| described["pattern"].is_null() && described["format"].is_null())
    {
        let long = "x".repeat(usize::try_from(most).unwrap_or(0) + 1);
        return Some((long, format!("value may only be {most} characters long")));
    }
    None
}

#[test]
fn every_call_refuses_what_it_does_not_know_what_is_missing_and_what_is_wrong() {
    let start = Start::new();
    let (mut unknown, mut missing, mut wrong) = (0, 0, 0);
    for method in methods() {
        let mut lab = start.lab(&method);
        let call = sample(&mut lab, &method, "pve1");
        let name = format!("{} {}", method.method, method.path);
        let mut refused = |params: &[(String, String)], key: &str, text: &str| {
            let answer = lab.call("pve1", &method.method, &call.path, params);
            let body = body(&answer);
            assert_eq!(answer.status, 400, "{name} {params:?}: {} {body}", answer.reason);
            assert_eq!(answer.reason, "Parameter verification failed.");
            assert_eq!(body["errors"][key], text, "{name}: {body}");
            assert_eq!(body["message"], "Parameter verification failed.\n");
            assert!(body["data"].is_null() && answer.closes());
        };
        let mut params = call.params.clone();
        params.push(("no-such-thing".into(), "1".into()));
        refused(
            &params,
            "no-such-thing",
            "property is not defined in schema and the schema does not allow additional properties",
        );
        unknown += 1;
        let in_path = |key: &str| method.path.contains(&format!("{{{key}}}"));
        for (key, described) in method.params.iter().filter(|(key, _)| !in_path(key) && !key.contains('[')) {
            let without: Vec<_> = call.params.iter().filter(|(name, _)| name != key).cloned().collect();
            if described["optional"] != 1 {
                refused(&without, key, "property is missing and it is not optional");
                missing += 1;
            }
            if let Some((value, text)) = wrong_value(key, described) {
                let mut params = without;
                params.push((key.clone(), value));
                refused(&params, key, &text);
                wrong += 1;
            }
        }
    }
    assert!(unknown > 150 && missing > 40 && wrong > 150, "{unknown} unknown, {missing} missing, {wrong} wrong");
}

#[test]
fn a_path_or_method_that_does_not_exist_is_named_as_it_came() {
    let mut lab = Lab::demo();
    for (method, path) in [
        ("GET", "/nodes/pve1/nothing"),
        ("PATCH", "/version"),
        ("DELETE", "/nodes/pve2/status"),
        ("POST", "/cluster/status"),
    ] {
        let answer = lab.call("pve1", method, path, &[]);
        let text = format!("Method '{method} {path}' not implemented");
        assert_eq!((answer.status, answer.reason.as_str()), (501, text.as_str()));
        assert_eq!(body(&answer)["message"], text.as_str(), "without a line feed, unlike all others");
    }
}

#[test]
fn a_body_with_a_read_is_not_understood() {
    let mut lab = Lab::demo();
    let mut request = quorate_wire::ApiRequest {
        asked: "pve1".into(),
        method: "GET".into(),
        path: "/version".into(),
        query: String::new(),
        body: b"x=1".to_vec(),
        content_type: None,
        credentials: Default::default(),
    };
    assert_eq!(lab.wire.api(&mut lab.world, &request).status, 501);
    request.body.clear();
    assert_eq!(lab.wire.api(&mut lab.world, &request).status, 401);
}
