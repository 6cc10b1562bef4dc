//! What the nodes report to each other about guests, every ten seconds: PVE's cluster-wide lists are made from these
//! samples, not from the true state.
//!
//! A sample of a node that has left stays valid for five minutes: its guests are shown as running on it all that time.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

use quorate_world::World;
use quorate_world::guest::Activity;
use quorate_world::node::Node;

/// pvestatd's interval.
const INTERVAL_MS: u64 = 10_000;
/// How long a sample is shown after the last one came.
const LIFE_MS: u64 = 300_000;

/// The newest sample of each node.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    by_node: BTreeMap<NodeName, Sample>,
    next_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct Sample {
    taken_ms: u64,
    /// Guests seen there, and which of them ran.
    present: BTreeSet<GuestId>,
    running: BTreeSet<GuestId>,
}

/// State of a guest in a cluster-wide list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The guest ran when the sample was taken.
    Running,
    /// The guest did not run when the sample was taken.
    Stopped,
    /// No sample contains it.
    Unknown,
}

impl Seen {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

/// Does its pvestatd report now?
fn reports(world: &World, node: &Node) -> bool {
    node.is_up() && world.now_ms >= node.pvestatd_hangs_until_ms
}

impl Samples {
    pub(super) fn advance(&mut self, world: &mut World, now_ms: u64) {
        self.next_ms = self.next_ms.max(world.now_ms);
        while self.next_ms <= now_ms {
            world.advance_to(self.next_ms);
            self.take(world);
            self.next_ms += INTERVAL_MS;
        }
        world.advance_to(now_ms);
    }

    fn take(&mut self, world: &World) {
        for (name, node) in world.nodes.iter().filter(|(_, node)| reports(world, node)) {
            let running = |id: &&GuestId| {
                world.guests.get(id).is_some_and(|guest| {
                    guest.runs_on.contains(name) && !matches!(guest.activity, Activity::Stopped | Activity::Starting)
                })
            };
            let running = node.guests.iter().filter(running).copied().collect();
            let sample = Sample { taken_ms: world.now_ms, present: node.guests.clone(), running };
            self.by_node.insert(name.clone(), sample);
        }
    }

    /// What the lists of the cluster show for a guest whose configuration lies on `node`.
    pub(super) fn seen(&self, node: &NodeName, guest: GuestId, now_ms: u64) -> Seen {
        let sample = self.by_node.get(node).filter(|sample| now_ms < sample.taken_ms + LIFE_MS);
        match sample {
            Some(sample) if sample.running.contains(&guest) => Seen::Running,
            Some(sample) if sample.present.contains(&guest) => Seen::Stopped,
            _ => Seen::Unknown,
        }
    }
}
