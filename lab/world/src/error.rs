//! What the cluster refuses, in PVE's own words.

use quorate_core::ids::{GuestId, GuestKind, NodeName};
use thiserror::Error;

/// A refusal. `Display` is the text of the reason phrase (or of stderr).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WorldError {
    /// 400 with `errors.{field}`.
    #[error("Parameter verification failed.")]
    Parameter {
        /// Name of the parameter.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// /etc/pve is read-only here.
    #[error("cluster not ready - no quorum?")]
    NoQuorum,
    /// A cluster lock cannot be taken.
    #[error("cfs-lock '{0}' error: no quorum!")]
    NoLock(String),
    /// A configuration file cannot be written.
    #[error("unable to open file '/etc/pve/{path}.tmp.{pid}' - Permission denied")]
    ReadOnly {
        /// File below /etc/pve.
        path: String,
        /// Writing process.
        pid: u32,
    },
    /// The guest's configuration is not on the node asked.
    #[error("Configuration file 'nodes/{node}/{}/{}.conf' does not exist", config_dir(.id), .id.vmid)]
    NotHere {
        /// The node that was asked.
        node: NodeName,
        /// Guest.
        id: GuestId,
    },
    /// The guest has a config lock.
    #[error("{} is locked ({lock})", match .kind { GuestKind::Vm => "VM", GuestKind::Ct => "CT" })]
    Locked {
        /// VM or container.
        kind: GuestKind,
        /// Name of the lock.
        lock: String,
    },
    /// The node is not in corosync.conf.
    #[error("no such cluster node '{0}'")]
    NoSuchNode(String),
    /// Not an HA resource.
    #[error("resource '{0}' is not HA managed!")]
    NotHaManaged(GuestId),
    /// An HA service in error state.
    #[error("service '{0}' in error state, must be disabled and fixed first")]
    HaError(GuestId),
    /// Cannot run on the machine now: it is off or unreachable (wire makes 595 of it).
    #[error("No route to host")]
    Unreachable(NodeName),
    /// Anything else for which PVE dies with a text (status 500).
    #[error("{0}")]
    Die(String),
}

fn config_dir(id: &GuestId) -> &'static str {
    match id.kind {
        GuestKind::Vm => "qemu-server",
        GuestKind::Ct => "lxc",
    }
}

impl WorldError {
    /// An error that dies with this text.
    pub fn die(text: impl Into<String>) -> Self {
        Self::Die(text.into())
    }

    /// The status code the API answers with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Parameter { .. } => 400,
            Self::Unreachable(_) => 595,
            _ => 500,
        }
    }
}
