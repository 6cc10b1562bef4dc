//! The cause, named with its evidence.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind, Standing};
use super::facts::RunFacts;
use super::quorum_views::{Heard, HeardWhat, NodeReport, QuorumViews};
use super::remedies::{Remedy, remedies};
use super::spans::{ago, span};
use crate::ids::{NodeName, UnixMs};
use crate::snapshot::EtcPve;

/// The watchdog's budget since it was fed last (pve-ha-manager, watchdog-mux).
const WATCHDOG_S: u64 = 60;

/// The hardware bites this much later at the latest.
const HARDWARE_S: u64 = 10;

/// From this many losses in an hour on, a link flaps.
const FLAPS: usize = 3;

/// The period in which flaps are counted.
const FLAP_WINDOW_S: u64 = 3600;

/// Everything that is known about the state of quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// When the nodes were asked.
    pub taken: UnixMs,
    /// Is there quorum?
    pub standing: Standing,
    /// Every node, in words.
    pub nodes: Vec<NodeLine>,
    /// What caused it, each with its evidence.
    pub causes: Vec<Cause>,
    /// Nodes that will reset themselves, soonest first.
    pub fences: Vec<Fence>,
    /// What can be done, least risk first. Empty if there is quorum and no node is absent.
    pub remedies: Vec<Remedy>,
}

/// The state of one node, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLine {
    /// The node in question.
    pub node: NodeName,
    /// What it says of itself, or why it says nothing.
    pub says: String,
    /// Whether `/etc/pve` is writable there.
    pub etc_pve: String,
    /// What HA does there.
    pub ha: String,
}

/// A node whose watchdog is open and no longer fed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The node in question.
    pub node: NodeName,
    /// The earliest moment at which it resets itself.
    pub at: UnixMs,
    /// Seconds until then; 0 if that is past.
    pub left_s: u64,
    /// The latest moment is past, and it still answers: something feeds the watchdog, or there is none.
    pub overdue: bool,
}

/// Looks at what the nodes report and at what the journal knows.
pub fn diagnose(quorum_views: &QuorumViews, facts: &RunFacts) -> Diagnosis {
    let standing = standing(quorum_views);
    let mut causes: Vec<Cause> =
        quorum_views.absent().into_iter().map(|node| of_node(quorum_views, facts, node)).collect();
    causes.extend(flapping(quorum_views));
    causes.extend(device(quorum_views));
    let mut fences: Vec<Fence> =
        quorum_views.nodes.iter().filter_map(|(name, node)| fence(quorum_views, name, node)).collect();
    fences.sort_by_key(|fence| (fence.at, fence.node.clone()));
    let remedies = remedies(quorum_views, facts, &standing, &causes);
    let nodes = quorum_views.nodes.iter().map(|(name, node)| line(name, node, &fences)).collect();
    Diagnosis { taken: quorum_views.taken, standing, nodes, causes, fences, remedies }
}

fn standing(quorum_views: &QuorumViews) -> Standing {
    let Some((_, here)) = quorum_views.here() else { return Standing::NotKnown };
    let (votes, needed) = (here.total_votes, here.quorum);
    if here.quorate {
        return Standing::Quorate { votes, needed };
    }
    let lost = here.members.keys().filter_map(|name| quorum_views.nodes.get(name)).filter_map(|node| {
        let last = node.last_heard(|what| matches!(what, HeardWhat::QuorumLost | HeardWhat::QuorumBack))?;
        (last.what == HeardWhat::QuorumLost).then_some(last.at)
    });
    Standing::Lost { votes, needed, since: lost.min() }
}

/// Why is this node no member?
fn of_node(quorum_views: &QuorumViews, facts: &RunFacts, name: &NodeName) -> Cause {
    let Some(report) = quorum_views.nodes.get(name) else {
        return Cause { kind: CauseKind::Silent { node: name.clone() }, evidence: Vec::new() };
    };
    let mut evidence = Vec::new();
    let gone = gone(quorum_views, name);
    if let Some((who, heard)) = &gone {
        let (ago, node) = (ago(quorum_views.taken, heard.at), name);
        evidence.push(match heard.what {
            HeardWhat::Left(_) => format!("{who} heard {node} leave cleanly {ago}"),
            _ => format!("{who} lost {node} without warning {ago}"),
        });
    }
    let node = name.clone();
    if let Some(uptime_s) = report.uptime_s.known() {
        evidence.push(format!("{name} answers over SSH, {} after its boot", span(*uptime_s)));
        let kind = match report.view.read() {
            Ok(view) => {
                let others: Vec<&str> = view.members.keys().map(NodeName::as_str).collect();
                evidence.push(format!("{name} counts as members: {}", others.join(", ")));
                evidence.extend(links_down(quorum_views, name));
                CauseKind::CutOff { node }
            }
            Err(why) => {
                evidence.push(format!("its corosync does not report a view: {}", why.reason));
                CauseKind::CorosyncDown { node }
            }
        };
        return Cause { kind, evidence };
    }
    if let Err(why) = report.uptime_s.read() {
        let names_it = why.reason.starts_with(name.as_str());
        evidence.push(if names_it { why.reason.clone() } else { format!("{name} does not answer: {}", why.reason) });
    }
    if let Some(since) = facts.reboots.get(name) {
        let took_s = quorum_views.taken.since_s(*since);
        evidence.insert(0, format!("this run told {name} to reboot {}", ago(quorum_views.taken, *since)));
        let overdue = took_s > facts.boot_s;
        evidence.push(match overdue {
            true => format!("a boot may take {}: that is over", span(facts.boot_s)),
            false => format!("a boot may take {}: {} are left", span(facts.boot_s), span(facts.boot_s - took_s)),
        });
        return Cause { kind: CauseKind::Reboots { node, since: *since, overdue }, evidence };
    }
    let kind = match gone.map(|(_, heard)| &heard.what) {
        Some(HeardWhat::Left(_)) => CauseKind::WentDown { node },
        Some(_) => CauseKind::Vanished { node },
        None => {
            evidence.push(format!("no member's journal says when {name} went"));
            CauseKind::Silent { node }
        }
    };
    Cause { kind, evidence }
}

/// Which member of the partition that counts was the last to hear this node leave.
fn gone<'a>(quorum_views: &'a QuorumViews, name: &NodeName) -> Option<(&'a NodeName, &'a Heard)> {
    let (_, here) = quorum_views.here()?;
    let heard = here.members.keys().filter_map(|member| {
        let last = quorum_views.nodes.get(member)?.last_heard(
            |what| matches!(what, HeardWhat::Left(who) | HeardWhat::Vanished(who) | HeardWhat::Joined(who) if who == name),
        )?;
        (!matches!(last.what, HeardWhat::Joined(_))).then_some((member, last))
    });
    heard.max_by_key(|(member, heard)| (heard.at, std::cmp::Reverse((*member).clone())))
}

/// What members noted about links to this node.
fn links_down(quorum_views: &QuorumViews, name: &NodeName) -> Vec<String> {
    let Some((who, here)) = quorum_views.here() else { return Vec::new() };
    let links = here.links.get(name).map_or(0, |links| links.iter().filter(|link| link.connected).count());
    let mut lines = vec![format!("{who} reaches {name} over {links} of {} links", here.configured_links)];
    let down = quorum_views
        .nodes
        .get(who)
        .and_then(|node| node.last_heard(|what| matches!(what, HeardWhat::LinkDown(peer, _) if peer == name)));
    if let Some(Heard { at, what: HeardWhat::LinkDown(_, link) }) = down {
        lines.push(format!("{who} lost link {link} to {name} {}", ago(quorum_views.taken, *at)));
    }
    lines
}

/// Links that come and go.
fn flapping(quorum_views: &QuorumViews) -> Vec<Cause> {
    let recent = |heard: &&Heard| quorum_views.taken.since_s(heard.at) <= FLAP_WINDOW_S;
    let mut peers: BTreeSet<&NodeName> = BTreeSet::new();
    let mut causes = Vec::new();
    for (who, node) in &quorum_views.nodes {
        let heard = || node.heard.known().into_iter().flatten().filter(recent);
        for peer in quorum_views.nodes.keys() {
            let losses =
                heard().filter(|heard| matches!(&heard.what, HeardWhat::LinkDown(to, _) if to == peer)).count();
            if losses >= FLAPS && peers.insert(peer) {
                let evidence = vec![format!("{who} lost a link to {peer} {losses} times in the last hour")];
                causes.push(Cause { kind: CauseKind::LinkFlaps { node: peer.clone() }, evidence });
            }
        }
    }
    causes
}

fn device(quorum_views: &QuorumViews) -> Option<Cause> {
    let votes = *quorum_views.device_votes.known().filter(|votes| **votes > 0)?;
    let (who, here) = quorum_views.here()?;
    if here.qdevice.is_some_and(|device| device.casting) {
        return None;
    }
    let evidence = vec![format!("{who} does not hear the QDevice, or it votes for another partition")];
    Some(Cause { kind: CauseKind::DeviceAway { votes }, evidence })
}

/// When will this node reset itself?
fn fence(quorum_views: &QuorumViews, name: &NodeName, node: &NodeReport) -> Option<Fence> {
    let feeds = match node.etc_pve.known() {
        Some(state) => *state == EtcPve::Writable,
        None => node.view.known().is_some_and(|view| view.quorate),
    };
    if feeds {
        return None;
    }
    let lrm = node.lrm.known()?.as_ref().filter(|lrm| lrm.holds_lock())?;
    let uptime_s = node.uptime_s.known()?;
    // Written before this boot: HA begins idle after one, and takes no lock without quorum.
    if quorum_views.taken.since_s(lrm.written) > *uptime_s {
        return None;
    }
    let at = lrm.written.plus_s(WATCHDOG_S);
    let overdue = quorum_views.taken >= at.plus_s(HARDWARE_S);
    Some(Fence { node: name.clone(), at, left_s: at.since_s(quorum_views.taken), overdue })
}

fn line(name: &NodeName, node: &NodeReport, fences: &[Fence]) -> NodeLine {
    let says = match (node.uptime_s.read(), node.view.read()) {
        (Err(why), _) => format!("silent: {}", why.reason),
        (Ok(_), Err(why)) => format!("up, corosync reports nothing: {}", why.reason),
        (Ok(uptime_s), Ok(view)) => {
            let word = if view.quorate { "quorate" } else { "NO quorum" };
            let (votes, expected, needed) = (view.total_votes, view.expected_votes, view.quorum);
            let up = span(*uptime_s);
            format!("{word}: {votes} of {expected} votes, {needed} needed; up {up}")
        }
    };
    let etc_pve = match node.etc_pve.known() {
        Some(EtcPve::Writable) => "writable",
        Some(EtcPve::ReadOnly) => "read-only",
        Some(EtcPve::NotMounted) => "not mounted",
        None => "?",
    };
    let ha = match (fences.iter().find(|fence| fence.node == *name), node.lrm.known()) {
        (Some(fence), _) if fence.overdue => "active, and should have been reset by now".to_owned(),
        (Some(fence), _) => format!("active: resets itself in {} s", fence.left_s),
        (None, Some(Some(lrm))) if node.view.known().is_some_and(|view| view.quorate) => lrm.state.replace('_', " "),
        (None, Some(_)) => "idle".to_owned(),
        (None, None) => "?".to_owned(),
    };
    NodeLine { node: name.clone(), says, etc_pve: etc_pve.to_owned(), ha }
}
