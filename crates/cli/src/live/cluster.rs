//! Votes, links, Ceph and HA in few words, with what this run brings about marked as expected.

use std::collections::BTreeSet;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::progress::{CephGlance, Glance, HaGlance, Links, Votes};
use quorate_core::snapshot::HealthLevel;
use quorate_core::steps::{OnNode, Setting, Step};
use quorate_core::view::View;

use super::tone::Tone;
use crate::render::units::clock;

/// One subject: its words, each with its tone.
pub(crate) type Said = Vec<(String, Tone)>;

/// What this run brings about now.
struct Expected {
    /// Nodes that are away, or on their way.
    away: BTreeSet<NodeName>,
    /// What has noout because of it: nodes, and OSDs by `osd.3`.
    noout: BTreeSet<String>,
    /// The nodes that these are about.
    noout_nodes: BTreeSet<String>,
    maintenance: BTreeSet<NodeName>,
}

/// A change that is still to undo, as one who looks at the cluster says it.
pub(crate) fn as_it_is(undo: &Step) -> String {
    let Step::ChangeSetting(change) = undo else { return to_undo(undo) };
    match &change.setting {
        Setting::Maintenance(of) => format!("{} in maintenance", of.node),
        Setting::Noout(of) => format!("noout set for {}", of.node),
        Setting::Rebalance(_) | Setting::Failback(_) | Setting::ExpectedVotes(_) => to_undo(undo),
    }
}

fn to_undo(undo: &Step) -> String {
    format!("still to do: {}", undo.kind().title())
}

/// What was seen longer ago than this is told with its age, in seconds.
const FRESH_S: u64 = 90;

/// Everything, in one order.
pub(crate) fn says(view: &View, glance: Option<&Glance>, now: UnixMs) -> Vec<Said> {
    let Some(glance) = glance else {
        return vec![vec![("votes, links, Ceph and HA: not told yet".to_owned(), Tone::Quiet)]];
    };
    let expected = Expected::of(view);
    let mut all = vec![votes(glance, glance.votes, &expected), links(glance.links.as_ref(), &expected)];
    match (glance.has_ceph, &glance.ceph) {
        (Some(false), _) => {}
        (_, Some(seen)) => all.push(ceph(seen, &expected)),
        (_, None) => all.push(unknown("Ceph")),
    }
    all.push(glance.ha.as_ref().map_or_else(|| unknown("HA"), |seen| ha(seen, &expected)));
    let age_s = now.since_s(glance.taken);
    if age_s > FRESH_S {
        all.push(vec![said(format!("seen {} ago", clock(age_s)), Tone::Warn)]);
    }
    all
}

fn unknown(what: &str) -> Said {
    vec![(format!("{what}: unknown"), Tone::Warn)]
}

fn said(words: impl Into<String>, tone: Tone) -> (String, Tone) {
    (words.into(), tone)
}

/// In the tone of what is as it should be, and says that it is; or as it is.
fn if_expected(words: String, is_expected: bool, tone: Tone) -> (String, Tone) {
    if is_expected { (format!("{words} (expected)"), Tone::Quiet) } else { (words, tone) }
}

impl Expected {
    fn of(view: &View) -> Self {
        let under_way = view.state.under_way().filter(|(_, record)| record.attempts > 0);
        let away = under_way.filter(|(_, record)| matches!(record.step.on_node(), OnNode::Reboots | OnNode::WaitsBack));
        let mut expected = Self {
            away: away.filter_map(|(_, record)| record.step.node().cloned()).collect(),
            noout: BTreeSet::new(),
            noout_nodes: BTreeSet::new(),
            maintenance: BTreeSet::new(),
        };
        for open in &view.state.open_changes {
            let Step::ChangeSetting(change) = &open.undo else { continue };
            match &change.setting {
                Setting::Noout(of) => {
                    expected.noout.insert(of.node.to_string());
                    expected.noout_nodes.insert(of.node.to_string());
                    expected.noout.extend(of.osds.iter().map(ToString::to_string));
                }
                Setting::Maintenance(of) => drop(expected.maintenance.insert(of.node.clone())),
                Setting::Rebalance(_) | Setting::Failback(_) | Setting::ExpectedVotes(_) => {}
            }
        }
        expected
    }
}

fn votes(glance: &Glance, votes: Option<Votes>, expected: &Expected) -> Said {
    let Some(Votes { present, expected: of, needed, quorate }) = votes else { return unknown("votes") };
    let words = format!("votes {present}/{of} ({needed} needed)");
    if !quorate {
        return vec![said(format!("{words}: NO QUORUM"), Tone::Bad)];
    }
    if present >= of {
        return vec![said(words, Tone::Good)];
    }
    let gone: Vec<&NodeName> =
        glance.nodes.iter().filter(|(_, seen)| seen.online == Some(false)).map(|of| of.0).collect();
    let is_expected = !gone.is_empty() && gone.iter().all(|node| expected.away.contains(*node));
    let names: Vec<&str> = gone.iter().map(|node| node.as_str()).collect();
    let away =
        if names.is_empty() { "who is missing: unknown".to_owned() } else { format!("{} away", names.join(", ")) };
    vec![if_expected(format!("{words}, {away}"), is_expected, Tone::Warn)]
}

fn links(links: Option<&Links>, expected: &Expected) -> Said {
    let Some(links) = links else { return unknown("links") };
    if links.down.is_empty() {
        let words =
            if links.configured == 1 { "1 link up".to_owned() } else { format!("{} links up", links.configured) };
        return vec![said(words, Tone::Good)];
    }
    let each = links.down.iter().map(|(node, down)| {
        let numbers: Vec<String> = down.iter().map(ToString::to_string).collect();
        let words = format!("link {} to {node} down", numbers.join(", "));
        if_expected(words, expected.away.contains(node), Tone::Warn)
    });
    each.collect()
}

fn ceph(ceph: &CephGlance, expected: &Expected) -> Said {
    let mut parts = Said::new();
    let all_down_expected = ceph.down.keys().all(|node| expected.away.contains(node));
    for (node, down) in &ceph.down {
        let osds = if *down == 1 { "1 OSD".to_owned() } else { format!("{down} OSDs") };
        parts.push(if_expected(format!("{osds} of {node} down"), expected.away.contains(node), Tone::Bad));
    }
    let (ours, others): (Vec<&String>, Vec<&String>) =
        ceph.noout.iter().partition(|name| expected.noout.contains(*name));
    if !ours.is_empty() {
        let nodes: Vec<&String> = expected.noout_nodes.iter().collect();
        parts.push(if_expected(format!("noout {}", few(&nodes)), true, Tone::Quiet));
    }
    if !others.is_empty() {
        parts.push(said(format!("noout {}, not by this run", few(&others)), Tone::Warn));
    }
    match ceph.unclean_pgs {
        Some(0) => {}
        Some(unclean) => {
            let is_expected = !ceph.down.is_empty() && all_down_expected;
            parts.push(if_expected(format!("{unclean} of {} PGs not clean", ceph.pgs), is_expected, Tone::Warn));
        }
        None => parts.push(said("PGs: unknown", Tone::Warn)),
    }
    match ceph.health {
        HealthLevel::Ok => {}
        HealthLevel::Warn if !parts.is_empty() => {}
        HealthLevel::Warn => parts.push(said("HEALTH_WARN", Tone::Warn)),
        HealthLevel::Err => parts.push(said("HEALTH_ERR", Tone::Bad)),
    }
    if parts.is_empty() {
        parts.push(said(format!("ok, {} OSDs up", ceph.osds), Tone::Good));
    }
    headed("Ceph", parts)
}

fn ha(ha: &HaGlance, expected: &Expected) -> Said {
    let mut parts = Said::new();
    match ha.under_way {
        0 => {}
        1 => parts.push(said("1 guest in hand", Tone::Busy)),
        many => parts.push(said(format!("{many} guests in hand"), Tone::Busy)),
    }
    for node in &ha.maintenance {
        let is_ours = expected.maintenance.contains(node);
        parts.push(if_expected(format!("{node} in maintenance"), is_ours, Tone::Warn));
    }
    if !ha.in_error.is_empty() {
        let guests: Vec<String> = ha.in_error.iter().map(ToString::to_string).collect();
        parts.push(said(format!("in error: {}", few(&guests.iter().collect::<Vec<_>>())), Tone::Bad));
    }
    if parts.is_empty() {
        parts.push(said("idle", Tone::Good));
    }
    headed("HA", parts)
}

fn headed(what: &str, mut parts: Said) -> Said {
    if let Some((words, _)) = parts.first_mut() {
        *words = format!("{what}: {words}");
    }
    parts
}

/// Some names, and how many more there are.
fn few(names: &[&String]) -> String {
    const MOST: usize = 4;
    let mut words = names.iter().take(MOST).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        words = format!("{words} and {} more", names.len() - MOST);
    }
    words
}
