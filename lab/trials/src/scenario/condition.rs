//! What a script can wait for: sentences about the truth, not about what a client sees.

use quorate_core::ids::{GuestId, NodeName};

use quorate_world::World;
use quorate_world::guest::Guest;
use quorate_world::ha::ServiceState;

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `vm:101 runs`, `vm:101 runs on pve2`.
    GuestRuns(GuestId, Option<NodeName>),
    /// `vm:101 is stopped`.
    GuestIsStopped(GuestId),
    /// `pve2 is back`: its API answers, and it is in a partition with quorum.
    NodeIsBack(NodeName),
    /// `pve2 is down`: no system runs on it.
    NodeIsDown(NodeName),
    /// `pve2 is empty`: no guest runs on it.
    NodeIsEmpty(NodeName),
    /// `pve2 is upgraded`: nothing newer is in the archive, and dpkg's lock is free.
    NodeIsUpgraded(NodeName),
    /// `there is quorum`, `there is no quorum`.
    Quorum(bool),
    /// `HA is settled`: every service is where it should be, and nothing is queued.
    HaIsSettled,
    /// `Ceph is clean`: every copy of everything is there.
    CephIsClean,
    /// `no task runs`.
    NoTaskRuns,
}

const FORMS: &str = "it is: wait until GUEST runs [on NODE] | GUEST is stopped | NODE is back|down|empty|upgraded | \
                     there is quorum | there is no quorum | HA is settled | Ceph is clean | no task runs";

impl Condition {
    /// Reads a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let guest = |word: &str| GuestId::parse(word).ok_or(FORMS);
        Ok(match *words {
            ["there", "is", "quorum"] => Self::Quorum(true),
            ["there", "is", "no", "quorum"] => Self::Quorum(false),
            ["HA", "is", "settled"] => Self::HaIsSettled,
            ["Ceph", "is", "clean"] => Self::CephIsClean,
            ["no", "task", "runs"] => Self::NoTaskRuns,
            [id, "runs"] => Self::GuestRuns(guest(id)?, None),
            [id, "runs", "on", node] => Self::GuestRuns(guest(id)?, Some(NodeName::new(node))),
            [id, "is", "stopped"] => Self::GuestIsStopped(guest(id)?),
            [node, "is", "back"] => Self::NodeIsBack(NodeName::new(node)),
            [node, "is", "down"] => Self::NodeIsDown(NodeName::new(node)),
            [node, "is", "empty"] => Self::NodeIsEmpty(NodeName::new(node)),
            [node, "is", "upgraded"] => Self::NodeIsUpgraded(NodeName::new(node)),
            _ => return Err(FORMS.to_owned()),
        })
    }

    /// Is it true now?
    pub(super) fn holds(&self, world: &World) -> bool {
        match self {
            Self::GuestRuns(id, on) => world
                .guests
                .get(id)
                .is_some_and(|guest| guest.serves() && on.as_ref().is_none_or(|node| guest.runs_on.contains(node))),
            Self::GuestIsStopped(id) => world.guests.get(id).is_some_and(|guest| !guest.is_running()),
            Self::NodeIsBack(name) => {
                let answers = world.nodes.get(name).is_some_and(|node| node.api_answers(world.now_ms));
                answers && world.corosync.quorate(name)
            }
            Self::NodeIsDown(name) => !world.nodes.get(name).is_some_and(|node| node.is_up()),
            Self::NodeIsEmpty(name) => world.nodes.get(name).is_some_and(|node| node.processes.is_empty()),
            Self::NodeIsUpgraded(name) => {
                let locked = world.nodes.get(name).is_none_or(|node| node.packages.locked_by.is_some());
                !locked && !world.is_behind_archive(name)
            }
            Self::Quorum(wanted) => world.corosync.anywhere_quorate() == *wanted,
            Self::HaIsSettled => {
                let all = world.ha.manager.services.iter().all(|(id, service)| match service.state {
                    ServiceState::Started => world.guests.get(id).is_some_and(Guest::serves),
                    state => state == ServiceState::Stopped,
                });
                all && world.ha.queue.is_empty() && world.migrations.running.is_empty()
            }
            Self::CephIsClean => world
                .ceph
                .as_ref()
                .is_none_or(|ceph| ceph.pg_states(world.now_ms).keys().all(|state| state == "active+clean")),
            Self::NoTaskRuns => world.tasks.running.is_empty(),
        }
    }

    /// A node or guest in it that the cluster does not have.
    pub(super) fn stranger(&self, world: &World) -> Option<String> {
        let (guest, node) = match self {
            Self::GuestRuns(id, node) => (Some(id), node.as_ref()),
            Self::GuestIsStopped(id) => (Some(id), None),
            Self::NodeIsBack(node) | Self::NodeIsDown(node) | Self::NodeIsEmpty(node) | Self::NodeIsUpgraded(node) => {
                (None, Some(node))
            }
            Self::Quorum(_) | Self::HaIsSettled | Self::CephIsClean | Self::NoTaskRuns => (None, None),
        };
        let guest =
            guest.filter(|id| !world.guests.contains_key(id)).map(|id| format!("this cluster has no guest {id}"));
        let node = node.filter(|node| !world.nodes.contains_key(*node));
        guest.or_else(|| node.map(|node| format!("this cluster has no node {node}")))
    }
}
