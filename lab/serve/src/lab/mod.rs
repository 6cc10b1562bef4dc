//! Serves the world: every node has its own address on loopback, with HTTPS and SSH like a real one.
//!
//! For the shipped program, any other PVE client, and a person with a browser. It promises that time runs at one speed
//! for all, that a port is closed when the world says so and open connections are cut then, and that a request sees
//! the world as of now. It does not promise that two runs are alike: the wall clock drives it.

mod clock;
pub(crate) mod control;
mod doors;
mod error;
mod https;
mod keys;
mod shared;
mod ssh;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use quorate_core::ids::{NodeName, UnixMs};
use quorate_wire::{Gate, Wire};
use quorate_world::World;
use quorate_world::access::{ROOT_PASSWORD, TOKEN, TOKEN_SECRET};
use quorate_world::faults::Fault;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use clock::LabClock;
pub use error::LabError;

use self::doors::{Door, Signal, TICK};
use self::shared::{Cluster, Shared};

/// Where and how fast a lab runs.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// How many virtual seconds pass per second of the wall clock.
    pub time_factor: u32,
    /// Address of the first node; the others follow. Everything below 127 is loopback.
    pub first_address: Ipv4Addr,
    /// Port of every node's API.
    pub api_port: Port,
    /// Port of every node's SSH server.
    pub ssh_port: Port,
}

/// Which port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one, on every node.
    Fixed(u16),
    /// Any free port; each node keeps the one it got.
    Free,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            time_factor: 60,
            first_address: Ipv4Addr::new(127, 77, 0, 1),
            api_port: Port::Fixed(8006),
            ssh_port: Port::Fixed(22),
        }
    }
}

/// Where one node is, and how to know that it is the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The node's name.
    pub node: NodeName,
    /// Address of its API.
    pub api: SocketAddr,
    /// Address of its SSH server.
    pub ssh: SocketAddr,
    /// SHA-256 of its certificate: upper-case pairs joined by colons.
    pub fingerprint: String,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// SHA-256 of its host key: `SHA256:…`.
    pub host_key_fingerprint: String,
    /// Its host key: `ssh-ed25519 AAAA…`.
    pub host_key: String,
}

/// A running lab; it ends when it is dropped.
pub struct Lab {
    shared: Arc<Shared>,
    endpoints: BTreeMap<NodeName, Endpoint>,
    root_key_pem: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Lab {
    /// Starts to serve a world. Its nodes get the lab's addresses on their first link.
    pub async fn start(mut world: World, options: LabOptions) -> Result<Self, LabError> {
        let names: Vec<NodeName> = world.nodes.keys().cloned().collect();
        let root_key = keys::ssh("root@lab")?;
        let mut gate = Gate { ticket_key: keys::random()?, ..Gate::default() };
        let mut endpoints = BTreeMap::new();
        let mut doors = Vec::new();
        let mut signals = Vec::new();
        let (mut same_api_port, mut same_ssh_port) = (None, None);
        for (number, name) in names.into_iter().enumerate() {
            let address = nth_address(options.first_address, number)
                .ok_or_else(|| LabError::Addresses { first: options.first_address, node: name.clone() })?;
            world.readdress(&name, address.into());
            let tls = keys::tls(&name, address)?;
            let host_key = keys::ssh(name.as_str())?;
            let api = bind(&name, address, options.api_port, &mut same_api_port).await?;
            let ssh = bind(&name, address, options.ssh_port, &mut same_ssh_port).await?;
            let endpoint = Endpoint {
                node: name.clone(),
                api: local_address(&name, &api)?,
                ssh: local_address(&name, &ssh)?,
                fingerprint: tls.fingerprint.clone(),
                certificate_pem: tls.pem.clone(),
                host_key_fingerprint: host_key.fingerprint.clone(),
                host_key: host_key.public.clone(),
            };
            gate.fingerprints.insert(name.clone(), tls.fingerprint.clone());
            let [api_signal, ssh_signal] = [Door::Api, Door::Ssh].map(|door| Signal::new(&world, &name, door));
            doors.push((name.clone(), tls, host_key, api, ssh, api_signal.listen(), ssh_signal.listen()));
            signals.extend([api_signal, ssh_signal]);
            endpoints.insert(name, endpoint);
        }
        let clock = LabClock::new(UnixMs(world.now_ms), options.time_factor);
        let cluster = Mutex::new(Cluster { world, wire: Wire::new(gate) });
        let shared = Arc::new(Shared { cluster, clock, root_key: root_key.private, signals });
        let mut tasks = vec![tokio::spawn(tick(shared.clone()))];
        for (name, tls, host_key, api, ssh, api_door, ssh_door) in doors {
            let site = https::Site::new(shared.clone(), name.clone(), tls);
            tasks.push(tokio::spawn(doors::keep(api, api_door, move |stream, to| site.clone().connection(stream, to))));
            let host = ssh::Host::new(shared.clone(), name, &host_key);
            tasks.push(tokio::spawn(doors::keep(ssh, ssh_door, move |stream, _| host.clone().connection(stream))));
        }
        Ok(Self { shared, endpoints, root_key_pem: root_key.pem, tasks })
    }

    /// Where the nodes are, by name.
    pub fn endpoints(&self) -> &BTreeMap<NodeName, Endpoint> {
        &self.endpoints
    }

    /// The lab's clock.
    pub fn clock(&self) -> LabClock {
        self.shared.clock
    }

    /// An API token with root's rights: id and secret.
    pub fn token(&self) -> (&'static str, &'static str) {
        (TOKEN, TOKEN_SECRET)
    }

    /// The password of `root@pam`.
    pub fn root_password(&self) -> &'static str {
        ROOT_PASSWORD
    }

    /// The private key with which root may log in to every node, as OpenSSH writes it.
    pub fn ssh_private_key(&self) -> &str {
        &self.root_key_pem
    }

    /// Lines for a `known_hosts` file.
    pub fn known_hosts(&self) -> String {
        let line = |endpoint: &Endpoint| match endpoint.ssh.port() {
            22 => format!("{} {}\n", endpoint.ssh.ip(), endpoint.host_key),
            port => format!("[{}]:{port} {}\n", endpoint.ssh.ip(), endpoint.host_key),
        };
        self.endpoints.values().map(line).collect()
    }

    /// Looks at the world as of now, or changes it: the impact report, faults, the truth behind an answer.
    pub fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with(|_, world| act(world))
    }

    /// Injects a fault now or at its time.
    pub fn inject(&self, fault: Fault) {
        self.with_world(|world| world.inject(fault));
    }

    /// Ends all servers and returns the world as it is.
    pub async fn stop(mut self) -> World {
        let world = self.with_world(|world| world.clone());
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
        world
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Advances the world while there are no requests, so that reboots and cuts are seen when they happen.
async fn tick(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        shared.with(|_, _| ());
    }
}

fn nth_address(first: Ipv4Addr, number: usize) -> Option<Ipv4Addr> {
    let bits = u32::from(first).checked_add(u32::try_from(number).ok()?)?;
    Some(Ipv4Addr::from(bits)).filter(Ipv4Addr::is_loopback)
}

/// A free port is the same on every node where possible: a real cluster has one port, and clients rely on that.
async fn bind(node: &NodeName, ip: Ipv4Addr, port: Port, same: &mut Option<u16>) -> Result<TcpListener, LabError> {
    if let (Port::Free, Some(port)) = (port, *same)
        && let Ok(listener) = TcpListener::bind((ip, port)).await
    {
        return Ok(listener);
    }
    let port = match port {
        Port::Fixed(port) => port,
        Port::Free => 0,
    };
    let address = SocketAddr::from((ip, port));
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|reason| LabError::Listen { node: node.clone(), address, reason })?;
    *same = Some(local_address(node, &listener)?.port());
    Ok(listener)
}

fn local_address(node: &NodeName, listener: &TcpListener) -> Result<SocketAddr, LabError> {
    let unspecified = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    listener.local_addr().map_err(|reason| LabError::Listen { node: node.clone(), address: unspecified, reason })
}
