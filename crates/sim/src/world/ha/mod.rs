//! The HA manager: resources, rules, the master's view, the local resource managers, the command queue.

pub mod commands;
mod crm;
mod lrm;
mod placement;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

/// Everything of HA.
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
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Wanted state.
    pub state: RequestState,
    /// Start attempts on the same node.
    pub max_restart: u32,
    /// Attempts on other nodes.
    pub max_relocate: u32,
    /// Go back to the preferred node by itself?
    pub failback: bool,
    /// Comment.
    pub comment: Option<String>,
}

/// Wanted state of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Keep it running.
    Started,
    /// Keep it stopped; recovered to another node if its node fails.
    Stopped,
    /// Keep it stopped, not recovered.
    Disabled,
    /// Hands off.
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

    /// Reads it; `enabled` is an alias of started.
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

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it says.
    pub kind: RuleKind,
    /// Resources it is about.
    pub resources: BTreeSet<GuestId>,
    /// Switched off?
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
        /// Only these?
        strict: bool,
    },
    /// All on one node.
    KeepTogether,
    /// Each on another node.
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
    /// Nodes that drain because they go down (shutdown policy `migrate`).
    pub shutdown_maintenance: BTreeSet<NodeName>,
    /// Nodes for which maintenance was asked.
    pub maintenance_requests: BTreeSet<NodeName>,
    /// State of each service.
    pub services: BTreeMap<GuestId, Service>,
    /// Services by the node they are on, as of the master's last round: what each LRM looks at.
    pub by_node: BTreeMap<NodeName, Vec<GuestId>>,
    /// Nodes to which an active service is on its way.
    pub targets: BTreeSet<NodeName>,
}

/// A node as the master sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeStatus {
    /// Well.
    Online,
    /// In maintenance.
    Maintenance,
    /// Not seen.
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
    /// Where it is.
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

/// A local resource manager and its `lrm_status`.
#[derive(Clone, Debug)]
pub struct Lrm {
    /// Is the daemon running?
    pub running: bool,
    /// State.
    pub state: LrmState,
    /// Mode.
    pub mode: LrmMode,
    /// When it last wrote.
    pub timestamp_ms: u64,
    /// Last successful round with the agent lock: what the watchdog counts from.
    pub watchdog_fed_ms: u64,
    /// Until when its agent lock is held if it vanishes.
    pub lock_until_ms: u64,
    /// Rounds in a row without any service here.
    pub idle_rounds: u32,
    /// Results by uid.
    pub results: BTreeMap<String, LrmResult>,
    /// Work in hand by uid.
    pub workers: BTreeMap<String, Worker>,
}

/// A piece of an LRM's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Service.
    pub sid: GuestId,
    /// How far it is.
    pub stage: WorkStage,
}

/// What a worker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkStage {
    /// For the guest's start.
    Starting,
    /// For the guest's stop.
    Stopping,
    /// For the end of a move.
    Moving,
}

/// What a worker reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LrmResult {
    /// Service.
    pub sid: GuestId,
    /// State it worked for.
    pub state: ServiceState,
    /// 0 success, 1 error, 2 try again, 3 wrong node.
    pub exit_code: i32,
}

/// LRM states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LrmState {
    /// `wait_for_agent_lock`.
    WaitForAgentLock,
    /// `active`.
    Active,
    /// `maintenance`.
    Maintenance,
    /// `lost_agent_lock`.
    LostAgentLock,
}

impl LrmState {
    /// As in lrm_status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitForAgentLock => "wait_for_agent_lock",
            Self::Active => "active",
            Self::Maintenance => "maintenance",
            Self::LostAgentLock => "lost_agent_lock",
        }
    }
}

/// LRM modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LrmMode {
    /// `active`.
    Active,
    /// `maintenance`.
    Maintenance,
    /// `restart`.
    Restart,
    /// `shutdown`.
    Shutdown,
}

impl LrmMode {
    /// As in lrm_status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Maintenance => "maintenance",
            Self::Restart => "restart",
            Self::Shutdown => "shutdown",
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
        /// How.
        kind: MoveKind,
        /// Service.
        sid: GuestId,
        /// Target as the caller wrote it.
        node: String,
    },
    /// `stop SID TIMEOUT`.
    Stop {
        /// Service.
        sid: GuestId,
        /// Timeout.
        timeout_s: u64,
    },
    /// `enable-node-maintenance NODE`.
    EnableMaintenance(NodeName),
    /// `disable-node-maintenance NODE`.
    DisableMaintenance(NodeName),
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
    /// Wanted state.
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
