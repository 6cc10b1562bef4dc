//! How long a look at a large cluster takes: what `cargo xtask bench observe` builds and runs.
//!
//! A lab of `--nodes` and `--guests` is served over HTTPS and SSH; the live transports look at it as `preflight` does,
//! and each call is made `--latency-ms` slower, as if the nodes were that far away. The lab answers from this very
//! process: what it costs is in the figures too. The last line is one JSON object.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a measurement for a developer"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::ids::NodeName;
use quorate_core::policy::Policy;
use quorate_lab::{Lab, LabOptions, Port};
use quorate_pve::live::{self, HostKey, LiveClock, LiveConfig, NodeEndpoint, Secret, SshKey, Timeouts};
use quorate_pve::observe::{Depth, Look, observe};
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, PortFuture, Ports, Shell, ShellError, ShellOutput,
};
use quorate_world::World;
use quorate_world::cluster_file::synthetic;
use serde_json::json;

/// Calls that are under way now, and the most that ever were, by node; the cluster's own are under "".
#[derive(Default)]
struct Traffic {
    made: u64,
    now: BTreeMap<String, u64>,
    most: BTreeMap<String, u64>,
}

/// Makes each call slower, and counts.
struct Distant<P: ?Sized> {
    inner: Arc<P>,
    latency: Duration,
    traffic: Arc<Mutex<Traffic>>,
}

impl<P: ?Sized> Distant<P> {
    fn enter(&self, node: &str) {
        let mut traffic = self.traffic.lock().unwrap();
        traffic.made += 1;
        let now = traffic.now.entry(node.to_owned()).or_default();
        *now += 1;
        let now = *now;
        let most = traffic.most.entry(node.to_owned()).or_default();
        *most = now.max(*most);
    }

    fn leave(&self, node: &str) {
        *self.traffic.lock().unwrap().now.get_mut(node).unwrap() -= 1;
    }
}

impl Api for Distant<dyn Api> {
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        let below = request.path.strip_prefix("/nodes/").and_then(|rest| rest.split_once('/'));
        let node = below.map_or("", |(node, _)| node).to_owned();
        Box::pin(async move {
            self.enter(&node);
            tokio::time::sleep(self.latency).await;
            let answer = self.inner.call(request).await;
            self.leave(&node);
            answer
        })
    }
}

impl Shell for Distant<dyn Shell> {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        Box::pin(async move {
            self.enter(node.as_str());
            tokio::time::sleep(self.latency).await;
            let answer = self.inner.run_bounded(node, argv, deadline, bound).await;
            self.leave(node.as_str());
            answer
        })
    }
}

fn option(arguments: &[String], name: &str, default: u32) -> u32 {
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1)).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (nodes, guests) = (option(&arguments, "--nodes", 32), option(&arguments, "--guests", 4000));
    let latency = Duration::from_millis(u64::from(option(&arguments, "--latency-ms", 20)));
    let world = World::build(&synthetic(nodes, guests).expect("a large cluster"), 1).expect("a large cluster");
    let options = LabOptions { time_factor: 100, api_port: Port::Free, ssh_port: Port::Free, ..LabOptions::default() };
    let lab = Lab::start(world, options).await.expect("the lab starts");
    let traffic = Arc::new(Mutex::new(Traffic::default()));
    let ports = distant(&lab, latency, &traffic);
    let made = || traffic.lock().unwrap().made;

    let begun = Instant::now();
    let snapshot = observe(&ports, Look::full()).await;
    let (look_s, look_calls) = (begun.elapsed().as_secs_f64(), made());
    let watch = Look { depth: Depth::Watch, previous: Some(&snapshot), ..Look::full() };
    let begun = Instant::now();
    let again = observe(&ports, watch).await;
    let (watch_s, watch_calls) = (begun.elapsed().as_secs_f64(), made() - look_calls);
    let begun = Instant::now();
    let findings = quorate_core::checks::run_all(&again, &Policy::default(), quorate_core::checks::Asked::BeforeARun);
    let checks_s = begun.elapsed().as_secs_f64();

    let most = {
        let traffic = traffic.lock().unwrap();
        traffic.most.iter().filter(|(node, _)| !node.is_empty()).map(|(_, most)| *most).max().unwrap_or(0)
    };
    for gap in snapshot.gaps().iter().take(5) {
        eprintln!("not known: {}: {}: {}", gap.place, gap.why.source, gap.why.reason);
    }
    println!(
        "{}",
        json!({
            "nodes": snapshot.nodes.len(), "guests": snapshot.guests.len(), "latency_ms": latency.as_millis() as u64,
            "look_s": look_s, "look_calls": look_calls, "watch_s": watch_s, "watch_calls": watch_calls,
            "most_in_flight_per_node": most, "unknown": snapshot.gaps().len(),
            "checks_s": checks_s, "findings": findings.len(),
        })
    );
    lab.stop().await;
}

fn distant(lab: &Lab, latency: Duration, traffic: &Arc<Mutex<Traffic>>) -> Ports {
    let split = |address: std::net::SocketAddr| (address.ip().to_string(), address.port());
    let endpoint = |node: &quorate_lab::Endpoint| NodeEndpoint {
        name: node.node.clone(),
        api: split(node.api),
        fingerprint: node.fingerprint.clone(),
        ssh: split(node.ssh),
        host_key: HostKey::Fingerprint(node.host_key_fingerprint.clone()),
    };
    let (token_id, secret) = lab.token();
    let config = LiveConfig {
        nodes: lab.endpoints().values().map(endpoint).collect(),
        token_id: token_id.to_owned(),
        token_secret: Secret::new(secret),
        ssh_keys: vec![SshKey { path: "the lab's".into(), text: Secret::new(lab.ssh_private_key()) }],
        timeouts: Timeouts::default(),
    };
    let plain = live::ports(config, Arc::new(LiveClock::wall())).expect("ports");
    let (api, shell) = (plain.api.clone(), plain.shell.clone());
    Ports {
        api: Arc::new(Distant { inner: api, latency, traffic: traffic.clone() }),
        shell: Arc::new(Distant { inner: shell, latency, traffic: traffic.clone() }),
        ..plain
    }
}
