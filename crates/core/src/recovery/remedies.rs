//! What can be done about it, least risk first.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind, Standing};
use super::confirmation::words_for;
use super::facts::RunFacts;
use super::quorum_views::QuorumViews;
use super::spans::span;
use crate::ids::NodeName;

/// One remedy, with its risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// Which remedy it is.
    #[serde(flatten)]
    pub kind: RemedyKind,
    /// What to do, in one line.
    pub title: String,
    /// How to do it: one line each.
    pub how: Vec<String>,
    /// What it risks.
    pub risk: String,
}

/// Remedies, from the least risk to the greatest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "remedy")]
pub enum RemedyKind {
    /// Wait for a node that is rebooting.
    Wait {
        /// The node in question.
        node: NodeName,
    },
    /// Start corosync, which should be running there.
    StartCorosync {
        /// The node in question.
        node: NodeName,
    },
    /// Fix the network between nodes that are up.
    MendLink {
        /// The node in question.
        node: NodeName,
    },
    /// Bring the QDevice back.
    RestoreDevice,
    /// Go to the machine and get it running.
    BringBack {
        /// The node in question.
        node: NodeName,
    },
    /// Let the nodes that are left have quorum on their own.
    LowerExpectedVotes,
}

/// What can be done about these causes.
pub(super) fn remedies(
    quorum_views: &QuorumViews,
    facts: &RunFacts,
    standing: &Standing,
    causes: &[Cause],
) -> Vec<Remedy> {
    let mut remedies: Vec<Remedy> = causes.iter().flat_map(|cause| about(quorum_views, facts, cause)).collect();
    if matches!(standing, Standing::Lost { .. }) && !quorum_views.absent().is_empty() {
        remedies.push(lower(quorum_views, facts));
    }
    remedies.sort_by(|one, other| one.kind.cmp(&other.kind));
    remedies.dedup_by(|one, other| one.kind == other.kind);
    remedies
}

fn about(quorum_views: &QuorumViews, facts: &RunFacts, cause: &Cause) -> Vec<Remedy> {
    let lines = |lines: &[String]| lines.to_vec();
    match &cause.kind {
        CauseKind::Reboots { node, since, overdue: false } => {
            let until = since.plus_s(facts.boot_s).since_s(quorum_views.taken);
            vec![Remedy {
                kind: RemedyKind::Wait { node: node.clone() },
                title: format!("wait for {node}: it reboots"),
                how: lines(&[
                    format!("nothing needs to be done; the run continues by itself when {node} is back"),
                    format!("if it is not back in {}, look at its console", span(until)),
                ]),
                risk: "none of its own; nodes with active HA may reset themselves meanwhile".to_owned(),
            }]
        }
        CauseKind::WentDown { node } => {
            let wait = Remedy {
                kind: RemedyKind::Wait { node: node.clone() },
                title: format!("wait for {node}, if it reboots"),
                how: lines(&[format!("{node} left cleanly: the person who shut it down knows whether it comes back")]),
                risk: "none of its own; nodes with active HA may reset themselves meanwhile".to_owned(),
            };
            vec![wait, bring_back(node)]
        }
        CauseKind::Reboots { node, .. } | CauseKind::Vanished { node } | CauseKind::Silent { node } => {
            vec![bring_back(node)]
        }
        CauseKind::CorosyncDown { node } => vec![Remedy {
            kind: RemedyKind::StartCorosync { node: node.clone() },
            title: format!("let corosync on {node} come up, or start it"),
            how: lines(&[
                format!("just booted? then wait a minute. {node}# systemctl status corosync pve-cluster"),
                format!("{node}# systemctl start corosync pve-cluster"),
            ]),
            risk: "none: it only joins".to_owned(),
        }],
        CauseKind::CutOff { node } | CauseKind::LinkFlaps { node } => vec![Remedy {
            kind: RemedyKind::MendLink { node: node.clone() },
            title: format!("fix the network between {node} and the others"),
            how: lines(&[
                format!("{node}# corosync-cfgtool -n    and the same on the others: which link lacks `connected`?"),
                "look at cables, switch ports, VLANs and MTU of that network".to_owned(),
            ]),
            risk: "none to data: no node is treated as dead".to_owned(),
        }],
        CauseKind::DeviceAway { votes } => vec![Remedy {
            kind: RemedyKind::RestoreDevice,
            title: format!("bring the QDevice back: it has {votes} vote(s)"),
            how: lines(&[
                "on its host: systemctl status corosync-qnetd; and port 5403 must be open".to_owned(),
                "on the nodes: systemctl restart corosync-qdevice; corosync-qdevice-tool -s".to_owned(),
            ]),
            risk: "none: it votes for one partition only".to_owned(),
        }],
    }
}

fn bring_back(node: &NodeName) -> Remedy {
    Remedy {
        kind: RemedyKind::BringBack { node: node.clone() },
        title: format!("bring {node} back"),
        how: vec![
            format!("look at the console of {node} (IPMI, iDRAC, iLO, a screen) before you press anything"),
            "off: switch it on. At a prompt: boot it, the older kernel under advanced options if need be".to_owned(),
            "up, and silent: its network; `ip -br link` against /etc/network/interfaces".to_owned(),
        ],
        risk: "a machine that is only slow is interrupted if it is reset".to_owned(),
    }
}

fn lower(quorum_views: &QuorumViews, facts: &RunFacts) -> Remedy {
    let absent = quorum_views.absent();
    let names: Vec<&str> = absent.iter().map(|node| node.as_str()).collect();
    let mut how = vec![
        "quorate recover --lower-expected-votes".to_owned(),
        format!("only after {} of absence, and if you have seen of each that it is off:", span(facts.boot_s)),
    ];
    how.extend(absent.iter().map(|node| format!("  {}", words_for(node))));
    Remedy {
        kind: RemedyKind::LowerExpectedVotes,
        title: format!("last of all: lower the expected votes, without {}", names.join(", ")),
        how,
        risk: "if one of them is still up, both sides run the same guests on the same disks: they are destroyed"
            .to_owned(),
    }
}
