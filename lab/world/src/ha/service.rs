//! The state machine of one service, as the master drives it once a round.

use quorate_core::ids::{GuestId, GuestKind, NodeName};

use super::placement::Round;
use super::{LrmMode, MoveKind, NodeStatus, RequestState, Service, ServiceState};
use crate::World;

impl World {
    pub(super) fn service_round(&mut self, round: &mut Round, sid: GuestId) {
        self.find_again(sid);
        let Some(service) = self.ha.manager.services.get(&sid).cloned() else { return };
        let wanted = self.ha.resources.get(&sid).map_or(RequestState::Ignored, |resource| resource.state);
        let start = wanted == RequestState::Started;
        match service.state {
            ServiceState::RequestStart => {
                let node = self.select_node(round, sid);
                if node.as_ref() == Some(&service.node) {
                    self.set_service_state(sid, ServiceState::Started, None);
                } else if let Some(node) = node {
                    self.begin_move(round, sid, MoveKind::Relocate, node);
                }
            }
            ServiceState::Stopped if start => self.set_service_state(sid, ServiceState::RequestStart, None),
            ServiceState::Stopped => self.stopped_round(round, sid, &service),
            ServiceState::RequestStop => {
                if self.take_result(&service) == Some(0) {
                    self.set_service_state(sid, ServiceState::Stopped, None);
                }
            }
            ServiceState::Started => self.started_round(round, sid, &service, start),
            ServiceState::Migrate | ServiceState::Relocate => self.moving_round(sid, &service, start),
            ServiceState::Recovery => self.recovery_round(round, sid, start),
            ServiceState::Freeze => {
                let back = self.ha.lrm.get(&service.node).is_some_and(|lrm| lrm.running && lrm.mode == LrmMode::Active);
                if back && self.ha.manager.node_status.get(&service.node) == Some(&NodeStatus::Online) {
                    let state = if start { ServiceState::Started } else { ServiceState::RequestStop };
                    self.set_service_state(sid, state, None);
                }
            }
            ServiceState::Error if wanted == RequestState::Disabled => {
                self.set_service_state(sid, ServiceState::RequestStop, None);
            }
            ServiceState::Fence | ServiceState::Error => {}
        }
    }

    /// A move may have ended while no LRM was there to report it: the service is where its configuration lies.
    fn find_again(&mut self, sid: GuestId) {
        let Some(home) = self.guests.get(&sid).map(|guest| guest.node.clone()) else { return };
        let Some(service) = self.ha.manager.services.get_mut(&sid).filter(|service| service.node != home) else {
            return;
        };
        let moving = matches!(service.state, ServiceState::Migrate | ServiceState::Relocate | ServiceState::Fence);
        if !moving && !self.migrations.running.contains_key(&sid) {
            service.node = home.clone();
            self.crm_says(format!("service '{sid}' is on node '{home}'"));
        }
    }

    /// A stopped service moves only on command.
    fn stopped_round(&mut self, round: &mut Round, sid: GuestId, service: &Service) {
        if let Some((kind, target)) = service.command.clone() {
            self.begin_move(round, sid, kind, target);
        }
    }

    fn started_round(&mut self, round: &mut Round, sid: GuestId, service: &Service, start: bool) {
        let status = self.ha.manager.node_status.get(&service.node).copied();
        let lrm_mode = self.ha.lrm.get(&service.node).map(|lrm| (lrm.running, lrm.mode));
        if !start {
            return self.set_service_state(sid, ServiceState::RequestStop, None);
        }
        if matches!(lrm_mode, Some((_, LrmMode::Restart))) {
            return self.set_service_state(sid, ServiceState::Freeze, None);
        }
        if !matches!(status, Some(NodeStatus::Online | NodeStatus::Maintenance))
            || matches!(lrm_mode, Some((_, LrmMode::Shutdown)) | Some((false, _)))
        {
            return;
        }
        // It will return to the node where it is now, wherever it came from.
        if let Some(entry) = self.ha.manager.services.get_mut(&sid).filter(|_| status == Some(NodeStatus::Maintenance))
        {
            entry.maintenance_node = Some(service.node.clone());
        }
        if let Some((kind, target)) = service.command.clone() {
            if round.online.contains(&target) {
                return self.begin_move(round, sid, kind, target);
            }
            self.clear_command(sid);
        }
        match self.take_result(service) {
            Some(0) => self.mark_running(sid),
            Some(_) => return self.start_failed(round, sid, service),
            None => {}
        }
        match self.select_node(round, sid) {
            Some(best) if best != service.node => {
                match self.ha.manager.services.get(&sid).and_then(|service| service.maintenance_node.clone()) {
                    Some(home) if home == best => {
                        let why = "node came back from maintenance.";
                        self.crm_says(format!("moving service '{sid}' back to '{best}', {why}"));
                        // Forgotten as soon as the move back begins, as recorded on a genuine cluster.
                        self.at_home_again(sid);
                    }
                    Some(home) if home != service.node => {
                        self.crm_says(format!("dropping maintenance fallback node '{home}' for '{sid}'"));
                        self.at_home_again(sid);
                    }
                    _ => {}
                }
                self.begin_move(round, sid, MoveKind::Migrate, best);
            }
            _ => {
                if service.maintenance_node.as_ref() == Some(&service.node) && status == Some(NodeStatus::Online) {
                    self.at_home_again(sid);
                }
            }
        }
    }

    fn at_home_again(&mut self, sid: GuestId) {
        if let Some(service) = self.ha.manager.services.get_mut(&sid) {
            service.maintenance_node = None;
        }
    }

    fn mark_running(&mut self, sid: GuestId) {
        if let Some(service) = self.ha.manager.services.get_mut(&sid) {
            service.running = true;
            service.failures = 0;
            service.failed_nodes.clear();
        }
    }

    fn clear_command(&mut self, sid: GuestId) {
        if let Some(service) = self.ha.manager.services.get_mut(&sid) {
            service.command = None;
        }
    }

    /// `migrate` for a running VM, `relocate` (stop, move, start) for the rest.
    fn begin_move(&mut self, round: &mut Round, sid: GuestId, kind: MoveKind, target: NodeName) {
        self.clear_command(sid);
        let live = kind == MoveKind::Migrate
            && sid.kind == GuestKind::Vm
            && self.guests.get(&sid).is_some_and(|guest| guest.is_running());
        *round.load.entry(target.clone()).or_default() += 1;
        let state = if live { ServiceState::Migrate } else { ServiceState::Relocate };
        self.set_service_state(sid, state, Some(target));
    }

    fn start_failed(&mut self, round: &mut Round, sid: GuestId, service: &Service) {
        let limits = self.ha.resources.get(&sid).map_or((1, 1), |r| (r.max_restart, r.max_relocate));
        let Some(entry) = self.ha.manager.services.get_mut(&sid) else { return };
        entry.failures += 1;
        if entry.failures <= limits.0 {
            return self.set_service_state(sid, ServiceState::Started, None);
        }
        entry.failures = 0;
        entry.failed_nodes.push(service.node.clone());
        let tried = entry.failed_nodes.len() as u32;
        let mut others = round.online.iter().filter(|node| !entry.failed_nodes.contains(node));
        match others.next().cloned().filter(|_| tried <= limits.1) {
            Some(next) => self.begin_move(round, sid, MoveKind::Relocate, next),
            None => self.set_service_state(sid, ServiceState::Error, None),
        }
    }

    pub(super) fn moving_round(&mut self, sid: GuestId, service: &Service, start: bool) {
        let Some(code) = self.take_result(service) else { return };
        let arrived = if code == 0 { service.target.clone() } else { None };
        if arrived.is_none() {
            self.crm_says(format!("service '{sid}' - migration failed (exit code {code})"));
        }
        if let Some(entry) = self.ha.manager.services.get_mut(&sid) {
            if let Some(node) = arrived {
                entry.node = node;
            }
            if entry.maintenance_node.as_ref() == Some(&entry.node)
                && self.ha.manager.node_status.get(&entry.node) == Some(&NodeStatus::Online)
            {
                entry.maintenance_node = None;
            }
        }
        let state = if start { ServiceState::Started } else { ServiceState::RequestStop };
        self.set_service_state(sid, state, None);
    }

    fn recovery_round(&mut self, round: &mut Round, sid: GuestId, start: bool) {
        let Some(node) = self.select_node(round, sid) else { return };
        self.crm_says(format!("recover service '{sid}' from fenced node to node '{node}'"));
        self.config_moves(sid, &node);
        if let Some(guest) = self.guests.get_mut(&sid) {
            guest.lock = None;
        }
        *round.load.entry(node.clone()).or_default() += 1;
        if let Some(service) = self.ha.manager.services.get_mut(&sid) {
            service.node = node;
        }
        let state = if start { ServiceState::Started } else { ServiceState::RequestStop };
        self.set_service_state(sid, state, None);
    }

    /// What the LRM reported for the service's present uid.
    fn take_result(&mut self, service: &Service) -> Option<i32> {
        let lrm = self.ha.lrm.get_mut(&service.node)?;
        lrm.results.remove(&service.uid).map(|result| result.exit_code)
    }
}
