//! Work that runs or is due: tasks, backups, replication.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, UnixMs, Upid, Vmid};

/// A PVE task that runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its UPID.
    pub upid: Upid,
    /// The node it runs on.
    pub node: NodeName,
    /// PVE's type: `qmigrate`, `vzdump`, …
    pub kind: JobKind,
    /// The guest it is about, if it is about one.
    pub vmid: Option<Vmid>,
    /// `root@pam`, `root@pam!quorate`.
    pub user: String,
    /// When it began.
    pub started: UnixMs,
}

/// A task's type as PVE names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobKind(pub String);

impl JobKind {
    /// A guest's move: `qmigrate` or `vzmigrate` (not `hamigrate`, which only queues).
    pub fn is_migration(&self) -> bool {
        matches!(self.0.as_str(), "qmigrate" | "vzmigrate")
    }
}

/// A scheduled backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// Its id.
    pub id: String,
    /// Switched on.
    pub enabled: bool,
    /// The next time it starts, if PVE says.
    pub next_run: Option<UnixMs>,
    /// Limited to this node.
    pub node: Option<NodeName>,
}

/// A storage replication job with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationJob {
    /// `100-0`.
    pub id: String,
    /// The guest.
    pub vmid: Vmid,
    /// From here.
    pub source: NodeName,
    /// To there.
    pub target: NodeName,
    /// Failures in a row.
    pub fail_count: u32,
    /// The last error.
    pub error: Option<String>,
    /// The last success.
    pub last_sync: Option<UnixMs>,
    /// Switched off.
    pub disabled: bool,
}
