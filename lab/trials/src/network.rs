//! What lies between drivers and their cluster in time: orders that arrive late, endpoints that hang.
//!
//! All drivers of a cluster share it: what one of them has sent is on its way even when that driver is gone.

use std::collections::BTreeMap;
use std::fmt;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_wire::{ApiRequest, Wire};
use quorate_world::World;

use crate::digest::digest;

/// What was sent to a node, and may not have arrived.
#[derive(Clone, Debug)]
pub struct Order {
    /// The node that takes it.
    pub to: NodeName,
    /// Its boot at that moment: a connection ends with it, and so does the process at its end.
    boots: u32,
    /// From when on its sender does not send it any more, by the sender's clock.
    expires: Option<UnixMs>,
    sent: Sent,
}

#[derive(Clone, Debug)]
enum Sent {
    Api(ApiRequest),
    Shell(String),
}

impl Order {
    /// A request to an endpoint that has taken the connection.
    pub(crate) fn api(world: &World, request: ApiRequest, expires: Option<UnixMs>) -> Self {
        Self { to: request.asked.clone(), boots: boots(world, &request.asked), expires, sent: Sent::Api(request) }
    }

    /// A command line for a node whose sshd has taken the connection.
    pub(crate) fn shell(world: &World, to: &NodeName, line: String) -> Self {
        Self { to: to.clone(), boots: boots(world, to), expires: None, sent: Sent::Shell(line) }
    }

    /// The same order of a sender that was frozen before it connected, and wakes now: to whatever boot runs there, if
    /// it is not too late to send it.
    #[must_use]
    pub fn sent_only_now(&self, world: &World) -> Option<Self> {
        let in_time = self.expires.is_none_or(|expires| world.now_ms < expires.0);
        in_time.then(|| Self { boots: boots(world, &self.to), ..self.clone() })
    }

    /// Is it a request to an endpoint of the API?
    pub(crate) fn is_api(&self) -> bool {
        matches!(self.sent, Sent::Api(_))
    }

    /// Takes effect as if it had just been sent. Nothing happens if the boot that took it is gone.
    pub fn arrive(&self, wire: &Wire, world: &mut World) {
        let takes = |node: &quorate_world::node::Node| node.is_up() && node.boots == self.boots;
        if !world.nodes.get(&self.to).is_some_and(takes) {
            return;
        }
        match &self.sent {
            Sent::Api(request) => drop(wire.api(world, request)),
            Sent::Shell(line) => drop(wire.shell(world, &self.to, line)),
        }
    }

    /// Would it change anything? Reads are never late: a caller that hears nothing asks again.
    pub fn changes(&self, wire: &Wire, world: &World) -> bool {
        match &self.sent {
            Sent::Api(request) => request.method != "GET",
            Sent::Shell(line) => {
                let mut after = world.clone();
                drop(wire.shell(&mut after, &self.to, line));
                digest(world) != digest(&after)
            }
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sent {
            Sent::Api(request) => write!(f, "{} {} at {}", request.method, request.path, self.to),
            Sent::Shell(line) => write!(f, "{line:?} at {}", self.to),
        }
    }
}

fn boots(world: &World, node: &NodeName) -> u32 {
    world.nodes.get(node).map_or(0, |node| node.boots)
}

/// The wire of one cluster, and what is on its way to it.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) wire: Wire,
    /// By the moment of arrival, and then in the order in which they were sent.
    on_the_way: BTreeMap<(u64, u64), Order>,
    sent: u64,
    /// Nodes whose API takes connections and answers nothing: in which boot, and until when.
    hanging: BTreeMap<NodeName, (u32, u64)>,
}

impl Network {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, ..Self::default() }
    }

    /// The order arrives at this moment, and not before.
    pub(crate) fn hold(&mut self, order: Order, until_ms: u64) {
        self.sent += 1;
        self.on_the_way.insert((until_ms, self.sent), order);
    }

    /// From now on this node's API takes connections and answers nothing, for so many seconds of this boot.
    pub(crate) fn hang(&mut self, world: &World, node: &NodeName, seconds: u64) {
        self.hanging.insert(node.clone(), (boots(world, node), world.now_ms + seconds * 1000));
    }

    /// Until when this node's API hangs, if it does.
    pub(crate) fn hangs_until(&self, world: &World, node: &NodeName) -> Option<u64> {
        let (boots_then, until_ms) = self.hanging.get(node).copied()?;
        (until_ms > world.now_ms && boots(world, node) == boots_then).then_some(until_ms)
    }

    /// Moves the world on, and lets arrive what falls due on the way.
    pub(crate) fn advance(&mut self, world: &mut World, now_ms: u64) {
        while let Some(first) = self.on_the_way.first_entry().filter(|first| first.key().0 <= now_ms) {
            let ((due_ms, _), order) = first.remove_entry();
            self.wire.advance(world, due_ms.max(world.now_ms));
            order.arrive(&self.wire, world);
        }
        self.wire.advance(world, now_ms);
    }
}
