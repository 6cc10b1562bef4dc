//! Automatic rebalancing: the master moves services on its own while the nodes are unevenly loaded.
//!
//! Models what a run has to expect: with `crs: ha=dynamic,ha-auto-rebalance=1` (PVE 9.2) a node that is being
//! emptied draws services back onto it. Rules are kept, and one service moves at a time. What it does not do: a node's
//! load is the memory of its running guests and nothing else, the settings for threshold, margin and method are PVE's
//! defaults, and under `ha=static` nothing is moved.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};

use super::placement::{Round, best_priority};
use super::{HaCommand, MoveKind, ServiceState};
use crate::World;

/// From here on the nodes are unevenly loaded: standard deviation divided by mean.
const THRESHOLD: f64 = 0.3;
/// The least improvement that a move has to bring.
const MARGIN: f64 = 0.1;
/// How many rounds in a row the imbalance must last.
const HOLD_ROUNDS: u32 = 3;

impl World {
    /// The scheduler's settings as written in `datacenter.cfg`; empty where there are none.
    pub fn scheduler_settings(&self) -> &str {
        let text = self.files.get("/etc/pve/datacenter.cfg").and_then(|file| file.text.as_deref()).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("crs: ")).unwrap_or_default()
    }

    fn rebalances(&self) -> bool {
        let has = |wanted: &str| self.scheduler_settings().split(',').any(|part| part == wanted);
        has("ha=dynamic") && has("ha-auto-rebalance=1")
    }

    /// At the end of a round: queues the move that helps most, if the nodes have been uneven for long enough.
    pub(super) fn rebalance(&mut self, round: &Round) {
        let best = if self.rebalances() && self.services_rest() { self.best_move(round) } else { None };
        let Some((sid, node)) = best else {
            self.ha.manager.uneven_rounds = 0;
            return;
        };
        self.ha.manager.uneven_rounds += 1;
        if self.ha.manager.uneven_rounds >= HOLD_ROUNDS {
            self.ha.manager.uneven_rounds = 0;
            self.crm_says(format!("auto rebalance - migrate {sid} to {node}"));
            self.ha.queue.push(HaCommand::Move { kind: MoveKind::Migrate, sid, node: node.to_string() });
        }
    }

    fn services_rest(&self) -> bool {
        let rests = |state| matches!(state, ServiceState::Started | ServiceState::Stopped);
        self.ha.queue.is_empty()
            && self.ha.manager.services.values().all(|service| rests(service.state) && service.command.is_none())
    }

    fn best_move(&self, round: &Round) -> Option<(GuestId, NodeName)> {
        let load = |node: &NodeName| {
            let memory_bytes = self.nodes.get(node).map_or(1, |machine| machine.memory_bytes);
            (node.clone(), self.node_committed_bytes(node) as f64 / memory_bytes as f64)
        };
        let loads: BTreeMap<NodeName, f64> = round.online.iter().map(load).collect();
        let now = imbalance(&loads);
        if now <= THRESHOLD {
            return None;
        }
        let mut best: Option<(f64, GuestId, NodeName)> = None;
        for (sid, service) in &self.ha.manager.services {
            if service.state != ServiceState::Started || !round.online.contains(&service.node) {
                continue;
            }
            for node in self.nodes_for(round, *sid) {
                let after = imbalance(&self.loads_after(&loads, *sid, &service.node, &node));
                if after <= now * (1.0 - MARGIN) && best.as_ref().is_none_or(|(known, ..)| after < *known) {
                    best = Some((after, *sid, node));
                }
            }
        }
        best.map(|(_, sid, node)| (sid, node))
    }

    /// Nodes a service may move to without breaking a rule or leaving the nodes that it prefers.
    fn nodes_for(&self, round: &Round, sid: GuestId) -> BTreeSet<NodeName> {
        let none = Vec::new();
        let mut nodes = best_priority(round.rules.get(&sid).unwrap_or(&none), &round.online);
        nodes.retain(|node| self.ha_blockers(sid, node).is_empty());
        nodes
    }

    fn loads_after(
        &self,
        loads: &BTreeMap<NodeName, f64>,
        sid: GuestId,
        from: &NodeName,
        to: &NodeName,
    ) -> BTreeMap<NodeName, f64> {
        let bytes = self.guests.get(&sid).map_or(0, |guest| guest.memory_bytes) as f64;
        let mut loads = loads.clone();
        for (node, sign) in [(from, -1.0), (to, 1.0)] {
            if let (Some(load), Some(machine)) = (loads.get_mut(node), self.nodes.get(node)) {
                *load += sign * bytes / machine.memory_bytes as f64;
            }
        }
        loads
    }
}

/// Standard deviation divided by mean; 0 where nothing runs.
fn imbalance(loads: &BTreeMap<NodeName, f64>) -> f64 {
    let count = loads.len() as f64;
    let mean = loads.values().sum::<f64>() / count;
    if loads.is_empty() || mean <= 0.0 {
        return 0.0;
    }
    let variance = loads.values().map(|load| (load - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt() / mean
}
