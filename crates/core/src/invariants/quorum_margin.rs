//! The votes that are left still reach quorum, as every member counts them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, online_views, upgrading};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::NodeName;
use crate::snapshot::{EtcPve, Snapshot};

/// `quorum-margin`. The figures that corosync itself gives include uneven votes and a QDevice. A node that is being
/// upgraded counts as absent. A member whose own `/etc/pve` cannot be written has no quorum where it matters.
pub struct QuorumMargin;

/// Members that would not reach quorum, or do not have it where it matters.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuorumShort {
    #[error("{viewer} would count {left} votes where {needed} are needed for quorum")]
    TooFewVotes { viewer: NodeName, left: u32, needed: u32 },
    #[error("{viewer} is not quorate ({left} votes, {needed} needed)")]
    NotQuorate { viewer: NodeName, left: u32, needed: u32 },
    /// A member's vote does not help where its own `/etc/pve` is not writable.
    #[error(
        "{viewer} has quorum, but its /etc/pve cannot be written: its pmxcfs has lost corosync; nothing starts, moves \
         or is configured there, and active HA resets the node after a minute. `systemctl restart pve-cluster` on it; \
         `journalctl -u pve-cluster` says why"
    )]
    CutOff { viewer: NodeName },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for QuorumMargin {
    type Evidence = QuorumShort;

    fn id(&self) -> &'static str {
        "quorum-margin"
    }

    fn why(&self) -> &'static str {
        "Without quorum /etc/pve is read-only, nothing starts or moves, and nodes with active HA reset themselves \
         after about a minute: all their guests die."
    }

    fn explain(&self) -> &'static str {
        "The votes that are left while a node is down reach quorum, as every member that is up counts them. Uneven \
         votes and a QDevice are in the figures; a plain cluster of two has one vote too few for a rolling upgrade. A \
         node that is being upgraded counts as absent: corosync is restarted by its package, the network under it by \
         others, and a node whose upgrade has begun has to be rebooted. A member whose own /etc/pve cannot be written \
         breaks the rule whatever its votes: pmxcfs there has lost corosync, nothing starts, moves or is configured on \
         it, and active HA resets it about a minute later. The wait, and the pause after it, name the command."
    }

    fn remedy(&self) -> &'static str {
        "Bring missing nodes or links back (pvecm status). With two nodes, or another even number, and no QDevice yet, add \
         a vote before the upgrade: pvecm qdevice setup \
         ADDRESS. Where /etc/pve cannot be written: systemctl restart pve-cluster on that node"
    }

    fn holds(&self, snapshot: &Snapshot, _context: &Context<'_>) -> RuleOutcome<QuorumShort> {
        let mut findings = Findings::new();
        let upgrading = upgrading(snapshot, &mut findings);
        for (viewer, view) in online_views(snapshot, &mut findings) {
            if upgrading.contains(viewer) {
                continue;
            }
            let lost = upgrading.iter().filter_map(|name| view.members.get(name)).map(|member| member.votes);
            let lost = lost.fold(0, u32::saturating_add);
            let left = view.total_votes.saturating_sub(lost);
            let (viewer_name, needed) = (viewer.clone(), view.quorum);
            if left < needed {
                findings.broken(QuorumShort::TooFewVotes { viewer: viewer_name, left, needed });
            } else if !view.quorate {
                findings.broken(QuorumShort::NotQuorate { viewer: viewer_name, left, needed });
            } else if let Some(state) = snapshot.etc_pve.get(viewer)
                && let Some(EtcPve::ReadOnly | EtcPve::NotMounted) = findings.read(state)
            {
                findings.broken(QuorumShort::CutOff { viewer: viewer_name });
            }
        }
        findings.outcome()
    }
}
