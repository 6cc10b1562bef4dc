//! What differs between the releases: 8.2, 8.4, 9.0, 9.1, 9.2, on one node each, in one cluster.
//!
//! The node on which a call runs decides, not the one that was asked.

use serde_json::Value;

use super::{Lab, body, data, methods, pairs};

/// A cluster of nodes with these releases of pve-manager, guest `vm:10N` and `ct:20N` running on node N.
pub(crate) fn mixed(releases: &[&str]) -> Lab {
    let mut text = String::from(
        "[cluster]\nname = \"mixed\"\n[kernel]\nrunning = \"6.14.8-2-pve\"\n[installed]\nproxmox-ve = \"9.0.0\"\n\
         pve-manager = \"9.0.3\"\npve-ha-manager = \"5.0.5\"\npve-qemu-kvm = \"9.2.0-5\"\n\
         [[storage]]\nid = \"nfs\"\nkind = \"nfs\"\nshared = true\ncontent = [\"images\", \"rootdir\"]\ntotal_gib = 2000\n",
    );
    for (at, _) in releases.iter().enumerate() {
        let number = at + 1;
        text += &format!(
            "[[node]]\nname = \"pve{number}\"\nmemory_gib = 32\ncpus = 8\nlinks = [\"10.10.1.{number}\"]\n\
             [[guest]]\nid = \"vm:10{number}\"\nname = \"v\"\nnode = \"pve{number}\"\nmemory_mib = 1024\nstorage = \"nfs\"\n\
             [[guest]]\nid = \"ct:20{number}\"\nname = \"c\"\nnode = \"pve{number}\"\nmemory_mib = 512\nstorage = \"nfs\"\n"
        );
    }
    let mut lab = Lab::of(&text);
    lab.world.ha.groups_became_rules = releases.iter().all(|release| release.starts_with('9'));
    for (at, release) in releases.iter().enumerate() {
        let node = lab.world.nodes.get_mut(&format!("pve{}", at + 1).as_str().into()).expect("it is there");
        node.packages.installed.insert("pve-manager".into(), (*release).into());
        let ha = if release.starts_with("9.2") { "5.2.0" } else { "5.0.5" };
        node.packages.installed.insert("pve-ha-manager".into(), ha.into());
    }
    lab
}

const ALL: [&str; 5] = ["8.2.7", "8.4.14", "9.0.10", "9.1.8", "9.2.11"];

fn numbers(release: &str) -> Vec<u32> {
    release.split('.').map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn a_call_that_a_release_does_not_have_is_501_there_and_only_there() {
    let mut lab = mixed(&ALL);
    let mut refused = 0;
    for method in methods().into_iter().filter(|method| !method.since.is_empty()) {
        for (at, release) in ALL.iter().enumerate() {
            let node = format!("pve{}", at + 1);
            let path = method
                .path
                .replace("{node}", &node)
                .replace("{vmid}", if method.path.contains("lxc") { "20" } else { "10" });
            let path = path.replace("/20/", &format!("/20{}/", at + 1)).replace("/10/", &format!("/10{}/", at + 1));
            let path = path
                .split('/')
                .map(|part| if part.starts_with('{') { "x" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let answer = lab.call(&node, &method.method, &path, &[]);
            let known = numbers(release) >= numbers(&method.since);
            assert_eq!(answer.status != 501, known, "{} {path} on {release}: {}", method.method, answer.reason);
            if !known {
                assert_eq!(answer.reason, format!("Method '{} {path}' not implemented", method.method));
                refused += 1;
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn the_node_that_a_call_is_about_decides_and_not_the_one_that_was_asked() {
    let mut lab = mixed(&["9.1.8", "8.2.7"]);
    let path = "/nodes/pve2/lxc/202/migrate";
    let old = lab.call("pve1", "GET", path, &[]);
    assert_eq!((old.status, body(&old).get("message")), (501, None), "an old node's error has no message");
    let new = lab.call("pve1", "GET", "/nodes/pve1/lxc/201/migrate", &[]);
    assert_eq!(new.status, 200, "{}", new.reason);
    // What an old node does not know it does not forward either.
    assert_eq!(lab.call("pve2", "GET", "/nodes/pve1/lxc/201/migrate", &[]).status, 501);
    assert_eq!(data(&lab.call("pve1", "GET", "/nodes/pve2/version", &[]))["release"], "8.2");
}

#[test]
fn only_late_releases_repeat_an_errors_text_in_the_body() {
    let mut lab = mixed(&ALL);
    for (node, with) in [("pve1", false), ("pve2", true), ("pve3", true), ("pve4", true), ("pve5", true)] {
        let answer = lab.call(node, "GET", &format!("/nodes/{node}/qemu/999/config"), &[]);
        assert_eq!(answer.reason, format!("Configuration file 'nodes/{node}/qemu-server/999.conf' does not exist"));
        let message = with.then(|| Value::from(format!("{}\n", answer.reason)));
        assert_eq!(body(&answer).get("message").cloned(), message, "{node}");
    }
}

#[test]
fn a_bad_token_is_refused_with_the_reason_until_early_2026() {
    use quorate_wire::Credentials;
    let mut lab = mixed(&ALL);
    let wrong = Credentials::token("root@pam!quorate", "wrong");
    let unknown = Credentials::token("root@pam!other", "wrong");
    for (node, value, token) in [
        ("pve1", "invalid token value!", "no such token 'other' for user 'root@pam'"),
        ("pve3", "invalid token value!", "no such token 'other' for user 'root@pam'"),
        ("pve4", "Authentication failed!", "Authentication failed!"),
        ("pve5", "Authentication failed!", "Authentication failed!"),
    ] {
        assert_eq!(lab.call_as(&wrong, node, "GET", "/version", &[]).reason, value, "{node}");
        assert_eq!(lab.call_as(&unknown, node, "GET", "/version", &[]).reason, token, "{node}");
    }
}

#[test]
fn nodes_of_a_running_guest_are_named_from_8_4_on() {
    let mut lab = mixed(&ALL);
    for (number, named) in [(1, false), (2, true), (3, true), (4, true), (5, true)] {
        let found = lab.get("pve1", &format!("/nodes/pve{number}/qemu/10{number}/migrate"));
        assert_eq!(found["running"], 1);
        assert_eq!(found.get("allowed_nodes").is_some(), named, "{number}: {found}");
        assert_eq!(found.get("not_allowed_nodes").is_some(), named, "{number}: {found}");
        assert_eq!(found.get("mapped-resource-info").is_some(), named, "{number}: {found}");
        assert_eq!(found.get("has-dbus-vmstate").is_some(), number >= 3, "{number}: {found}");
    }
    let found = lab.get("pve1", "/nodes/pve2/qemu/102/migrate");
    assert_eq!(found["not_allowed_nodes"]["pve1"], serde_json::json!({}), "allowed ones are there, and empty");
    lab.call("pve1", "POST", "/nodes/pve1/qemu/101/status/stop", &[]);
    lab.wait_s(20);
    let stopped = lab.get("pve1", "/nodes/pve1/qemu/101/migrate");
    assert_eq!(stopped["not_allowed_nodes"], serde_json::json!({}), "8.2 names only those that are refused");
}

#[test]
fn parameters_are_known_from_their_release_on() {
    let mut lab = mixed(&ALL);
    for (since, method, path, key, value) in [
        (3, "POST", "/nodes/pve@/qemu/10@/migrate", "with-conntrack-state", "1"),
        (2, "PUT", "/nodes/pve@/qemu/10@/config", "virtiofs0", "share"),
        (4, "PUT", "/nodes/pve@/qemu/10@/config", "intel-tdx", "1"),
        (4, "PUT", "/nodes/pve@/lxc/20@/config", "entrypoint", "/bin/sh"),
        (1, "POST", "/nodes/pve@/qemu/10@/status/stop", "overrule-shutdown", "1"),
        (5, "GET", "/nodes/pve@/capabilities/qemu/machines", "arch", "x86_64"),
    ] {
        for number in 1..=5 {
            let path = path.replace('@', &number.to_string());
            let answer = lab.call("pve1", method, &path, &pairs(&format!("{key}={value}")));
            let refused = body(&answer)["errors"].get(key).is_some();
            assert_eq!(refused, number < since, "{method} {path} {key}: {} {}", answer.reason, body(&answer));
        }
    }
}

#[test]
fn groups_are_there_until_the_last_node_has_9_and_rules_from_then_on() {
    let mut lab = mixed(&["8.4.14", "9.0.10"]);
    let group = pairs("group=first&nodes=pve1:2,pve2&restricted=1&nofailback=0");
    assert_eq!(lab.call("pve2", "POST", "/cluster/ha/groups", &group).status, 200, "a node of 9 takes it as well");
    let add = pairs("sid=vm:101&group=first");
    assert_eq!(lab.call("pve1", "POST", "/cluster/ha/resources", &add).status, 200);
    let groups = lab.get("pve1", "/cluster/ha/groups");
    assert_eq!((&groups[0]["group"], &groups[0]["nodes"]), (&"first".into(), &"pve1:2,pve2".into()), "{groups}");
    assert_eq!(lab.get("pve1", "/cluster/ha/resources/vm:101")["group"], "first");
    assert_eq!(lab.get("pve2", "/cluster/ha/groups/first")["restricted"], 1);
    let in_use = lab.call("pve1", "DELETE", "/cluster/ha/groups/first", &[]);
    assert_eq!(in_use.reason, "delete ha group failed: group 'first' is in use by: vm:101");
    let rule = pairs("rule=r1&type=node-affinity&resources=vm:101&nodes=pve1");
    let early = lab.call("pve2", "POST", "/cluster/ha/rules", &rule);
    assert_eq!(
        (early.status, early.reason.as_str()),
        (500, "cannot create ha rule: ha groups have not been migrated yet")
    );
    assert_eq!(lab.call("pve1", "POST", "/cluster/ha/rules", &rule).status, 501, "8.4 knows no rules");
}

#[test]
fn once_groups_are_rules_every_verb_about_groups_says_so() {
    let mut lab = Lab::demo();
    for (method, path, form, text) in [
        ("GET", "/cluster/ha/groups", "", "cannot index groups: ha groups have been migrated to rules"),
        (
            "POST",
            "/cluster/ha/groups",
            "group=g1&nodes=pve1",
            "cannot create group: ha groups have been migrated to rules",
        ),
        ("GET", "/cluster/ha/groups/g1", "", "cannot read group: ha groups have been migrated to rules"),
        ("PUT", "/cluster/ha/groups/g1", "nodes=pve1", "cannot update group: ha groups have been migrated to rules"),
        ("DELETE", "/cluster/ha/groups/g1", "", "cannot delete group: ha groups have been migrated to rules"),
        (
            "POST",
            "/cluster/ha/resources",
            "sid=vm:110&group=g1",
            "invalid parameter 'group': ha groups have been migrated to rules",
        ),
    ] {
        let answer = lab.call("pve1", method, path, &pairs(form));
        assert_eq!((answer.status, answer.reason.as_str()), (500, text), "{method} {path}");
    }
}

#[test]
fn a_move_through_ha_says_what_moves_along_from_9_0_on() {
    let mut lab = mixed(&["8.4.14", "9.0.10"]);
    for sid in ["vm:101", "vm:102"] {
        assert_eq!(lab.call("pve1", "POST", "/cluster/ha/resources", &pairs(&format!("sid={sid}"))).status, 200);
    }
    let old = lab.call("pve1", "POST", "/cluster/ha/resources/vm:101/migrate", &pairs("node=pve2"));
    assert_eq!((old.status, data(&old)), (200, Value::Null));
    let new = lab.call("pve2", "POST", "/cluster/ha/resources/vm:102/migrate", &pairs("node=pve1"));
    assert_eq!(data(&new)["requested-node"], "pve1");
}

#[test]
fn fields_of_lists_come_with_their_release() {
    let mut lab = mixed(&ALL);
    for number in 1..=5 {
        let node = format!("pve{number}");
        let guests = lab.get("pve1", &format!("/nodes/{node}/qemu"));
        assert_eq!(guests[0].get("memhost").is_some(), number >= 3, "{node}: {guests}");
        assert_eq!(guests[0].get("pressurecpusome").is_some(), number >= 3, "{node}: {guests}");
        let all = lab.get(&node, "/cluster/resources?type=vm");
        assert_eq!(all[0].get("memhost").is_some(), number >= 3, "{node}: {all}");
        let nodes = lab.get(&node, "/cluster/resources?type=node");
        assert_eq!(nodes[0].get("cgroup-mode").is_some(), number >= 3, "{node}: {nodes}");
        assert_eq!(nodes[0].get("host-arch").is_some(), number >= 5, "{node}: {nodes}");
        assert_eq!(nodes[0].get("hastate").is_some(), number >= 2, "{node}: {nodes}");
        let ha = lab.get(&node, "/cluster/ha/status/current");
        let fencing = ha.as_array().expect("a list").iter().any(|entry| entry["type"] == "fencing");
        assert_eq!(fencing, number >= 5, "{node}: {ha}");
    }
}

#[test]
fn the_guest_agent_needs_vm_monitor_before_9_0() {
    use quorate_wire::Credentials;
    let mut lab = mixed(&["8.4.14", "9.0.10"]);
    lab.call("pve1", "POST", "/access/users", &pairs("userid=a@pve"));
    let token = lab.call("pve1", "POST", "/access/users/a@pve/token/tt", &pairs("privsep=0"));
    let token = data(&token);
    let credentials = Credentials::token("a@pve!tt", token["value"].as_str().expect("a secret"));
    for (number, text) in [
        (1, "Permission check failed (/vms/101, VM.Monitor)"),
        (2, "Permission check failed (/vms/102, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)"),
    ] {
        let path = format!("/nodes/pve{number}/qemu/10{number}/agent/ping");
        let answer = lab.call_as(&credentials, &format!("pve{number}"), "POST", &path, &[]);
        assert_eq!((answer.status, answer.reason.as_str()), (403, text));
    }
}
