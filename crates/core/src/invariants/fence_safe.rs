//! No node with an armed HA watchdog is without quorum.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, online_nodes};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::NodeName;
use crate::snapshot::{ArmedState, Ha, HaNodeState, Snapshot};

/// `fence-safe`. A node is armed if its local resource manager holds its lock: `active` or `lost_agent_lock`, and not
/// drained in maintenance mode. An idle one is never reset.
pub struct FenceSafe;

/// Nodes that their watchdog will reset.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArmedWithoutQuorum {
    #[error("{node} has active HA and {votes} votes where {needed} are needed")]
    Armed { node: NodeName, votes: u32, needed: u32 },
    #[error("the view of {node} on quorum was not read")]
    ViewNotRead { node: NodeName },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for FenceSafe {
    type Evidence = ArmedWithoutQuorum;

    fn id(&self) -> &'static str {
        "fence-safe"
    }

    fn why(&self) -> &'static str {
        "A node with active HA that has no quorum for a minute is reset by its watchdog: every guest on it dies, \
         managed by HA or not."
    }

    fn explain(&self) -> &'static str {
        "No node with an armed HA watchdog is without quorum: it would reset itself about a minute later, with all its \
         guests."
    }

    fn remedy(&self) -> &'static str {
        "Bring quorum back within the minute: missing nodes, links, or the QDevice where there is one (pvecm status)"
    }

    fn holds(&self, snapshot: &Snapshot, _context: &Context<'_>) -> RuleOutcome<ArmedWithoutQuorum> {
        let mut findings = Findings::new();
        let Some(ha) = findings.read(&snapshot.ha) else { return findings.outcome() };
        for node in online_nodes(snapshot).filter(|node| is_armed(ha, &node.name)) {
            let name = &node.name;
            let Some(view) = snapshot.quorum.get(name) else {
                findings.missing(ArmedWithoutQuorum::ViewNotRead { node: name.clone() });
                continue;
            };
            let Some(view) = findings.read(view) else { continue };
            if !view.quorate {
                let (votes, needed) = (view.total_votes, view.quorum);
                findings.broken(ArmedWithoutQuorum::Armed { node: name.clone(), votes, needed });
            }
        }
        findings.outcome()
    }
}

fn is_armed(ha: &Ha, name: &NodeName) -> bool {
    let holds_lock =
        ha.lrm.get(name).is_some_and(|lrm| matches!(lrm.state.as_str(), "active" | "lost_agent_lock" | "maintenance"));
    let has_services = ha.services.values().any(|service| service.node.as_ref() == Some(name));
    let drained = ha.nodes.get(name) == Some(&HaNodeState::Maintenance) && !has_services;
    holds_lock && !drained && ha.armed != Some(ArmedState::Disarmed)
}
