//! The ports in one process: a whole look at the demo cluster, errors as the live client has them, and the crash of the
//! caller.

#![allow(clippy::disallowed_methods, reason = "these tests compare the lab with the wall clock")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use quorate_core::command::Method;
use quorate_core::ids::NodeName;
use quorate_pve::observe::{Look, observe};
use quorate_pve::ports::{Api, ApiError, ApiRequest, Clock, Exit, Shell, ShellError};
use quorate_trials::ports::{SimPorts, Stop};
use quorate_wire::Credentials;
use quorate_world::cluster_file::{DEMO, world_from_toml};

fn ports() -> SimPorts {
    SimPorts::new(Arc::new(Mutex::new(world_from_toml(DEMO, 1).expect("the demo cluster builds"))))
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_look_at_the_demo_cluster_leaves_nothing_unknown() {
    let sim = ports();
    let snapshot = observe(&sim.ports(), Look::full()).await;
    assert_eq!(snapshot.gaps(), []);
    assert_eq!((snapshot.nodes.len(), snapshot.guests.len()), (3, sim.world().guests.len()));
}

#[tokio::test]
async fn a_refusal_is_the_error_that_the_live_client_makes_of_it() {
    let sim = ports();
    let error = sim.call(ApiRequest::get("/nodes/pve1/qemu/999/config")).await.unwrap_err();
    let text = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist";
    assert_eq!(error, ApiError::Refused { status: 500, reason: text.into(), errors: vec![] });

    let params = vec![("target".to_owned(), "pve_2".to_owned()), ("online".to_owned(), "maybe".to_owned())];
    let request = ApiRequest { method: Method::Post, params, ..ApiRequest::get("/nodes/pve1/qemu/110/migrate") };
    let ApiError::Refused { status: 400, errors, .. } = sim.call(request).await.unwrap_err() else {
        panic!("it is a wrong parameter")
    };
    let wrong_node = "target: invalid format - value does not look like a valid node name";
    assert_eq!(errors, ["online: type check ('boolean') failed - got 'maybe'", wrong_node]);

    let shared = Arc::new(Mutex::new(world_from_toml(DEMO, 1).expect("the demo cluster builds")));
    let stranger = SimPorts::with_credentials(shared, Credentials::token("root@pam!quorate", "wrong"));
    let before = stranger.now();
    let error = stranger.call(ApiRequest::get("/version")).await.unwrap_err();
    let reason = "invalid token value!".to_owned();
    assert_eq!(error, ApiError::Unauthorized { node: NodeName::from("pve1"), reason });
    assert!(stranger.now().since_s(before) >= 3);
}

#[tokio::test]
async fn a_node_without_power_is_unreachable_and_the_others_are_asked_instead() {
    let sim = ports();
    let (pve1, pve2) = (NodeName::from("pve1"), NodeName::from("pve2"));
    sim.world().power_off(&pve1);
    let error = sim.run(&pve1, &words("uname -r"), MINUTE).await.unwrap_err();
    assert!(matches!(error, ShellError::Unreachable { .. }), "{error}");
    let status = sim.call(ApiRequest::get("/cluster/status")).await.expect("pve2 answers");
    let local = status.as_array().expect("a list").iter().find(|entry| entry["local"] == 1);
    assert_eq!(local.expect("one is local")["name"], "pve2");
    sim.world().power_off(&pve2);
    let avoid = ApiRequest { avoid: vec![NodeName::from("pve3")], ..ApiRequest::get("/version") };
    assert!(matches!(sim.call(avoid).await, Err(ApiError::Unreachable(_))));
}

#[tokio::test]
async fn a_command_longer_than_its_deadline_is_in_doubt_and_a_quoted_argument_arrives_whole() {
    let sim = ports();
    let node = NodeName::from("pve1");
    let error = sim.run(&node, &words("sleep 90"), MINUTE).await.unwrap_err();
    assert!(matches!(error, ShellError::InDoubt { .. }), "{error}");
    let argv = vec!["printf".to_owned(), "%s".to_owned(), "it's \"here\"; reboot\n".to_owned()];
    let output = sim.run(&node, &argv, MINUTE).await.expect("it runs");
    assert_eq!((output.exit, output.stdout.as_str()), (Exit::Status(0), "it's \"here\"; reboot\n"));
}

#[tokio::test]
async fn sleeping_moves_the_world_on_and_two_sleeps_side_by_side_take_as_long_as_the_longer() {
    let sim = ports();
    let before = sim.now();
    let started = std::time::Instant::now();
    let hour = Duration::from_secs(3600);
    tokio::join!(sim.sleep(hour), sim.sleep(hour / 2));
    assert_eq!(sim.now().since_s(before), 3600);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_caller_that_is_killed_after_a_call_has_had_its_effect_and_before_it_has_not() {
    let noout = || ApiRequest {
        method: Method::Put,
        params: vec![("value".to_owned(), "1".to_owned())],
        ..ApiRequest::get("/cluster/ceph/flags/noout")
    };
    for (kill, effect) in [(Stop::Before(2), false), (Stop::After(2), true)] {
        let sim = ports();
        sim.kill(kill);
        sim.call(ApiRequest::get("/version")).await.expect("the first call is answered");
        // A future that waits for ever is still waiting after two polls.
        let mut call = sim.call(noout());
        for _ in 0..3 {
            assert!((&mut call).now_or_never().is_none());
        }
        assert!(sim.is_dead());
        assert!(sim.sleep(MINUTE).now_or_never().is_none(), "a dead caller does not even sleep");
        let set = sim.world().ceph.as_ref().expect("there is Ceph").flags.contains("noout");
        assert_eq!((set, sim.calls()), (effect, 2), "{kill:?}");
    }
}
