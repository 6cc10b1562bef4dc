//! The master's view of the nodes: online, in maintenance, unknown, fenced; and the consequences for their services.

use std::collections::BTreeSet;

use quorate_core::ids::NodeName;

use super::{LrmMode, NodeStatus, ServiceState};
use crate::World;
use crate::safety_checker;

/// How long this master must not have seen a node before the node is fenced.
const FENCE_DELAY_MS: u64 = 60_000;

impl World {
    pub(super) fn update_nodes(&mut self, members: &BTreeSet<NodeName>) {
        let armed = self.ha.manager.disarm.is_none();
        let holding = self.ha.manager.services.values().filter(|service| armed && holds_node(service.state));
        let active: BTreeSet<NodeName> = holding.map(|service| service.node.clone()).collect();
        for node in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let status = self.ha.manager.node_status.get(&node).copied().unwrap_or(NodeStatus::Unknown);
            let present = members.contains(&node);
            let next = self.next_status(&node, status, present, active.contains(&node));
            self.node_becomes(&node, status, next);
            // A lock that has already expired is taken in the same round.
            if next == NodeStatus::Fence {
                let acknowledged = self.next_status(&node, next, present, true);
                self.node_becomes(&node, next, acknowledged);
            }
        }
    }

    fn node_becomes(&mut self, node: &NodeName, from: NodeStatus, to: NodeStatus) {
        if from == to {
            return;
        }
        self.crm_says(format!("node '{node}': state changed from '{}' => '{}'", from.as_str(), to.as_str()));
        self.ha.manager.node_status.insert(node.clone(), to);
        match to {
            NodeStatus::Fence => self.fence_services(node),
            NodeStatus::Maintenance => safety_checker::node_taken_out(self, node, "maintenance mode"),
            NodeStatus::Unknown if from == NodeStatus::Fence => self.recover_services(node),
            _ => {}
        }
    }

    fn next_status(&mut self, node: &NodeName, status: NodeStatus, online: bool, active: bool) -> NodeStatus {
        let now_ms = self.now_ms;
        if online {
            self.ha.manager.online_last_ms.insert(node.clone(), now_ms);
        }
        let seen_ms = *self.ha.manager.online_last_ms.entry(node.clone()).or_insert(now_ms);
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
