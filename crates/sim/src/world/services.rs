//! Services of a node: start, stop, restart, and what hangs on them.

use quorate_core::ids::{NodeName, Upid};

use super::{World, WorldError};

/// What to do with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceAction {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Restart.
    Restart,
    /// Reload.
    Reload,
}

impl World {
    /// `POST /nodes/N/services/S/ACTION` and `systemctl ACTION S`.
    pub fn service(
        &mut self,
        node: &NodeName,
        service: &str,
        action: ServiceAction,
        user: &str,
    ) -> Result<Upid, WorldError> {
        let _ = (node, service, action, user);
        Err(WorldError::die("not yet"))
    }
}
