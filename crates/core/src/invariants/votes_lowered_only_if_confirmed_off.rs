//! Expected votes are lower than configured only for nodes that the operator confirmed powered off.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, online_views};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::NodeName;
use crate::snapshot::Snapshot;

/// `votes-lowered-only-if-confirmed-off`. Never for a node that is merely rebooting.
pub struct VotesLoweredOnlyIfConfirmedOff;

/// Nodes that expect fewer votes than the confirmed nodes explain.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VotesTooLow {
    #[error("{viewer} expects {expected} votes, configured are {configured}, confirmed powered off {confirmed_off}")]
    Expected { viewer: NodeName, expected: u64, configured: u64, confirmed_off: u64 },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for VotesLoweredOnlyIfConfirmedOff {
    type Evidence = VotesTooLow;

    fn id(&self) -> &'static str {
        "votes-lowered-only-if-confirmed-off"
    }

    fn why(&self) -> &'static str {
        "With lowered expected votes two halves of a cluster can each believe that it alone is alive, and start the \
         same guest twice: its disk is lost."
    }

    fn explain(&self) -> &'static str {
        "Expected votes are below the configured sum only for nodes that the operator has confirmed powered off and \
         that are not online. Never for one that is rebooting."
    }

    fn remedy(&self) -> &'static str {
        "Raise them again to the sum of /etc/pve/corosync.conf: pvecm expected N"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<VotesTooLow> {
        let mut findings = Findings::new();
        let Some(votes) = findings.read(&snapshot.configured_votes) else { return findings.outcome() };
        let configured: u64 = votes.values().copied().map(u64::from).sum();
        let is_dead = |node| context.nodes_confirmed_off.contains(node);
        let dead = votes.iter().filter(|(node, _)| is_dead(*node));
        // A node that is online is not off, whatever was confirmed.
        let dead = dead.filter(|(node, _)| snapshot.nodes.get(*node).is_some_and(|node| node.online.is(&false)));
        let confirmed_off: u64 = dead.map(|(_, votes)| u64::from(*votes)).sum();
        for (viewer, view) in online_views(snapshot, &mut findings) {
            // A device that does not cast may show no votes; then only those of the nodes are asked for.
            let device = view.qdevice.map_or(0, |device| if device.casting { u64::from(device.votes) } else { 0 });
            let expected = u64::from(view.expected_votes);
            let configured = configured + device;
            if expected + confirmed_off < configured {
                findings.broken(VotesTooLow::Expected { viewer: viewer.clone(), expected, configured, confirmed_off });
            }
        }
        findings.outcome()
    }
}
