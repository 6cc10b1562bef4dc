//! The votes that are left still reach quorum, as every member counts them.

use super::support::{Findings, upgrading, online_views};
use super::{Context, Invariant, Verdict};
use crate::snapshot::{EtcPve, Snapshot};

/// What a member's vote does not help against.
const CUT_OFF: &str = "but its /etc/pve cannot be written: its pmxcfs has lost corosync; nothing starts, moves or is \
                       configured there, and active HA resets the node after a minute. `systemctl restart pve-cluster` \
                       on it; `journalctl -u pve-cluster` says why";

/// `quorum-margin`. Uneven votes and a QDevice are in the figures that corosync itself gives. A node that is being
/// upgraded counts as absent. A member whose own `/etc/pve` cannot be written has no quorum where it matters.
pub(super) struct QuorumMargin;

impl Invariant for QuorumMargin {
    fn id(&self) -> &'static str {
        "quorum-margin"
    }

    fn why(&self) -> &'static str {
        "Without quorum /etc/pve is read-only, nothing starts or moves, and nodes with active HA reset themselves \
         after about a minute: all their guests die."
    }

    fn explain(&self) -> &'static str {
        "The votes that are left while a node is down reach quorum, as every member that is up counts them. \
         Uneven votes and a QDevice are in the figures; a plain cluster of two has one vote too few for a rolling \
         upgrade. A node that is being upgraded counts as absent: corosync is restarted by its package, the \
         network under it by others, and a node whose upgrade was begun has to be rebooted. A member whose own \
         /etc/pve cannot be written breaks the rule whatever its votes: pmxcfs there has lost corosync, nothing \
         starts, moves or is configured on it, and active HA resets it about a minute later. The wait, and the \
         pause after it, name the command."
    }

    fn remedy(&self) -> &'static str {
        "Bring missing nodes or links back (pvecm status), or add a vote before the upgrade: pvecm qdevice setup \
         ADDRESS. Where /etc/pve cannot be written: systemctl restart pve-cluster on that node"
    }

    fn holds(&self, snapshot: &Snapshot, _context: &Context<'_>) -> Verdict {
        let mut findings = Findings::default();
        let upgrading = upgrading(snapshot, &mut findings);
        for (viewer, view) in online_views(snapshot, &mut findings) {
            if upgrading.contains(viewer) {
                continue;
            }
            let lost = upgrading.iter().filter_map(|name| view.members.get(name)).map(|member| member.votes);
            let lost = lost.fold(0, u32::saturating_add);
            let left = view.total_votes.saturating_sub(lost);
            if left < view.quorum {
                let quorum = view.quorum;
                findings.broken(format!("{viewer} would count {left} votes where {quorum} are needed for quorum"));
            } else if !view.quorate {
                findings.broken(format!("{viewer} is not quorate ({left} votes, {} needed)", view.quorum));
            } else if let Some(state) = snapshot.etc_pve.get(viewer)
                && let Some(EtcPve::ReadOnly | EtcPve::NotMounted) = findings.read(state)
            {
                findings.broken(format!("{viewer} has quorum, {CUT_OFF}"));
            }
        }
        findings.verdict()
    }
}
