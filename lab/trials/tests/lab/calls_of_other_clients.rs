//! Calls as third-party clients make them, where the lab once answered wrongly. The clients themselves run
//! against it in `clients/`.

use quorate_core::ids::NodeName;
use quorate_wire::{ApiAnswer, ApiRequest, Credentials, Gate, Wire};
use quorate_world::World;
use quorate_world::access::{TOKEN, TOKEN_SECRET};
use quorate_world::cluster_file::{DEMO, world_from_toml};
use serde_json::{Value, json};

fn cluster() -> (Wire, World) {
    let world = world_from_toml(DEMO, 1).expect("the demo cluster builds");
    let fingerprints = world.nodes.keys().map(|node| (node.clone(), "AA:BB".to_owned())).collect();
    (Wire::new(Gate { ticket_key: [1; 32], fingerprints }), world)
}

fn call(cluster: &mut (Wire, World), method: &str, path: &str, form: &str) -> ApiAnswer {
    let in_query = matches!(method, "GET" | "DELETE");
    let request = ApiRequest {
        asked: NodeName::from("pve1"),
        method: method.to_owned(),
        path: path.to_owned(),
        query: if in_query { form.to_owned() } else { String::new() },
        content_type: (!in_query).then(|| "application/x-www-form-urlencoded".to_owned()),
        body: if in_query { Vec::new() } else { form.as_bytes().to_vec() },
        credentials: Credentials::token(TOKEN, TOKEN_SECRET),
    };
    cluster.0.api(&mut cluster.1, &request)
}

fn body(answer: &ApiAnswer) -> Value {
    serde_json::from_slice(&answer.body.bytes()).expect("the answer is JSON")
}

#[test]
fn a_call_may_repeat_what_its_path_says_as_pvecontrol_and_ansible_do() {
    let mut cluster = cluster();
    let path = "/nodes/pve1/qemu/110/migrate";
    let answer = call(&mut cluster, "GET", path, "node=pve1&target=pve2");
    assert_eq!(answer.status, 200, "{}", answer.reason);
    let answer = call(&mut cluster, "POST", path, "vmid=110&node=pve1&target=pve2&online=1");
    assert_eq!(answer.status, 200, "{}", answer.reason);
}

#[test]
fn a_call_that_contradicts_its_path_is_refused() {
    let mut cluster = cluster();
    let answer = call(&mut cluster, "POST", "/nodes/pve1/qemu/110/migrate", "node=pve2&target=pve2&online=1");
    assert_eq!(answer.status, 400);
    let text = "duplicate parameter (already defined in URI) with conflicting values!";
    assert_eq!(body(&answer)["errors"], json!({ "node": text }));
}

#[test]
fn a_description_is_set_read_and_deleted() {
    let mut cluster = cluster();
    let path = "/nodes/pve1/qemu/110/config";
    assert_eq!(call(&mut cluster, "PUT", path, "description=twelve&tags=web").status, 200);
    let config = body(&call(&mut cluster, "GET", path, ""));
    assert_eq!((&config["data"]["description"], &config["data"]["tags"]), (&json!("twelve"), &json!("web")));
    assert_eq!(call(&mut cluster, "PUT", path, "delete=description").status, 200);
    assert!(body(&call(&mut cluster, "GET", path, ""))["data"].get("description").is_none());
}
