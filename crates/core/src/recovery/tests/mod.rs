//! Quorum views written by hand: three nodes, pve3 alone, pve1 told by us to reboot, pve2 gone.

mod causes;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};

use super::{Heard, HeardWhat, LrmReport, NodeReport, QuorumViews, RunFacts};
use crate::ids::{NodeName, UnixMs};
use crate::observed::Observed::{self, Known};
use crate::snapshot::{EtcPve, Link, Member, QuorumView};

/// When all quorum views are taken, in seconds.
const NOW_S: u64 = 1_000_000;

fn ago(seconds: u64) -> UnixMs {
    UnixMs((NOW_S - seconds) * 1000)
}

fn name(node: &str) -> NodeName {
    NodeName::from(node)
}

fn heard(ago_s: u64, what: fn(NodeName) -> HeardWhat, node: &str) -> Heard {
    Heard { at: ago(ago_s), what: what(name(node)) }
}

/// The view of a partition with these members, one vote each, of so many configured.
fn view(members: &[&str], configured: u32) -> QuorumView {
    let total_votes = members.len() as u32;
    let quorum = configured / 2 + 1;
    let link = |member: &&str| (name(member), vec![Link { number: 0, connected: true }]);
    QuorumView {
        quorate: total_votes >= quorum,
        expected_votes: configured,
        total_votes,
        quorum,
        members: members.iter().map(|member| (name(member), Member { node_id: 1, votes: 1 })).collect(),
        qdevice: None,
        links: members.iter().map(link).collect(),
        configured_links: 1,
        link_addresses: Vec::new(),
    }
}

/// A node that answers, up for ten days, with HA active and fed twelve seconds ago.
fn report(view: QuorumView, heard: Vec<Heard>) -> NodeReport {
    let etc_pve = if view.quorate { EtcPve::Writable } else { EtcPve::ReadOnly };
    NodeReport {
        boot: Known("b1".into()),
        uptime_s: Known(864_000),
        view: Known(view),
        etc_pve: Known(etc_pve),
        lrm: Known(Some(LrmReport { state: "active".to_owned(), written: ago(12) })),
        heard: Known(heard),
    }
}

fn silent() -> NodeReport {
    NodeReport::silent("cat /proc/uptime", "No route to host")
}

fn quorum_views(nodes: &[(&str, NodeReport)]) -> QuorumViews {
    let nodes: BTreeMap<NodeName, NodeReport> =
        nodes.iter().map(|(node, report)| (name(node), report.clone())).collect();
    QuorumViews {
        taken: UnixMs(NOW_S * 1000),
        votes: Known(nodes.keys().map(|node| (node.clone(), 1)).collect()),
        device_votes: Known(0),
        nodes,
    }
}

fn gap<T>() -> Observed<T> {
    Observed::unknown("journalctl on pve3", "timed out")
}

/// A boot may take twenty minutes.
fn facts(reboots: &[(&str, u64)]) -> RunFacts {
    let reboots = reboots.iter().map(|(node, ago_s)| (name(node), ago(*ago_s))).collect();
    RunFacts { reboots, boot_s: 1200, rejoin_s: 600 }
}

/// pve3 is alone: it heard pve1 leave and lost pve2 so many seconds ago.
fn alone(pve1_ago_s: u64, pve2_ago_s: u64) -> QuorumViews {
    let mut lines = vec![heard(pve1_ago_s, HeardWhat::Left, "pve1"), heard(pve2_ago_s, HeardWhat::Vanished, "pve2")];
    lines.push(Heard { at: ago(pve1_ago_s.min(pve2_ago_s)), what: HeardWhat::QuorumLost });
    lines.sort_by_key(|heard| heard.at);
    quorum_views(&[("pve1", silent()), ("pve2", silent()), ("pve3", report(view(&["pve3"], 3), lines))])
}

fn set(nodes: &[&str]) -> BTreeSet<NodeName> {
    nodes.iter().map(|node| name(node)).collect()
}
