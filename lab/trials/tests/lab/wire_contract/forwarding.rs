//! A call about a node, asked at another one: forwarded, or refused as a transport that failed.

use std::time::Duration;

use super::samples::{Start, sample};
use super::{Lab, body, methods};

#[test]
fn every_read_about_a_node_is_the_same_through_every_other_node() {
    let start = Start::new();
    let mut asked = 0;
    let bound = |path: &str| ["{snapname}", "{id}", "{osdid}"].iter().any(|name| path.contains(name));
    for method in
        methods().into_iter().filter(|method| method.method == "GET" && method.path.starts_with("/nodes/{node}"))
    {
        let nodes: &[&str] = if bound(&method.path) { &["pve1"] } else { &["pve1", "pve2", "pve3"] };
        for node in nodes {
            let mut lab = start.lab(&method);
            let call = sample(&mut lab, &method, node);
            let direct = lab.call(node, "GET", &call.path, &call.params);
            for other in ["pve1", "pve2", "pve3"] {
                let forwarded = lab.call(other, "GET", &call.path, &call.params);
                assert_eq!((forwarded.status, &forwarded.reason), (direct.status, &direct.reason), "{}", call.path);
                assert!(forwarded.body == direct.body, "{} asked at {other}: {}", call.path, body(&forwarded));
                asked += 1;
            }
        }
    }
    assert!(asked > 400, "{asked} calls");
}

#[test]
fn every_call_about_a_node_that_is_off_is_595_and_takes_three_seconds() {
    let start = Start::new();
    for method in methods().into_iter().filter(|method| method.path.starts_with("/nodes/{node}")) {
        let mut lab = start.lab(&method);
        let call = sample(&mut lab, &method, "pve1");
        lab.world.power_off(&"pve1".into());
        let answer = lab.call("pve2", &method.method, &call.path, &call.params);
        let name = format!("{} {}", method.method, call.path);
        assert_eq!((answer.status, answer.reason.as_str()), (595, "No route to host"), "{name}");
        assert!(answer.body.is_empty() && answer.closes() && answer.delay == Duration::from_secs(3), "{name}");
        assert!(!answer.headers.iter().any(|(name, _)| *name == "Content-Type"), "{name}");
    }
}

#[test]
fn a_node_that_reboots_answers_for_twenty_seconds_then_drops_connections_then_is_not_there() {
    let mut lab = Lab::demo();
    // Nothing runs on it: the shutdown does not wait.
    for guest in lab.world.guests.values_mut().filter(|guest| guest.node.as_str() == "pve3") {
        guest.shutdown_ms = 100;
    }
    assert_eq!(
        body(&lab.call("pve1", "POST", "/nodes/pve3/status", &super::pairs("command=reboot")))["data"],
        serde_json::Value::Null
    );
    let mut seen = Vec::new();
    for _ in 0..200 {
        let answer = lab.call("pve1", "GET", "/nodes/pve3/status", &[]);
        let now = format!("{} {}", answer.status, answer.reason);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        lab.wait_s(1);
    }
    assert_eq!(seen[..3], ["200 OK", "596 Connection reset by peer", "595 No route to host"], "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some("200 OK"), "{seen:?}");
}

#[test]
fn while_pveproxy_restarts_its_port_is_closed() {
    let mut lab = Lab::demo();
    let restart = lab.call("pve1", "POST", "/nodes/pve3/services/pveproxy/restart", &[]);
    assert_eq!(restart.status, 200);
    let answer = lab.call("pve1", "GET", "/nodes/pve3/version", &[]);
    assert_eq!((answer.status, answer.reason.as_str(), answer.delay), (595, "Connection refused", Duration::ZERO));
}

#[test]
fn a_name_that_is_no_node_is_looked_up_in_vain() {
    let mut lab = Lab::demo();
    let answer = lab.call("pve1", "GET", "/nodes/pve9/status", &[]);
    assert_eq!(answer.status, 500);
    assert!(answer.reason.starts_with("hostname lookup 'pve9' failed - failed to get address info for: pve9:"));
}
