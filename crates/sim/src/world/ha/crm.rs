//! The master's round: node states, the command queue, each service's state machine. One every ten seconds.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

use super::{HaCommand, LrmMode, LrmState, MoveKind, NodeStatus, RequestState, Service, ServiceState};
use crate::oracle;
use crate::world::World;
use crate::world::events::Event;

const ROUND_MS: u64 = 10_000;
/// How long a lock is held after its last renewal.
pub(super) const LOCK_MS: u64 = 120_000;
/// How long a node must be unseen before it is fenced.
const FENCE_DELAY_MS: u64 = 60_000;

impl World {
    /// HA at rest when the world begins.
    pub(crate) fn ha_settle(&mut self) {
        let now_ms = self.now_ms;
        self.ha.manager.master = self.nodes.keys().next().cloned();
        self.ha.manager.timestamp_ms = now_ms;
        self.ha.manager.lock_until_ms = now_ms + LOCK_MS;
        for node in self.nodes.keys() {
            self.ha.manager.node_status.insert(node.clone(), NodeStatus::Online);
            self.ha.manager.online_last_ms.insert(node.clone(), now_ms);
            self.ha.lrm.insert(node.clone(), crate::world::build::idle_lrm(now_ms));
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

    /// The master goes down orderly: another may take over at once.
    pub(crate) fn release_manager_lock(&mut self, node: &NodeName) {
        if self.ha.manager.master.as_ref() == Some(node) {
            self.ha.manager.master = None;
            self.ha.manager.lock_until_ms = self.now_ms;
        }
    }

    /// One round, if there is a master with quorum.
    pub(crate) fn on_crm_round(&mut self) {
        self.events.at(self.now_ms + ROUND_MS, Event::CrmRound);
        let Some(master) = self.current_master() else { return };
        self.ha.manager.timestamp_ms = self.now_ms;
        self.ha.manager.lock_until_ms = self.now_ms + LOCK_MS;
        let members = self.corosync.views.get(&master).map(|view| view.members.clone()).unwrap_or_default();
        self.update_nodes(&members);
        self.take_commands();
        self.sync_resources();
        let mut round = self.begin_round();
        for sid in self.ha.manager.services.keys().copied().collect::<Vec<_>>() {
            self.service_round(&mut round, sid);
        }
        self.publish();
    }

    /// What the LRMs will read: services by node.
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
        up && self.corosync.quorate(node)
    }

    fn current_master(&mut self) -> Option<NodeName> {
        if let Some(master) = self.ha.manager.master.clone()
            && self.can_be_master(&master)
        {
            return Some(master);
        }
        if self.now_ms < self.ha.manager.lock_until_ms {
            return None;
        }
        let next = self.nodes.keys().find(|node| {
            let api = self.nodes.get(*node).is_some_and(|machine| machine.api_up);
            api && self.can_be_master(node)
        });
        self.ha.manager.master = next.cloned();
        if let Some(next) = &self.ha.manager.master {
            let line = format!("successfully acquired lock 'ha_manager_lock', status change slave => master on {next}");
            self.crm_says(line);
        }
        self.ha.manager.master.clone()
    }

    fn update_nodes(&mut self, members: &BTreeSet<NodeName>) {
        let mut active: BTreeMap<NodeName, u32> = BTreeMap::new();
        for service in self.ha.manager.services.values().filter(|service| holds_node(service.state)) {
            *active.entry(service.node.clone()).or_default() += 1;
        }
        for node in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let status = self.ha.manager.node_status.get(&node).copied().unwrap_or(NodeStatus::Unknown);
            let next = self.next_status(&node, status, members.contains(&node), active.contains_key(&node));
            if next == status {
                continue;
            }
            self.crm_says(format!("node '{node}': state changed from '{}' => '{}'", status.as_str(), next.as_str()));
            self.ha.manager.node_status.insert(node.clone(), next);
            match next {
                NodeStatus::Fence => self.fence_services(&node),
                NodeStatus::Maintenance => oracle::node_taken_out(self, &node, "maintenance mode"),
                NodeStatus::Unknown if status == NodeStatus::Fence => self.recover_services(&node),
                _ => {}
            }
        }
    }

    fn next_status(&mut self, node: &NodeName, status: NodeStatus, online: bool, active: bool) -> NodeStatus {
        let now_ms = self.now_ms;
        if online {
            self.ha.manager.online_last_ms.insert(node.clone(), now_ms);
        }
        let seen_ms = self.ha.manager.online_last_ms.get(node).copied().unwrap_or(now_ms);
        let asked =
            self.ha.manager.maintenance_requests.contains(node) || self.ha.manager.shutdown_maintenance.contains(node);
        let Some(lrm) = self.ha.lrm.get(node) else { return status };
        let in_mode = lrm.running && lrm.mode == LrmMode::Maintenance;
        match (status, online) {
            (NodeStatus::Fence, _) if now_ms >= lrm.lock_until_ms => NodeStatus::Unknown,
            (NodeStatus::Fence, _) => NodeStatus::Fence,
            (NodeStatus::Online | NodeStatus::Unknown, true) if in_mode => NodeStatus::Maintenance,
            (NodeStatus::Unknown, true) => NodeStatus::Online,
            (NodeStatus::Maintenance, true) if !asked && lrm.running && !in_mode => NodeStatus::Online,
            (NodeStatus::Online, false) => NodeStatus::Unknown,
            (NodeStatus::Unknown | NodeStatus::Maintenance, false) if active && now_ms >= seen_ms + FENCE_DELAY_MS => {
                NodeStatus::Fence
            }
            (same, _) => same,
        }
    }

    fn fence_services(&mut self, node: &NodeName) {
        let there = self.ha.manager.services.iter().filter(|(_, s)| s.node == *node && holds_node(s.state));
        for sid in there.map(|(sid, _)| *sid).collect::<Vec<_>>() {
            self.set_service_state(sid, ServiceState::Fence, None);
        }
    }

    fn recover_services(&mut self, node: &NodeName) {
        let line = format!("fencing: acknowledged - got agent lock for node '{node}'");
        self.crm_says(line);
        let there = self.ha.manager.services.iter();
        let there = there.filter(|(_, s)| s.node == *node && s.state == ServiceState::Fence);
        for sid in there.map(|(sid, _)| *sid).collect::<Vec<_>>() {
            self.set_service_state(sid, ServiceState::Recovery, None);
        }
    }

    fn take_commands(&mut self) {
        for command in std::mem::take(&mut self.ha.queue) {
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

    /// Resources that came, went, or are ignored now.
    fn sync_resources(&mut self) {
        for sid in self.ha.resources.keys().copied().collect::<Vec<_>>() {
            self.adopt(sid);
        }
        let resources = &self.ha.resources;
        let kept = |sid: &GuestId| resources.get(sid).is_some_and(|r| r.state != RequestState::Ignored);
        self.ha.manager.services.retain(|sid, _| kept(sid));
    }
}

/// States in which a lost node must be fenced before the service may start elsewhere.
fn holds_node(state: ServiceState) -> bool {
    !matches!(
        state,
        ServiceState::Stopped
            | ServiceState::Freeze
            | ServiceState::Error
            | ServiceState::Fence
            | ServiceState::Recovery
    )
}
