//! Work that runs or is due: tasks, backups, replication.

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, UnixMs, Upid, Vmid};

/// A PVE task that runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its UPID, under which PVE keeps its log.
    pub upid: Upid,
    /// The node it runs on.
    pub node: NodeName,
    /// PVE's type: `qmigrate`, `vzdump`, …
    pub kind: JobKind,
    /// The guest it is about, if it is about one.
    pub vmid: Option<Vmid>,
    /// Who started it: `root@pam`, `root@pam!quorate`.
    pub user: String,
    /// When it started.
    pub started: UnixMs,
}

/// A task's type as PVE names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobKind(pub String);

impl JobKind {
    /// Is it a migration? `qmigrate` or `vzmigrate` (not `hamigrate`, which only queues).
    pub fn is_migration(&self) -> bool {
        matches!(self.0.as_str(), "qmigrate" | "vzmigrate")
    }
}

/// A scheduled backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// The id of the job.
    pub id: String,
    /// Whether the job is enabled.
    pub enabled: bool,
    /// The next time it starts, if PVE says.
    pub next_run: Option<UnixMs>,
    /// The node it is limited to, if it is.
    pub node: Option<NodeName>,
}

/// A storage replication job with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationJob {
    /// `100-0`.
    pub id: String,
    /// The guest that is replicated.
    pub vmid: Vmid,
    /// The node it copies from.
    pub source: NodeName,
    /// The node it copies to.
    pub target: NodeName,
    /// Failures in a row.
    pub fail_count: u32,
    /// The text of the last error.
    pub error: Option<String>,
    /// When it last succeeded.
    pub last_sync: Option<UnixMs>,
    /// Whether the job is disabled.
    pub disabled: bool,
}
