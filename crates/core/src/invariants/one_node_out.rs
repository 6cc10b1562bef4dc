//! At most one node is out: in maintenance, being upgraded or offline, no matter who took it out.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, is_upgrading};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::NodeName;
use crate::snapshot::{GoingDown, HaNodeState, LrmMode, Node, Snapshot};

/// `one-node-out`. While a node is being upgraded, it is the only one that may be out. An administrator's own
/// maintenance of another node is respected: it has to end first.
pub struct OneNodeOut;

/// Nodes that are out, besides the one that may be.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodesOut {
    #[error("{node}{} is {how}", if *.current_node { " (the current node)" } else { "" })]
    Out { node: NodeName, how: HowOut, current_node: bool },
    #[error("only {node} may be out: it is the current node")]
    OnlyThisMayBe { node: NodeName },
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// In which way a node is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HowOut {
    #[error("offline")]
    Offline,
    #[error("having its packages upgraded")]
    Upgrading,
    #[error("in HA maintenance mode")]
    Maintenance,
    #[error("not seen by the HA manager")]
    NotSeenByHa,
    #[error("being fenced")]
    Fenced,
    #[error("going down: its pve-ha-lrm is stopping or stopped")]
    GoingDown,
    #[error("going down, or somebody stops all its guests")]
    StoppingItsGuests,
    #[error("going down: its systemd is stopping")]
    SystemStops,
    #[error("about to go down: a shutdown is scheduled there (see: shutdown --show)")]
    ShutdownScheduled,
    #[error("having its packages changed by another hand: dpkg or apt is at work there")]
    PackagesAtWork,
}

impl Invariant for OneNodeOut {
    type Evidence = NodesOut;

    fn id(&self) -> &'static str {
        "one-node-out"
    }

    fn why(&self) -> &'static str {
        "A cluster is built to survive the loss of one node. With a second one out, quorum, room for guests or copies \
         of data may be gone, and nothing is left for a failure."
    }

    fn explain(&self) -> &'static str {
        "At most one node is out: in HA maintenance mode, having its packages upgraded, on its way down, or offline, \
         regardless of who took it out. A node that is shut down or rebooted is a member for another minute; that it is \
         on its way down is seen before: in its pve-ha-lrm, in systemd, in a shutdown that is scheduled, and in the task \
         that stops its guests. A node on which dpkg or apt is at work, regardless of who started it, may restart \
         anything. While a node is being worked on it is the only one that may be out. An administrator's own \
         maintenance of another node is respected: the run waits until it ends."
    }

    fn remedy(&self) -> &'static str {
        "Bring the node back first: boot it and look at corosync there, or end its maintenance (ha-manager crm-command \
         node-maintenance disable NODE), let apt finish there, take a scheduled shutdown back (shutdown -c), or start \
         the service that is stopped (systemctl start pve-ha-lrm). One that never returns is removed for good: pvecm \
         delnode NODE"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<NodesOut> {
        let mut findings = Findings::new();
        let mut out: Vec<(&NodeName, HowOut)> = Vec::new();
        for node in snapshot.nodes.values() {
            if let Some(how) = how_out(snapshot, node, &mut findings) {
                out.push((&node.name, how));
            }
        }
        findings.read(&snapshot.ha);
        let allowed = |name: &NodeName| context.current_node.as_ref().is_some_and(|work| work == name);
        let too_many = match &context.current_node {
            Some(_) => out.iter().any(|(name, _)| !allowed(name)),
            None => out.len() > 1,
        };
        if too_many {
            for (name, how) in &out {
                let node = (*name).clone();
                findings.broken(NodesOut::Out { node, how: *how, current_node: allowed(name) });
            }
            if let Some(work) = context.current_node.as_ref().filter(|work| !out.iter().any(|(name, _)| name == work)) {
                findings.broken(NodesOut::OnlyThisMayBe { node: work.clone() });
            }
        }
        findings.outcome()
    }
}

fn how_out(snapshot: &Snapshot, node: &Node, findings: &mut Findings<NodesOut>) -> Option<HowOut> {
    if !*findings.read(&node.online)? {
        return Some(HowOut::Offline);
    }
    if is_upgrading(node, findings) {
        return Some(HowOut::Upgrading);
    }
    if let Some(how) = findings.read(&node.going_down).copied().flatten() {
        return Some(match how {
            GoingDown::Now => HowOut::SystemStops,
            GoingDown::Later => HowOut::ShutdownScheduled,
        });
    }
    if findings.read(&node.packages).is_some_and(|packages| packages.locked) {
        return Some(HowOut::PackagesAtWork);
    }
    let ha = snapshot.ha.known()?;
    if ha.maintenance_requested.contains(&node.name) {
        return Some(HowOut::Maintenance);
    }
    match ha.nodes.get(&node.name) {
        None | Some(HaNodeState::Online | HaNodeState::Gone) => on_its_way_down(snapshot, node),
        Some(HaNodeState::Maintenance) => Some(HowOut::Maintenance),
        Some(HaNodeState::Unknown) => Some(HowOut::NotSeenByHa),
        Some(HaNodeState::Fence) => Some(HowOut::Fenced),
    }
}

/// A node that shuts down is a member for as long as its guests take to stop. Its LRM is told first (pve-ha-manager:
/// mode `restart` or `shutdown` until it starts again), and pve-guests stops what is left by a task.
fn on_its_way_down(snapshot: &Snapshot, node: &Node) -> Option<HowOut> {
    let lrm = snapshot.ha.known().and_then(|ha| ha.lrm.get(&node.name));
    if lrm.is_some_and(|lrm| matches!(lrm.mode, LrmMode::Restart | LrmMode::Shutdown)) {
        return Some(HowOut::GoingDown);
    }
    let mut jobs = snapshot.jobs.known().into_iter().flatten().filter(|job| job.node == node.name);
    jobs.any(|job| matches!(job.kind.0.as_str(), "stopall" | "suspendall")).then_some(HowOut::StoppingItsGuests)
}
