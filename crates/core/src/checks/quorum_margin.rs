//! Votes with each node out in turn.

use super::support::{Report, views};
use super::{Check, Finding, Severity, Subject};
use crate::observed::Observed;
use crate::policy::Policy;
use crate::snapshot::{EtcPve, QuorumView, Snapshot};

pub(super) struct QuorumSpare;

impl Check for QuorumSpare {
    fn id(&self) -> &'static str {
        "quorum-margin"
    }

    fn explain(&self) -> &'static str {
        "While a node reboots its votes are missing. What is left must reach quorum; real votes are counted, uneven ones \
         and a QDevice included. The spare is what may be lost besides: with 0, as in every cluster of three or four, a \
         second failure at that moment stops the cluster, and nodes with active HA reset themselves. A plain cluster of \
         two has -1: add a QDevice (pvecm qdevice setup ADDRESS) before a rolling upgrade. A member that has quorum and \
         cannot write its own /etc/pve is blocking: its pmxcfs has lost corosync (systemctl restart pve-cluster)."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        // A node that lost quorum has nobody left to say that it is online: its own word counts here.
        let own_views = snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?)));
        for (viewer, view) in own_views {
            if !view.quorate {
                report.add(
                    Severity::Blocking,
                    viewer,
                    format!(
                        "{viewer} is not quorate: {} of {} votes, {} needed",
                        view.total_votes, view.expected_votes, view.quorum
                    ),
                    "Bring the missing nodes or links back: pvecm status",
                );
            }
            if view.qdevice.is_some_and(|device| !device.casting) {
                let remedy = "Look at corosync-qdevice there and at its host: systemctl status corosync-qdevice";
                report.add(Severity::Warning, viewer, format!("the QDevice gives {viewer} no vote"), remedy);
            }
        }
        cut_off(snapshot, &mut report);
        if let Some((_, view)) = views(snapshot).next() {
            each_node_out(view, &mut report);
        }
        lowered(snapshot, &mut report);
        report.findings()
    }
}

fn each_node_out(view: &QuorumView, report: &mut Report) {
    let mut least = u32::MAX;
    for (node, member) in &view.members {
        let left = view.total_votes.saturating_sub(member.votes);
        least = least.min(left);
        if left < view.quorum {
            report.add(
                Severity::Blocking,
                node,
                format!("without {node} {left} votes are left, {} are needed", view.quorum),
                "Add a vote before the upgrade: pvecm qdevice setup ADDRESS",
            );
        }
    }
    if least != u32::MAX && least >= view.quorum {
        let spare = least - view.quorum;
        let meaning = if spare == 0 { ": one more failure meanwhile stops the cluster" } else { "" };
        report.add(
            Severity::Info,
            Subject::Cluster,
            format!(
                "with any one node out at least {least} votes are left, {} are needed, {spare} to spare{meaning}",
                view.quorum
            ),
            if spare == 0 { "A QDevice would add a vote: pvecm qdevice setup ADDRESS" } else { "Nothing to do." },
        );
    }
}

/// Members of a quorate cluster whose own `/etc/pve` cannot be written.
fn cut_off(snapshot: &Snapshot, report: &mut Report) {
    for (viewer, _) in views(snapshot).filter(|(_, view)| view.quorate) {
        if let Some(Observed::Known(EtcPve::ReadOnly | EtcPve::NotMounted)) = snapshot.etc_pve.get(viewer) {
            report.add(
                Severity::Blocking,
                viewer,
                format!("{viewer} has quorum, but its /etc/pve cannot be written: its pmxcfs has lost corosync"),
                "systemctl restart pve-cluster on it; journalctl -u pve-cluster says why",
            );
        }
    }
}

/// Expected votes that somebody lowered by hand.
fn lowered(snapshot: &Snapshot, report: &mut Report) {
    let Some(votes) = snapshot.configured_votes.known() else { return };
    let configured = votes.values().copied().fold(0, u32::saturating_add);
    for (viewer, view) in views(snapshot).filter(|(_, view)| view.expected_votes < configured) {
        report.add(
            Severity::Blocking,
            viewer,
            format!(
                "{viewer} expects {} votes, the configuration has {configured}: somebody lowered them",
                view.expected_votes
            ),
            format!("Raise them again: pvecm expected {configured}"),
        );
    }
}
