//! The master's round: node states, the command queue, each service's state machine. There is one every ten seconds.

use quorate_core::ids::{GuestId, NodeName};

use super::{Disarm, HaCommand, LrmState, MoveKind, NodeStatus, RequestState, Service, ServiceState};
use crate::World;
use crate::events::Event;

const ROUND_MS: u64 = 10_000;
/// How long a lock is held after its last renewal.
pub(super) const LOCK_MS: u64 = 120_000;

impl World {
    /// HA at rest, as when the world starts.
    pub(crate) fn ha_settle(&mut self) {
        let now_ms = self.now_ms;
        self.ha.manager.master = self.nodes.keys().next().cloned();
        self.ha.manager.timestamp_ms = now_ms;
        self.ha.manager.lock_until_ms = now_ms + LOCK_MS;
        self.ha.groups_became_rules = self.all_nodes_read_rules();
        for node in self.nodes.keys() {
            self.ha.manager.node_status.insert(node.clone(), NodeStatus::Online);
            self.ha.manager.online_last_ms.insert(node.clone(), now_ms);
            self.ha.lrm.insert(node.clone(), crate::ha::idle_lrm(now_ms));
        }
        for sid in self.ha.resources.keys().copied().collect::<Vec<_>>() {
            self.adopt(sid);
            let Some(service) = self.ha.manager.services.get_mut(&sid) else { continue };
            service.running = self.guests.get(&sid).is_some_and(|guest| guest.is_running());
            service.state = if service.running { ServiceState::Started } else { ServiceState::Stopped };
            if let Some(lrm) = self.ha.lrm.get_mut(&service.node) {
                lrm.state = LrmState::Active;
                lrm.lock_until_ms = now_ms + LOCK_MS;
            }
        }
        self.publish();
    }

    /// A new resource becomes a service.
    fn adopt(&mut self, sid: GuestId) {
        let Some(resource) = self.ha.resources.get(&sid) else { return };
        let Some(guest) = self.guests.get(&sid) else { return };
        if resource.state == RequestState::Ignored || self.ha.manager.services.contains_key(&sid) {
            return;
        }
        let state = if resource.state == RequestState::Started {
            ServiceState::RequestStart
        } else {
            ServiceState::RequestStop
        };
        let service = Service {
            node: guest.node.clone(),
            state,
            target: None,
            maintenance_node: None,
            uid: String::new(),
            running: guest.is_running(),
            command: None,
            failed_nodes: Vec::new(),
            failures: 0,
        };
        self.ha.manager.services.insert(sid, service);
        self.set_service_state(sid, state, None);
    }

    /// Changes a service's state; the LRM gets a new uid to answer to.
    pub(super) fn set_service_state(&mut self, sid: GuestId, state: ServiceState, target: Option<NodeName>) {
        let uid = format!("{:016x}", self.rng.next_u64());
        if let Some(service) = self.ha.manager.services.get_mut(&sid) {
            let old = service.state;
            service.state = state;
            service.target = target;
            service.uid = uid;
            if old == state {
                return;
            }
            let to = service.target.as_ref().map(|node| format!(" (target = {node})")).unwrap_or_default();
            let line = format!("service '{sid}': state changed from '{}' to '{}'{to}", old.as_str(), state.as_str());
            self.ha.syslog.push((self.now_ms, line));
        }
    }

    pub(super) fn crm_says(&mut self, line: String) {
        self.ha.syslog.push((self.now_ms, line));
        // The journal is bounded, like everything else.
        if self.ha.syslog.len() > 5_000 {
            self.ha.syslog.drain(..1_000);
        }
    }

    /// The master goes down in an orderly way: another may take over at once.
    pub(crate) fn release_manager_lock(&mut self, node: &NodeName) {
        if self.ha.manager.master.as_ref() == Some(node) {
            self.ha.manager.lock_until_ms = self.now_ms;
        }
    }

    /// One round, if there is a master with quorum.
    pub(crate) fn on_crm_round(&mut self) {
        self.events.at(self.now_ms + ROUND_MS, Event::CrmRound);
        self.ceph_looks_at_clocks();
        let Some(master) = self.current_master() else { return };
        self.ha.manager.timestamp_ms = self.clock_ms(&master);
        self.ha.manager.lock_until_ms = self.now_ms + LOCK_MS;
        let members = self.corosync.views.get(&master).map(|view| view.members.clone()).unwrap_or_default();
        self.update_nodes(&members);
        self.take_commands();
        self.sync_resources();
        if self.ha.manager.disarm.is_some() {
            self.disarmed_round();
            return self.publish();
        }
        self.groups_may_become_rules();
        let mut round = self.begin_round();
        for sid in self.ha.manager.services.keys().copied().collect::<Vec<_>>() {
            self.service_round(&mut round, sid);
        }
        self.rebalance(&round);
        self.publish();
    }

    /// Writes what the LRMs will read: services by node.
    fn publish(&mut self) {
        let manager = &mut self.ha.manager;
        manager.by_node.clear();
        manager.targets.clear();
        for (sid, service) in &manager.services {
            manager.by_node.entry(service.node.clone()).or_default().push(*sid);
            manager.targets.extend(service.target.clone());
        }
    }

    fn can_be_master(&self, node: &NodeName) -> bool {
        let up = self.nodes.get(node).is_some_and(|machine| {
            machine.is_up() && machine.services.get("pve-ha-crm").is_some_and(|s| s.active_state == "active")
        });
        up && self.writable(node)
    }

    fn current_master(&mut self) -> Option<NodeName> {
        if self.now_ms < self.ha.manager.lock_until_ms {
            return self.ha.manager.master.clone().filter(|master| self.can_be_master(master));
        }
        let next = self.nodes.keys().find(|node| {
            let api = self.nodes.get(*node).is_some_and(|machine| machine.api_up);
            api && self.can_be_master(node)
        });
        let next = next?.clone();
        // The new master starts its own wait for each node that it has not seen yet.
        self.ha.manager.online_last_ms.clear();
        self.crm_says(format!("successfully acquired lock 'ha_manager_lock', status change slave => master on {next}"));
        self.ha.manager.master = Some(next.clone());
        Some(next)
    }

    fn take_commands(&mut self) {
        for command in std::mem::take(&mut self.ha.queue) {
            let refused = match &command {
                HaCommand::Arm | HaCommand::Disarm(_) | HaCommand::Stop { .. } => None,
                HaCommand::Move { sid, node, .. } => Some(format!("move {sid} {node}")),
                HaCommand::EnableMaintenance(node) => Some(format!("enable-node-maintenance {node}")),
                HaCommand::DisableMaintenance(node) => Some(format!("disable-node-maintenance {node}")),
            };
            if let Some(text) = refused.filter(|_| self.ha.manager.disarm.is_some()) {
                self.crm_says(format!("crm command error - HA is disarmed: {text}"));
                continue;
            }
            match command {
                HaCommand::Move { kind, sid, node } => self.take_move(kind, sid, &node),
                HaCommand::Stop { sid, .. } => {
                    if let Some(resource) = self.ha.resources.get_mut(&sid) {
                        resource.state = RequestState::Stopped;
                    }
                }
                HaCommand::EnableMaintenance(node) => {
                    match self.ha.manager.node_status.get(&node) {
                        Some(NodeStatus::Online) => {
                            self.ha.manager.maintenance_requests.insert(node);
                        }
                        Some(NodeStatus::Maintenance) => {}
                        _ => self
                            .crm_says(format!("crm command error - node not online: enable-node-maintenance {node}")),
                    };
                }
                HaCommand::DisableMaintenance(node) => {
                    self.ha.manager.maintenance_requests.remove(&node);
                }
                HaCommand::Disarm(mode) => {
                    self.ha.manager.disarm.get_or_insert(Disarm { mode, complete: false });
                }
                HaCommand::Arm => self.ha.manager.disarm = None,
            }
        }
    }

    fn take_move(&mut self, kind: MoveKind, sid: GuestId, target: &str) {
        let word = match kind {
            MoveKind::Migrate => "migrate",
            MoveKind::Relocate => "relocate",
        };
        let text = format!("{word} {sid} {target}");
        let node = NodeName::new(target);
        if self.ha.manager.node_status.get(&node) != Some(&NodeStatus::Online) {
            return self.crm_says(format!("crm command error - node not online: {text}"));
        }
        let Some(service) = self.ha.manager.services.get(&sid) else {
            return self.crm_says(format!("crm command error - no such service: {text}"));
        };
        if service.node == node {
            return self.crm_says(format!("ignore crm command - service already on target node: {text}"));
        }
        if let Some((other, cause)) = self.ha_blockers(sid, &node).into_iter().next() {
            return self.crm_says(format!("crm command '{text}' error - '{other}' in the way ({cause})"));
        }
        self.crm_says(format!("got crm command: {text}"));
        for mover in std::iter::once(sid).chain(self.ha_companions(sid)) {
            if let Some(service) = self.ha.manager.services.get_mut(&mover) {
                service.command = Some((kind, node.clone()));
            }
        }
    }

    /// Handles resources that were added, removed, or are now ignored.
    fn sync_resources(&mut self) {
        for sid in self.ha.resources.keys().copied().collect::<Vec<_>>() {
            self.adopt(sid);
        }
        let resources = &self.ha.resources;
        let kept = |sid: &GuestId| resources.get(sid).is_some_and(|r| r.state != RequestState::Ignored);
        self.ha.manager.services.retain(|sid, _| kept(sid));
    }
}
