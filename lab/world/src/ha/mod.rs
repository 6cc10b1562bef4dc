//! The HA manager: resources, rules, the master's view, the local resource managers, the command queue.

pub mod commands;
mod crm;
mod crm_nodes;
mod disarm;
mod groups;
mod lrm;
mod lrm_status;
mod placement;
mod rebalance;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

pub use disarm::{Disarm, ResourceMode};
pub use lrm_status::{Leaving, Lrm, LrmMode, LrmResult, LrmState, WorkStage, Worker};

/// The complete state of HA.
#[derive(Clone, Debug, Default)]
pub struct Ha {
    /// `resources.cfg`.
    pub resources: BTreeMap<GuestId, Resource>,
    /// `rules.cfg`, by rule id.
    pub rules: BTreeMap<String, Rule>,
    /// `manager_status`.
    pub manager: Manager,
    /// `lrm_status` per node.
    pub lrm: BTreeMap<NodeName, Lrm>,
    /// `crm_commands`.
    pub queue: Vec<HaCommand>,
    /// The master's syslog lines, with the time: the only place where some refusals show.
    pub syslog: Vec<(u64, String)>,
    /// Nodes reset by their watchdog so far.
    pub fences: u32,
    /// Before PVE 9 a node affinity was a group. Has the master written the groups as rules?
    pub groups_became_rules: bool,
}

/// A guest that HA manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Requested state.
    pub state: RequestState,
    /// Start attempts on the same node.
    pub max_restart: u32,
    /// Attempts on other nodes.
    pub max_relocate: u32,
    /// Does HA move it back to its preferred node (failback)?
    pub failback: bool,
    /// Comment.
    pub comment: Option<String>,
}

/// Requested state of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Keep it running.
    Started,
    /// Keep it stopped; recovered to another node if its node fails.
    Stopped,
    /// Keep it stopped, not recovered.
    Disabled,
    /// HA does not touch it.
    Ignored,
}

impl RequestState {
    /// As in resources.cfg.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Disabled => "disabled",
            Self::Ignored => "ignored",
        }
    }

    /// Reads the name; `enabled` is an alias of started.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "started" | "enabled" => Self::Started,
            "stopped" => Self::Stopped,
            "disabled" => Self::Disabled,
            "ignored" => Self::Ignored,
            _ => return None,
        })
    }
}

/// A rule about where resources may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the rule demands.
    pub kind: RuleKind,
    /// Resources to which it applies.
    pub resources: BTreeSet<GuestId>,
    /// Is it switched off?
    pub disabled: bool,
    /// Comment.
    pub comment: Option<String>,
}

/// Kinds of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Preferred nodes with priorities (higher is better).
    NodeAffinity {
        /// Nodes and priorities.
        nodes: BTreeMap<NodeName, u32>,
        /// May the resources run on these nodes only?
        strict: bool,
    },
    /// All resources on one node.
    KeepTogether,
    /// Each resource on a different node.
    KeepApart,
}

/// `manager_status`.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    /// The active master.
    pub master: Option<NodeName>,
    /// When the master last wrote.
    pub timestamp_ms: u64,
    /// Until when the manager lock is held if the master vanishes.
    pub lock_until_ms: u64,
    /// State of each node.
    pub node_status: BTreeMap<NodeName, NodeStatus>,
    /// When each node was last seen online, for fencing.
    pub online_last_ms: BTreeMap<NodeName, u64>,
    /// Nodes that drain because they shut down (shutdown policy `migrate`).
    pub shutdown_maintenance: BTreeSet<NodeName>,
    /// Nodes for which maintenance was requested.
    pub maintenance_requests: BTreeSet<NodeName>,
    /// State of each service.
    pub services: BTreeMap<GuestId, Service>,
    /// Services by the node they are on, as of the master's last round: what each LRM reads.
    pub by_node: BTreeMap<NodeName, Vec<GuestId>>,
    /// Target nodes of active services that are moving.
    pub targets: BTreeSet<NodeName>,
    /// HA is disarmed, or about to be.
    pub disarm: Option<Disarm>,
    /// Rounds in a row in which the nodes were unevenly loaded.
    pub uneven_rounds: u32,
    /// When the master last checked whether the groups can become rules.
    pub groups_looked_ms: u64,
}

/// A node as the master sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeStatus {
    /// In working order.
    Online,
    /// In maintenance.
    Maintenance,
    /// Not seen by the master.
    Unknown,
    /// Being fenced.
    Fence,
    /// Not in the cluster any more.
    Gone,
}

impl NodeStatus {
    /// As in manager_status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Maintenance => "maintenance",
            Self::Unknown => "unknown",
            Self::Fence => "fence",
            Self::Gone => "gone",
        }
    }
}

/// A service as the master sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The node it is on.
    pub node: NodeName,
    /// State.
    pub state: ServiceState,
    /// Target of `migrate` and `relocate`.
    pub target: Option<NodeName>,
    /// Node to return to once its maintenance ends.
    pub maintenance_node: Option<NodeName>,
    /// Changes with each state: the LRM answers to it.
    pub uid: String,
    /// Does the LRM see it running?
    pub running: bool,
    /// A queued command for it.
    pub command: Option<(MoveKind, NodeName)>,
    /// Nodes where it failed to start.
    pub failed_nodes: Vec<NodeName>,
    /// Start failures here.
    pub failures: u32,
}

/// CRM service states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// `stopped`.
    Stopped,
    /// `request_stop`.
    RequestStop,
    /// `request_start`.
    RequestStart,
    /// `started`.
    Started,
    /// `fence`.
    Fence,
    /// `recovery`.
    Recovery,
    /// `migrate`.
    Migrate,
    /// `relocate`.
    Relocate,
    /// `freeze`.
    Freeze,
    /// `error`.
    Error,
}

impl ServiceState {
    /// As in manager_status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::RequestStop => "request_stop",
            Self::RequestStart => "request_start",
            Self::Started => "started",
            Self::Fence => "fence",
            Self::Recovery => "recovery",
            Self::Migrate => "migrate",
            Self::Relocate => "relocate",
            Self::Freeze => "freeze",
            Self::Error => "error",
        }
    }
}

/// Migrate (live) or relocate (stop, start).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveKind {
    /// Live, if it runs and can.
    Migrate,
    /// By stop and start.
    Relocate,
}

/// An entry of the command queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaCommand {
    /// `migrate SID NODE`, `relocate SID NODE`. The node is not checked here, as in PVE.
    Move {
        /// Live, or by stop and start.
        kind: MoveKind,
        /// The service concerned.
        sid: GuestId,
        /// Target as the caller wrote it.
        node: String,
    },
    /// `stop SID TIMEOUT`.
    Stop {
        /// The service concerned.
        sid: GuestId,
        /// Timeout in seconds.
        timeout_s: u64,
    },
    /// `enable-node-maintenance NODE`.
    EnableMaintenance(NodeName),
    /// `disable-node-maintenance NODE`.
    DisableMaintenance(NodeName),
    /// `disarm-ha freeze|ignore`.
    Disarm(ResourceMode),
    /// `arm-ha`.
    Arm,
}

/// What the API answers to a move request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoveAnswer {
    /// Companions that go with it.
    pub comigrated: Vec<GuestId>,
    /// Resources in the way, with the cause `resource-affinity` or `node-affinity`.
    pub blocking: Vec<(GuestId, String)>,
}

/// A change of a resource; `None` leaves the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceChange {
    /// Requested state.
    pub state: Option<RequestState>,
    /// Restarts.
    pub max_restart: Option<u32>,
    /// Relocations.
    pub max_relocate: Option<u32>,
    /// Failback.
    pub failback: Option<bool>,
    /// Comment.
    pub comment: Option<String>,
}

/// An LRM at rest.
pub(crate) fn idle_lrm(now_ms: u64) -> Lrm {
    Lrm {
        running: true,
        state: LrmState::WaitForAgentLock,
        mode: LrmMode::Active,
        timestamp_ms: now_ms,
        watchdog_fed_ms: now_ms,
        lock_until_ms: 0,
        idle_rounds: 0,
        results: BTreeMap::new(),
        workers: BTreeMap::new(),
        leaving: None,
    }
}
