//! What every node reports about itself, by its own shell: all that is available when no node has quorum.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{BootId, NodeName, UnixMs};
use crate::observed::{Observed, WhyUnknown};
use crate::snapshot::{EtcPve, QuorumView};

/// All nodes, asked one by one at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuorumViews {
    /// When the asking ended, by our clock. Every other moment in here is by our clock too.
    pub taken: UnixMs,
    /// Votes of each node in corosync.conf.
    pub votes: Observed<BTreeMap<NodeName, u32>>,
    /// Votes of a QDevice in corosync.conf; 0 where none is configured.
    pub device_votes: Observed<u32>,
    /// Every node of corosync.conf, and those that only our configuration names.
    pub nodes: BTreeMap<NodeName, NodeReport>,
}

/// What one node reports about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The boot that it is in.
    pub boot: Observed<BootId>,
    /// Seconds since its boot. If known, its shell answered, so the node is *not* off.
    pub uptime_s: Observed<u64>,
    /// Its own view of votes, members and links; unknown where corosync does not run.
    pub view: Observed<QuorumView>,
    /// May `/etc/pve` be written there?
    pub etc_pve: Observed<EtcPve>,
    /// The state that its local HA resource manager wrote last; `None` where it never wrote one.
    pub lrm: Observed<Option<LrmReport>>,
    /// What its corosync wrote about others into the journal of the last day, oldest first.
    pub heard: Observed<Vec<Heard>>,
}

/// A local resource manager's last state (`/etc/pve/nodes/N/lrm_status`). Without quorum it cannot write another one,
/// so its time is when the watchdog was fed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LrmReport {
    /// `active`, `lost_agent_lock`, `maintenance`, `wait_for_agent_lock`.
    pub state: String,
    /// When it was written.
    pub written: UnixMs,
}

impl LrmReport {
    /// Does it hold the agent lock, so that its watchdog is open? In maintenance mode that depends on services that are
    /// still there; then it counts as open.
    pub fn holds_lock(&self) -> bool {
        matches!(self.state.as_str(), "active" | "lost_agent_lock" | "maintenance")
    }
}

/// Something that corosync noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// When corosync wrote it.
    pub at: UnixMs,
    /// What it noticed.
    pub what: HeardWhat,
}

/// What corosync noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeardWhat {
    /// A member left and said so: its corosync was stopped, as in a reboot or a shutdown.
    Left(NodeName),
    /// A member was no longer heard.
    Vanished(NodeName),
    /// A member joined.
    Joined(NodeName),
    /// A link to it went down.
    LinkDown(NodeName, u32),
    /// A link to it came up.
    LinkUp(NodeName, u32),
    /// This node lost quorum.
    QuorumLost,
    /// This node has quorum again.
    QuorumBack,
}

/// Why it is not known since when a node is away.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbsenceNotKnown {
    /// No node counts as a member.
    #[error("no node reports its view")]
    NoView,
    /// A member is not among the nodes that were asked.
    #[error("{0} was not asked")]
    NotAsked(NodeName),
    /// A member's journal or its uptime was not read.
    #[error("{member} does not report it: {why}")]
    DoesNotTell {
        /// The member whose journal counts.
        member: NodeName,
        /// Why that is not known.
        why: WhyUnknown,
    },
    /// The last thing that a member heard of it was that it joined.
    #[error("{member} has heard {node} join, and not leave")]
    HeardItCome {
        /// The member whose journal counts.
        member: NodeName,
        /// The node that is away.
        node: NodeName,
    },
}

/// Why it is not known how many votes are configured.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VotesNotKnown {
    /// Those of the nodes.
    #[error("the configured votes are not known: {0}")]
    OfNodes(WhyUnknown),
    /// Those of the QDevice.
    #[error("the device's votes are not known: {0}")]
    OfDevice(WhyUnknown),
}

impl NodeReport {
    /// Nothing was read, for this reason.
    pub fn silent(source: &str, why: &str) -> Self {
        fn gap<T>(source: &str, why: &str) -> Observed<T> {
            Observed::unknown(source, why)
        }
        Self {
            boot: gap(source, why),
            uptime_s: gap(source, why),
            view: gap(source, why),
            etc_pve: gap(source, why),
            lrm: gap(source, why),
            heard: gap(source, why),
        }
    }

    /// Its shell answered.
    pub fn answers(&self) -> bool {
        self.uptime_s.known().is_some()
    }

    /// The last thing heard that matches.
    pub(super) fn last_heard(&self, fits: impl Fn(&HeardWhat) -> bool) -> Option<&Heard> {
        self.heard.known()?.iter().rev().find(|heard| fits(&heard.what))
    }
}

impl QuorumViews {
    /// Views of the nodes that have one.
    pub fn views(&self) -> impl Iterator<Item = (&NodeName, &QuorumView)> {
        self.nodes.iter().filter_map(|(name, node)| Some((name, node.view.known()?)))
    }

    /// Is quorum lost, as far as can be seen: at least one node reports its view, and no view has quorum?
    pub fn lost_quorum(&self) -> bool {
        self.views().next().is_some() && !self.views().any(|(_, view)| view.quorate)
    }

    /// The partition that counts: one with quorum, else that with the most votes, else that of the first node by name.
    pub fn here(&self) -> Option<(&NodeName, &QuorumView)> {
        let mut views: Vec<_> = self.views().collect();
        views.sort_by_key(|(name, view)| (!view.quorate, std::cmp::Reverse(view.total_votes), (*name).clone()));
        views.first().copied()
    }

    /// Different partitions, by their members.
    pub fn partitions(&self) -> BTreeSet<BTreeSet<&NodeName>> {
        self.views().map(|(_, view)| view.members.keys().collect()).collect()
    }

    /// Nodes that are no members of the partition that counts.
    pub fn absent(&self) -> Vec<&NodeName> {
        let Some((_, here)) = self.here() else { return self.nodes.keys().collect() };
        self.nodes.keys().filter(|name| !here.members.contains_key(*name)).collect()
    }

    /// Since when the partition that counts has been without a node, at the latest: when the last of its members heard
    /// it leave, or booted without having heard of it since. Unknown if a member does not report that.
    pub fn absent_since(&self, node: &NodeName) -> Result<UnixMs, AbsenceNotKnown> {
        let (_, here) = self.here().ok_or(AbsenceNotKnown::NoView)?;
        let mut since = UnixMs(0);
        for member in here.members.keys() {
            let report = self.nodes.get(member).ok_or_else(|| AbsenceNotKnown::NotAsked(member.clone()))?;
            let tell = |why: &WhyUnknown| AbsenceNotKnown::DoesNotTell { member: member.clone(), why: why.clone() };
            report.heard.read().map_err(tell)?;
            let uptime_s = report.uptime_s.read().map_err(tell)?;
            let booted = UnixMs(self.taken.0.saturating_sub(uptime_s * 1000));
            let gone = report.last_heard(
                |what| matches!(what, HeardWhat::Left(who) | HeardWhat::Vanished(who) | HeardWhat::Joined(who) if who == node),
            );
            if gone.is_some_and(|heard| matches!(heard.what, HeardWhat::Joined(_))) {
                let (member, node) = (member.clone(), node.clone());
                return Err(AbsenceNotKnown::HeardItCome { member, node });
            }
            since = since.max(gone.map_or(booted, |heard| heard.at.max(booted)));
        }
        Ok(since)
    }

    /// Votes that are configured, the device's included.
    pub fn configured(&self) -> Result<u32, VotesNotKnown> {
        let votes = self.votes.read().map_err(|why| VotesNotKnown::OfNodes(why.clone()))?;
        let device = self.device_votes.read().map_err(|why| VotesNotKnown::OfDevice(why.clone()))?;
        Ok(votes.values().copied().fold(*device, u32::saturating_add))
    }
}
