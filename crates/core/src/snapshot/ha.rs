//! The HA manager: its nodes, services and rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, UnixMs};

/// High availability as the manager's state file and configuration show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ha {
    /// The node that holds the manager's lock; none if HA was never used.
    pub master: Option<NodeName>,
    /// When the master wrote its state last; stale state cannot be trusted.
    pub master_seen: Option<UnixMs>,
    /// The manager's view of each node. Nodes that HA never used may be missing.
    pub nodes: BTreeMap<NodeName, HaNodeState>,
    /// Nodes for which maintenance mode is requested: from the manager's next round on, until it is ended.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub maintenance_requested: BTreeSet<NodeName>,
    /// Each node's local resource manager.
    pub lrm: BTreeMap<NodeName, LrmStatus>,
    /// Managed guests: configuration and state in one.
    pub services: BTreeMap<GuestId, HaService>,
    /// Affinity rules; 8.x groups are read as node-affinity rules.
    pub rules: Vec<AffinityRule>,
    /// Fencing armed or not (reported since 9.2; none before).
    pub armed: Option<ArmedState>,
    /// Resources that HA is configured with and does not manage, because there is no such guest any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_over: BTreeSet<GuestId>,
}

impl Ha {
    /// The nodes that HA moves a guest to by itself as soon as one of them is there, if its failback is on: those with
    /// the highest priority in its rule. None if all of `names` are equal to it (pve-ha-manager, node affinity).
    pub fn preferred<'a>(&'a self, guest: GuestId, names: &BTreeSet<&NodeName>) -> Option<BTreeSet<&'a NodeName>> {
        self.rules.iter().find_map(|rule| {
            let AffinityRule::Node(rule) = rule else { return None };
            if !rule.guests.contains(&guest) {
                return None;
            }
            let known = || rule.nodes.iter().filter(|(node, _)| names.contains(node));
            let best = known().map(|(_, priority)| *priority).max()?;
            let alike = |name: &&NodeName| match rule.nodes.get(*name) {
                Some(priority) => *priority == best,
                None => rule.strict,
            };
            (!names.iter().all(alike))
                .then(|| known().filter(|(_, priority)| **priority == best).map(|(node, _)| node).collect())
        })
    }

    /// The node that HA will move a guest back to by itself, once that is in service: maintenance mode has moved it
    /// away from there. The manager keeps its note even if it will never move it, with failback off or a rule that
    /// prefers another node (pve-ha-manager).
    pub fn goes_back(&self, guest: GuestId) -> Option<&NodeName> {
        let service = self.services.get(&guest).filter(|service| service.failback)?;
        let home = service.maintenance_node.as_ref()?;
        let online = self.nodes.iter().filter(|(_, state)| **state == HaNodeState::Online).map(|(node, _)| node);
        let there = online.chain([home]).collect();
        self.preferred(guest, &there).is_none_or(|preferred| preferred.contains(home)).then_some(home)
    }
}

/// Is fencing armed?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArmedState {
    /// Watchdogs active.
    Armed,
    /// Nothing to guard at the moment.
    Standby,
    /// Being disarmed.
    Disarming,
    /// Switched off by the administrator.
    Disarmed,
}

/// The manager's view of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HaNodeState {
    /// In service.
    Online,
    /// In maintenance mode.
    Maintenance,
    /// The manager does not see it.
    Unknown,
    /// Being fenced.
    Fence,
    /// Removed from the cluster.
    Gone,
}

/// A node's local resource manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LrmStatus {
    /// The mode that it works in.
    pub mode: LrmMode,
    /// `active`, `wait_for_agent_lock`, `lost_agent_lock`, `maintenance`.
    pub state: String,
    /// When it wrote its state last.
    pub seen: UnixMs,
}

/// Mode of a local resource manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LrmMode {
    /// It works normally.
    Active,
    /// The node is in maintenance mode.
    Maintenance,
    /// Its service restarts.
    Restart,
    /// Its node shuts down.
    Shutdown,
    /// HA is disarmed.
    Disarm,
}

/// A guest managed by HA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaService {
    /// The requested state in the configuration.
    pub request: HaRequest,
    /// The manager's state; none if the manager has not seen it yet.
    pub state: Option<HaServiceState>,
    /// The node on which the manager has it.
    pub node: Option<NodeName>,
    /// The node that it is moving to, while it moves.
    pub target: Option<NodeName>,
    /// The node that it will move back to when that leaves maintenance mode.
    pub maintenance_node: Option<NodeName>,
    /// It moves back by itself to a node that its rules prefer.
    pub failback: bool,
}

impl fmt::Display for HaServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for HaNodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Online => "online",
            Self::Maintenance => "maintenance",
            Self::Unknown => "unknown",
            Self::Fence => "fence",
            Self::Gone => "gone",
        })
    }
}

impl fmt::Display for HaRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Disabled => "disabled",
            Self::Ignored => "ignored",
        })
    }
}

/// The state that the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HaRequest {
    /// Keep it running.
    Started,
    /// Keep it stopped.
    Stopped,
    /// Stopped, and not recovered elsewhere.
    Disabled,
    /// HA leaves it alone.
    Ignored,
}

/// The manager's state of a service (`service_status` in manager_status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaServiceState {
    /// Not running, as asked.
    Stopped,
    /// To be stopped.
    RequestStop,
    /// To be started.
    RequestStart,
    /// To be started where there is most room.
    RequestStartBalance,
    /// It runs.
    Started,
    /// Waits for its node to be fenced.
    Fence,
    /// Looks for a new node after a fence.
    Recovery,
    /// Live migration under way.
    Migrate,
    /// Stop, move, start under way.
    Relocate,
    /// Held while its node reboots or its manager restarts.
    Freeze,
    /// HA gave up; it needs an administrator.
    Error,
}

impl HaServiceState {
    /// As the manager writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::RequestStop => "request_stop",
            Self::RequestStart => "request_start",
            Self::RequestStartBalance => "request_start_balance",
            Self::Started => "started",
            Self::Fence => "fence",
            Self::Recovery => "recovery",
            Self::Migrate => "migrate",
            Self::Relocate => "relocate",
            Self::Freeze => "freeze",
            Self::Error => "error",
        }
    }

    /// The manager is at work on it, and that ends by itself.
    pub fn is_under_way(self) -> bool {
        !(self.is_settled() || matches!(self, Self::Freeze | Self::Error))
    }

    /// Nothing is under way.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Started | Self::Stopped)
    }
}

/// A rule about where guests may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AffinityRule {
    /// Which nodes a guest prefers or must be on.
    Node(NodeAffinity),
    /// Which guests must be together or apart.
    Resource(ResourceAffinity),
}

/// A node-affinity rule (9.x), or a group (8.x).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAffinity {
    /// The rule's or group's id.
    pub id: String,
    /// Guests it holds for.
    pub guests: BTreeSet<GuestId>,
    /// Nodes with their priority; higher is preferred.
    pub nodes: BTreeMap<NodeName, u32>,
    /// Never on another node.
    pub strict: bool,
}

/// A resource-affinity rule (9.x); always strict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAffinity {
    /// The rule's id.
    pub id: String,
    /// Guests it holds for.
    pub guests: BTreeSet<GuestId>,
    /// True: on one node. False: each on another node.
    pub together: bool,
}
