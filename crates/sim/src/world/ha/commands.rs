//! What a caller can ask of HA: changes of resources, moves, maintenance.

use quorate_core::ids::{GuestId, NodeName};

use super::{MoveAnswer, MoveKind, Resource, ResourceChange};
use crate::world::{World, WorldError};

impl World {
    /// `POST /cluster/ha/resources/{sid}/{migrate,relocate}`.
    pub fn ha_move(
        &mut self,
        node: &NodeName,
        sid: GuestId,
        kind: MoveKind,
        target: &str,
    ) -> Result<MoveAnswer, WorldError> {
        let _ = (node, sid, kind, target);
        Err(WorldError::die("not yet"))
    }

    /// `ha-manager crm-command node-maintenance enable|disable TARGET`.
    pub fn ha_maintenance(&mut self, node: &NodeName, target: &str, enable: bool) -> Result<(), WorldError> {
        let _ = (node, target, enable);
        Err(WorldError::die("not yet"))
    }

    /// `POST /cluster/ha/resources`.
    pub fn ha_add(&mut self, node: &NodeName, sid: GuestId, resource: Resource) -> Result<(), WorldError> {
        let _ = (node, sid, resource);
        Err(WorldError::die("not yet"))
    }

    /// `PUT /cluster/ha/resources/{sid}`.
    pub fn ha_change(&mut self, node: &NodeName, sid: GuestId, change: ResourceChange) -> Result<(), WorldError> {
        let _ = (node, sid, change);
        Err(WorldError::die("not yet"))
    }

    /// `DELETE /cluster/ha/resources/{sid}`.
    pub fn ha_remove(&mut self, node: &NodeName, sid: GuestId) -> Result<(), WorldError> {
        let _ = (node, sid);
        Err(WorldError::die("not yet"))
    }
}
