//! The world as PVE shows it: answers of the API and outputs of the node's programs, to the byte where it matters.
//!
//! Written by hand from recorded answers of a genuine cluster, never from the tool's own parsers: an error that both
//! sides shared would go unnoticed. What lags behind the true state in PVE lags here, what is a string there is one
//! here, and what is left out there is left out here. Nothing is adapted to suit the tool.
//!
//! [`Wire::api`] answers one request at one node, [`Wire::shell`] runs one command line as root on one node. Both take
//! the world's time as it is; [`Wire::advance`] advances it and takes the samples that PVE broadcasts.

pub mod access;
pub mod answer;
mod api;
mod ceph;
mod params;
mod request;
mod samples;
mod schema;
mod shell;
mod text;
mod words;

use std::time::Duration;

use quorate_core::ids::NodeName;

pub use access::{Credentials, Gate};
pub use answer::{ApiAnswer, Body};
pub use api::endpoints;
pub use request::ApiRequest;
use schema::Release;
pub use shell::{Follow, ShellAnswer, ShellExit};
pub use text::fingerprint;

use quorate_world::World;
use quorate_world::node::{DownStage, Node, Power};

/// The world's interfaces: what is needed in addition to the world to answer requests.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    pub(crate) gate: Gate,
    samples: samples::Samples,
}

impl Wire {
    /// With these certificates and this key for tickets.
    pub fn new(gate: Gate) -> Self {
        Self { gate, samples: samples::Samples::default() }
    }

    /// Advances the world to `now_ms`, and takes the status samples that fall due on the way.
    pub fn advance(&mut self, world: &mut World, now_ms: u64) {
        self.samples.advance(world, now_ms);
    }

    /// Answers one request that has reached a node whose API listens.
    pub fn api(&self, world: &mut World, request: &ApiRequest) -> ApiAnswer {
        api::answer(self, world, request)
    }

    /// Runs a command line as root on a node whose sshd listens.
    pub fn shell(&self, world: &mut World, node: &NodeName, command_line: &str) -> ShellAnswer {
        shell::run(self, world, node, command_line)
    }

    /// What a program that waits for some work prints at its end, and how it ends; none while it still runs.
    pub fn followed(&self, world: &mut World, node: &NodeName, follow: &Follow) -> Option<ShellAnswer> {
        shell::followed(world, node, follow)
    }
}

/// Does the API of this node accept connections now?
pub fn api_listens(world: &World, node: &NodeName) -> bool {
    world.nodes.get(node).is_some_and(|node| node.is_up() && node.api_answers(world.now_ms))
}

/// Does sshd of this node accept connections now?
pub fn ssh_listens(world: &World, node: &NodeName) -> bool {
    world.nodes.get(node).is_some_and(|node| node.is_up() && node.ssh_up)
}

/// Does the machine have power and a network, so that open connections may stay?
pub fn is_on(world: &World, node: &NodeName) -> bool {
    world.nodes.get(node).is_some_and(Node::is_up)
}

/// Does `viewer` see `node` in its membership? A node always sees itself.
pub(crate) fn sees(world: &World, viewer: &NodeName, node: &NodeName) -> bool {
    viewer == node || world.corosync.views.get(viewer).is_some_and(|view| view.members.contains(node))
}

/// How a connection to a port that does not listen fails, from a node of the cluster, and how long that takes.
fn connect_failure(node: &Node) -> (&'static str, Duration) {
    match node.power {
        Power::On | Power::GoingDown { .. } => ("Connection refused", Duration::ZERO),
        // No machine answers at the address: the kernel gives up neighbour discovery after three seconds.
        Power::Off | Power::Hung | Power::Booting { .. } => ("No route to host", Duration::from_secs(3)),
    }
}

/// Is a node in the last seconds of a shutdown, when pveproxy takes a connection and drops it?
fn drops_connections(node: &Node, now_ms: u64) -> bool {
    /// The services end about 25 s after the order, or 3 s after the last guest.
    const SERVES_MS: u64 = 22_000;
    match node.power {
        Power::GoingDown { since_ms, stage: DownStage::Services, .. } => now_ms >= since_ms + SERVES_MS,
        _ => false,
    }
}

/// Release of PVE on a node.
fn release(node: &Node) -> Release {
    Release::parse(node.installed("pve-manager").map_or("", |version| version.as_str()))
}

/// Upstream part of a package version: `9.1.8` of `9.1.8-1`.
fn upstream(version: &str) -> &str {
    version.split(['-', '+']).next().unwrap_or(version)
}
