//! Who may make each call: no one without a login, a ticket only with its CSRF token, each privilege by itself.

use std::time::Duration;

use quorate_wire::Credentials;
use quorate_world::access::{AclEntry, Token, User};
use serde_json::Value;

use super::samples::{Start, furnished, sample};
use super::{Lab, Method, body, data, encode, methods, pairs};

/// A token of a user who has this role and nothing else.
fn token_with(lab: &mut Lab, privileges: &[&str]) -> Credentials {
    let access = &mut lab.world.access;
    access.users.insert("some@pve".into(), User { password: "x".into(), enabled: true });
    let token = Token { user: "some@pve".into(), secret: "s".into(), privsep: false };
    access.tokens.insert("some@pve!t".into(), token);
    access.roles.insert("Some".into(), privileges.iter().map(|privilege| (*privilege).to_owned()).collect());
    access.acl.push(AclEntry { path: "/".into(), who: "some@pve".into(), role: "Some".into(), propagate: true });
    Credentials::token("some@pve!t", "s")
}

/// Path and privileges that the schema asks for, if it asks for one thing only.
fn needed(method: &Method) -> Option<(String, Vec<String>, bool)> {
    let check = method.may.as_array().filter(|check| check[0] == "perm")?;
    let words = check[2].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Some((check[1].as_str()?.to_owned(), words, check.get(3).is_some_and(|word| word == "any")))
}

#[test]
fn every_privilege_of_the_schema_is_required_and_is_enough_to_get_past_the_check() {
    let start = Start::new();
    let mut asked = 0;
    for method in methods() {
        let Some((path, privileges, any)) = needed(&method) else { continue };
        let name = format!("{} {}", method.method, method.path);
        let mut lab = start.lab(&method);
        let call = sample(&mut lab, &method, "pve1");
        let without = token_with(&mut lab, &["Realm.Allocate"]);
        let answer = lab.call_as(&without, "pve1", &method.method, &call.path, &call.params);
        assert_eq!(answer.status, 403, "{name}: {}", answer.reason);
        let shown = if any { privileges.join("|") } else { privileges[0].clone() };
        let start = path.split('{').next().unwrap_or(&path);
        assert!(answer.reason.starts_with(&format!("Permission check failed ({start}")), "{name}: {}", answer.reason);
        assert!(answer.reason.ends_with(&format!(", {shown})")), "{name}: {}", answer.reason);
        assert_eq!(body(&answer)["message"], format!("{}\n", answer.reason));
        let one = if any { vec![privileges[0].as_str()] } else { privileges.iter().map(String::as_str).collect() };
        let with = token_with(&mut lab, &one);
        let answer = lab.call_as(&with, "pve1", &method.method, &call.path, &call.params);
        // A function may require more, depending on the change; it then names something else.
        let same = answer.reason.ends_with(&format!(", {shown})"));
        assert!(answer.status != 403 || !same, "{name}: {}", answer.reason);
        asked += 1;
    }
    assert!(asked > 90, "{asked} calls");
}

#[test]
fn without_a_login_only_logging_in_is_allowed() {
    let start = Start::new();
    for method in methods().into_iter().filter(|method| method.may != "world") {
        let mut lab = start.lab(&method);
        let call = sample(&mut lab, &method, "pve1");
        let answer = lab.call_as(&Credentials::default(), "pve1", &method.method, &call.path, &call.params);
        let name = format!("{} {}", method.method, method.path);
        assert_eq!((answer.status, answer.reason.as_str()), (401, "No ticket"), "{name}");
        assert!(answer.body.is_empty() && answer.delay == Duration::from_secs(3) && answer.closes(), "{name}");
    }
}

#[test]
fn a_ticket_reads_everywhere_and_changes_nothing_without_its_csrf_token() {
    let start = Start::new();
    let mut lab = Lab::demo();
    let login = lab.call_as(
        &Credentials::default(),
        "pve2",
        "POST",
        "/access/ticket",
        &pairs("username=root@pam&password=quorate"),
    );
    let login = data(&login);
    let cookie = format!("PVEAuthCookie={}", encode(login["ticket"].as_str().expect("a ticket")));
    let mut ticket = Credentials { cookie: Some(cookie), ..Credentials::default() };
    for method in methods().into_iter().filter(|method| method.may != "world") {
        let mut lab = start.lab(&method);
        let call = sample(&mut lab, &method, "pve1");
        ticket.csrf = None;
        let answer = lab.call_as(&ticket, "pve1", &method.method, &call.path, &call.params);
        let name = format!("{} {}", method.method, method.path);
        if method.method == "GET" {
            assert_eq!(answer.status, 200, "{name}: {}", answer.reason);
            continue;
        }
        assert_eq!((answer.status, answer.reason.as_str()), (401, "Permission denied - invalid csrf token"), "{name}");
        ticket.csrf = login["CSRFPreventionToken"].as_str().map(str::to_owned);
        let answer = lab.call_as(&ticket, "pve1", &method.method, &call.path, &call.params);
        assert_eq!(answer.status, 200, "{name}: {}", answer.reason);
    }
}

#[test]
fn lists_are_shorter_for_those_who_may_see_less_and_never_refused() {
    let mut lab = furnished();
    let nobody = token_with(&mut lab, &["Realm.Allocate"]);
    for (path, left) in [
        ("/cluster/resources", 3),
        ("/nodes", 3),
        ("/nodes/pve1/qemu", 0),
        ("/nodes/pve1/lxc", 0),
        ("/nodes/pve1/storage", 0),
        ("/storage", 0),
        ("/cluster/replication", 0),
        ("/nodes/pve1/replication", 0),
        ("/cluster/tasks", 0),
        ("/nodes/pve1/tasks", 0),
        ("/cluster/log", 0),
        ("/access/acl", 0),
    ] {
        let answer = lab.call_as(&nobody, "pve1", "GET", path, &[]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.reason);
        assert_eq!(data(&answer).as_array().map(Vec::len), Some(left), "{path}: {}", data(&answer));
        let all = lab.get("pve1", path);
        assert!(all.as_array().expect("a list").len() > left || path == "/nodes", "{path}: {all}");
    }
    let nodes = data(&lab.call_as(&nobody, "pve1", "GET", "/nodes", &[]));
    assert!(nodes[0].get("maxmem").is_none() && nodes[0]["status"] == "online", "{nodes}");
    let auditor = token_with(&mut lab, &["VM.Audit"]);
    let guests = data(&lab.call_as(&auditor, "pve1", "GET", "/cluster/resources", &pairs("type=vm")));
    assert_eq!(guests.as_array().map(Vec::len), Some(lab.world.guests.len()));
}
