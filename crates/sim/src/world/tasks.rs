//! PVE's tasks: UPID, log, end.

use std::collections::BTreeMap;

use quorate_core::ids::{NodeName, Upid};

use super::{World, WorldError};

/// All tasks of all nodes.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// By UPID.
    pub all: BTreeMap<Upid, Task>,
    /// Per node, oldest first.
    pub by_node: BTreeMap<NodeName, Vec<Upid>>,
    /// Last process id handed out, per node.
    pub last_pid: BTreeMap<NodeName, u32>,
}

/// A worker task.
#[derive(Clone, Debug)]
pub struct Task {
    /// Full id.
    pub upid: Upid,
    /// Node it runs on.
    pub node: NodeName,
    /// Process.
    pub pid: u32,
    /// Start of the process in jiffies since boot.
    pub pstart: u64,
    /// Start, Unix seconds.
    pub starttime_s: u64,
    /// `qmigrate`, `hamigrate`, `aptupdate`, ...
    pub kind: String,
    /// Guest number, service, or empty.
    pub id: String,
    /// User or `user!token`.
    pub user: String,
    /// Its end.
    pub end: Option<TaskEnd>,
    /// Log lines so far.
    pub log: Vec<String>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// Unix seconds.
    pub endtime_s: u64,
    /// `OK`, `WARNINGS: n`, an error text, `unexpected status`.
    pub exitstatus: String,
}

impl World {
    /// `DELETE /nodes/N/tasks/UPID`.
    pub fn task_stop(&mut self, node: &NodeName, upid: &Upid) -> Result<(), WorldError> {
        let _ = (node, upid);
        Err(WorldError::die("not yet"))
    }
}
