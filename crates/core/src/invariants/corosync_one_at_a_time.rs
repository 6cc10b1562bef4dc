//! At most one member is absent or being upgraded, and all links between the others are up.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, names, online_views, upgrading};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::NodeName;
use crate::snapshot::{QuorumView, Snapshot};

/// `corosync-one-at-a-time`. Not "at most one member runs another version": half-way through a rolling upgrade half of
/// them do, and releases of one major talk to each other. What matters is that the ring is whole before the next member
/// leaves it.
pub struct CorosyncOneAtATime;

/// What is missing from corosync's ring.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingNotWhole {
    #[error("absent, or being upgraded: {}", names(.nodes))]
    Absent { nodes: BTreeSet<NodeName> },
    #[error("{viewer} reaches {other} over {up} of {wanted} links")]
    LinksDown { viewer: NodeName, other: NodeName, up: usize, wanted: usize },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for CorosyncOneAtATime {
    type Evidence = RingNotWhole;

    fn id(&self) -> &'static str {
        "corosync-one-at-a-time"
    }

    fn why(&self) -> &'static str {
        "Members that leave and join at the same time, or over links that are down, can split the cluster although \
         enough nodes are up."
    }

    fn explain(&self) -> &'static str {
        "At most one member is absent or being upgraded at the moment, and every link between the others is up. Mixed \
         versions are not a breach: half-way through a rolling upgrade they are what a cluster looks like."
    }

    fn remedy(&self) -> &'static str {
        "Look at the network between the nodes that are named: corosync-cfgtool -n on each. Bring absent members back \
         first: pvecm status"
    }

    fn sees_moves(&self) -> bool {
        false
    }

    fn holds(&self, snapshot: &Snapshot, _context: &Context<'_>) -> RuleOutcome<RingNotWhole> {
        let mut findings = Findings::new();
        let upgrading = upgrading(snapshot, &mut findings);
        let views: Vec<_> = online_views(snapshot, &mut findings)
            .into_iter()
            .filter(|(viewer, _)| !upgrading.contains(*viewer))
            .collect();
        let mut absent: BTreeSet<&NodeName> = upgrading.iter().collect();
        for node in snapshot.nodes.values() {
            let unseen = views.iter().any(|(_, view)| !view.members.contains_key(&node.name));
            if unseen || node.online.is(&false) {
                absent.insert(&node.name);
            }
        }
        if absent.len() > 1 {
            let nodes = absent.iter().map(|node| (*node).clone()).collect();
            findings.broken(RingNotWhole::Absent { nodes });
        }
        for (viewer, view) in views {
            let others = snapshot.nodes.keys().filter(|name| *name != viewer && !absent.contains(*name));
            others.for_each(|other| links(viewer, other, view, &mut findings));
        }
        findings.outcome()
    }
}

fn links(viewer: &NodeName, other: &NodeName, view: &QuorumView, findings: &mut Findings<RingNotWhole>) {
    let links = view.links.get(other).map_or(&[][..], Vec::as_slice);
    let up = links.iter().filter(|link| link.connected).count();
    let wanted = (view.configured_links as usize).max(links.len()).max(1);
    if up < wanted {
        let (viewer, other) = (viewer.clone(), other.clone());
        findings.broken(RingNotWhole::LinksDown { viewer, other, up, wanted });
    }
}
