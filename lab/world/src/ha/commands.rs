//! Requests to HA: changes of resources, moves, maintenance. A request is only recorded: the master acts later.

use quorate_core::ids::{GuestId, NodeName, Upid};

use super::{HaCommand, MoveAnswer, MoveKind, Resource, ResourceChange, ServiceState};
use crate::events::Event;
use crate::migration::MigrateRequest;
use crate::{World, WorldError};

impl World {
    pub(super) fn ha_lock(&self, node: &NodeName) -> Result<(), WorldError> {
        if self.writable(node) { Ok(()) } else { Err(WorldError::NoLock("domain-ha".to_owned())) }
    }

    /// `POST /cluster/ha/resources/{sid}/{migrate,relocate}`. The target's name is not checked, as in PVE.
    pub fn ha_move(
        &mut self,
        node: &NodeName,
        sid: GuestId,
        kind: MoveKind,
        target: &str,
    ) -> Result<MoveAnswer, WorldError> {
        if !self.ha.resources.contains_key(&sid) {
            return Err(WorldError::NotHaManaged(sid));
        }
        if self.ha.manager.services.get(&sid).is_some_and(|service| service.state == ServiceState::Error) {
            return Err(WorldError::HaError(sid));
        }
        self.ha_lock(node)?;
        let target_node = NodeName::new(target);
        let answer = MoveAnswer { comigrated: self.ha_companions(sid), blocking: self.ha_blockers(sid, &target_node) };
        self.ha.queue.push(HaCommand::Move { kind, sid, node: target.to_owned() });
        Ok(answer)
    }

    /// `POST .../migrate` of a managed guest: a task that only writes the queue.
    pub(crate) fn request_ha_move(&mut self, node: &NodeName, id: GuestId, request: &MigrateRequest) -> Upid {
        let word = if id.kind == quorate_core::ids::GuestKind::Vm { "VM" } else { "CT" };
        let upid = self.new_task(node, "hamigrate", &id.vmid.to_string(), &request.user);
        let target = &request.target;
        self.task_says(&upid, format!("Requesting HA migration for {word} {} to node {target}", id.vmid));
        let status = match self.ha_move(node, id, MoveKind::Migrate, target) {
            Ok(answer) if answer.blocking.is_empty() => "OK".to_owned(),
            Ok(answer) => {
                self.ha.queue.pop();
                self.task_says(&upid, format!("cannot migrate resource '{id}' to node '{target}':"));
                self.task_says(&upid, "");
                for (other, _) in answer.blocking {
                    let why = format!("in negative affinity with resource '{id}'");
                    self.task_says(&upid, format!("- resource '{other}' on target node '{target}' {why}"));
                }
                format!("command 'ha-manager migrate {id} {target}' failed: exit code 2")
            }
            Err(error) => {
                self.task_says(&upid, error.to_string());
                format!("command 'ha-manager migrate {id} {target}' failed: exit code 255")
            }
        };
        self.events.at(self.now_ms + 900, Event::TaskEnds(upid.clone(), status));
        upid
    }

    /// `ha-manager crm-command node-maintenance enable|disable TARGET`.
    pub fn ha_maintenance(&mut self, node: &NodeName, target: &str, enable: bool) -> Result<(), WorldError> {
        let target = NodeName::new(target);
        if !self.nodes.contains_key(&target) {
            return Err(WorldError::NoSuchNode(target.to_string()));
        }
        self.ha_lock(node)?;
        self.ha.queue.push(match enable {
            true => HaCommand::EnableMaintenance(target),
            false => HaCommand::DisableMaintenance(target),
        });
        Ok(())
    }

    /// `POST /cluster/ha/resources`.
    pub fn ha_add(&mut self, node: &NodeName, sid: GuestId, resource: Resource) -> Result<(), WorldError> {
        if !self.guests.contains_key(&sid) {
            return Err(WorldError::die(format!("unable to find '{}' vmid '{}'", sid.kind.api(), sid.vmid)));
        }
        self.ha_lock(node)?;
        if self.ha.resources.contains_key(&sid) {
            return Err(WorldError::die(format!("resource ID '{sid}' already defined")));
        }
        self.ha.resources.insert(sid, resource);
        Ok(())
    }

    /// `PUT /cluster/ha/resources/{sid}`.
    pub fn ha_change(&mut self, node: &NodeName, sid: GuestId, change: ResourceChange) -> Result<(), WorldError> {
        self.ha_lock(node)?;
        let Some(resource) = self.ha.resources.get_mut(&sid) else {
            return Err(WorldError::die(format!("no such resource '{sid}'")));
        };
        let ResourceChange { state, max_restart, max_relocate, failback, comment } = change;
        resource.state = state.unwrap_or(resource.state);
        resource.max_restart = max_restart.unwrap_or(resource.max_restart);
        resource.max_relocate = max_relocate.unwrap_or(resource.max_relocate);
        resource.failback = failback.unwrap_or(resource.failback);
        if comment.is_some() {
            resource.comment = comment;
        }
        Ok(())
    }

    /// `DELETE /cluster/ha/resources/{sid}`.
    pub fn ha_remove(&mut self, node: &NodeName, sid: GuestId) -> Result<(), WorldError> {
        self.ha_lock(node)?;
        if self.ha.resources.remove(&sid).is_none() {
            return Err(WorldError::die(format!("cannot delete service '{sid}', not HA managed!")));
        }
        for rule in self.ha.rules.values_mut() {
            rule.resources.remove(&sid);
        }
        self.ha.rules.retain(|_, rule| !rule.resources.is_empty());
        Ok(())
    }
}
