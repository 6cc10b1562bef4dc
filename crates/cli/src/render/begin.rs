//! What is about to happen, on one page: what a person reads before the word is given.

use std::collections::BTreeMap;

use quorate_core::checks::{Finding, Severity};
use quorate_core::ids::{GuestId, GuestKind, UnixMs};
use quorate_core::plan::Plan;
use quorate_core::planner::report::Report;
use quorate_core::policy::Policy;
use quorate_core::snapshot::Snapshot;
use quorate_engine::ListsRead;

use super::log::{consent, short};
use super::page::Page;
use super::plan::consents_missing;
use super::preflight;
use super::units::{bytes, duration, time_of_day};

/// Guests that are down for less are named by their number.
const NAMED_FROM_S: u64 = 60;

/// More guests than this are counted, not named.
const MOST_NAMED: usize = 6;

/// What the page is made of.
pub(crate) struct About<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) report: &'a Report,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) policy: &'a Policy,
    pub(crate) findings: &'a [Finding],
    /// Now, by the run's clock.
    pub(crate) now: UnixMs,
}

/// The page.
pub(crate) fn page(about: &About<'_>) -> Page {
    let About { plan, report, snapshot, now, .. } = about;
    let mut page = Page::default();
    let cluster = snapshot.cluster_name.known().map_or("?", String::as_str);
    let guests = snapshot.guests.values().filter(|guest| !guest.template).count();
    page.line(format!("{cluster}: {} nodes, {guests} guests; plan {}", report.nodes, short(plan.id.as_str())));
    upgrades(&mut page, plan);
    let order: Vec<String> =
        plan.node_steps.iter().filter_map(|step| step.node.as_ref()).map(ToString::to_string).collect();
    listed(&mut page, "order", &order);
    let (moves, least) = (plan.costs.moves, plan.bound.moves);
    let near = if moves == least { "the minimum".to_owned() } else { format!("the minimum is {least}") };
    page.line(format!("  moves     {moves} migrations ({near}), {}", bytes(plan.costs.bytes)));
    let end = time_of_day(now.plus_s(plan.costs.duration_s));
    page.line(format!(
        "  time      about {}, until ~{end}; {} reboots",
        duration(plan.costs.duration_s),
        plan.costs.reboots
    ));
    down(&mut page, about);
    fullest(&mut page, about);
    consents(&mut page, about);
    notes(&mut page, about.findings);
    page
}

/// `PVE 9.1.1→9.1.4  kernel 6.17.2→6.17.4  Ceph 19.2.2→19.2.3   14 packages on 5 nodes`.
fn upgrades(page: &mut Page, plan: &Plan) {
    if plan.upgrades.is_empty() {
        page.line("  upgrade   no packages");
    }
    for upgrade in &plan.upgrades {
        let mut parts: Vec<String> = upgrade.parts().collect();
        let count = upgrade.packages.len();
        let nodes: Vec<&str> = upgrade.nodes.iter().map(|node| node.as_str()).collect();
        let on = if plan.upgrades.len() == 1 { format!("each of {} nodes", nodes.len()) } else { nodes.join(" ") };
        parts.push(format!("{count} {} on {on}", if count == 1 { "package" } else { "packages" }));
        listed(page, "upgrade", &parts);
    }
}

/// Parts with commas between them, on as many lines as it takes.
fn listed(page: &mut Page, heading: &str, parts: &[String]) {
    const WIDTH: usize = 66;
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut().filter(|line| line.len() + part.len() < WIDTH) {
            Some(line) => line.extend([", ", part]),
            None => lines.push(part.clone()),
        }
    }
    for (place, line) in lines.iter().enumerate() {
        page.line(format!("  {:<8}  {line}", if place == 0 { heading } else { "" }));
    }
}

/// Guests that will be down: those for long by name, the others by their number.
fn down(page: &mut Page, about: &About<'_>) {
    let downtime_s = &about.plan.costs.downtime_s;
    if downtime_s.is_empty() {
        page.line("  DOWN      nobody");
        return;
    }
    let allowed_s = about.plan.downtime_allowed_s(about.policy);
    let (long, short): (BTreeMap<GuestId, u64>, BTreeMap<GuestId, u64>) =
        downtime_s.iter().map(|(guest, seconds)| (*guest, *seconds)).partition(|(_, seconds)| *seconds >= NAMED_FROM_S);
    let named = |(guest, seconds): (&GuestId, &u64)| {
        let name = about.snapshot.guests.get(guest).map_or("", |guest| guest.name.as_str());
        let at_most = allowed_s.get(guest).copied().unwrap_or(0);
        format!("{guest} {name} ~{} (at most {})", duration(*seconds), duration(at_most))
    };
    let mut parts: Vec<String> = long.iter().map(named).collect();
    if parts.len() > MOST_NAMED {
        let more = parts.split_off(MOST_NAMED).len();
        parts.push(format!("{more} more for over a minute"));
    }
    parts.extend(in_numbers(&short, GuestKind::Ct, "container"));
    parts.extend(in_numbers(&short, GuestKind::Vm, "VM"));
    listed(page, "DOWN", &parts);
}

/// `6 containers for ~10 s each`.
fn in_numbers(down_s: &BTreeMap<GuestId, u64>, kind: GuestKind, word: &str) -> Option<String> {
    let seconds: Vec<u64> =
        down_s.iter().filter(|(guest, _)| guest.kind == kind).map(|(_, seconds)| *seconds).collect();
    let (least, most) = (seconds.iter().min()?, seconds.iter().max()?);
    let time = if least == most { duration(*most) } else { format!("{} to {}", duration(*least), duration(*most)) };
    let s = if seconds.len() == 1 { "" } else { "s" };
    Some(format!("{} {word}{s} for ~{time} each", seconds.len()))
}

fn fullest(page: &mut Page, about: &About<'_>) {
    let others = about.report.stages.iter().flat_map(|stage| {
        stage
            .percent
            .iter()
            .filter(|(node, _)| **node != stage.node)
            .map(|(node, percent)| (*percent, node, &stage.node))
    });
    let Some((percent, node, away)) = others.max_by_key(|(percent, node, _)| (*percent, std::cmp::Reverse(*node)))
    else {
        return;
    };
    page.line(format!("  fullest   {node}: {percent} % of its memory, while {away} is away"));
}

fn consents(page: &mut Page, about: &About<'_>) {
    let missing = consents_missing(about.plan, about.policy);
    for kind in &missing {
        page.line(format!("  consent   {} is NOT GIVEN", consent(*kind)));
    }
}

fn notes(page: &mut Page, findings: &[Finding]) {
    let is_of_note = |finding: &&Finding| matches!(finding.severity, Severity::Warning | Severity::Waived);
    let of_note: Vec<Finding> = findings.iter().filter(is_of_note).cloned().collect();
    if !of_note.is_empty() {
        page.line(format!("  noted     {} (`quorate preflight` shows them)", preflight::summary(&of_note)));
    }
}

/// Every package with its versions, node by node or for all at once.
pub(crate) fn packages(plan: &Plan) -> Page {
    let mut page = Page::default();
    for upgrade in &plan.upgrades {
        let nodes: Vec<&str> = upgrade.nodes.iter().map(|node| node.as_str()).collect();
        page.line(format!("{}:", nodes.join(" ")));
        for change in &upgrade.packages {
            page.line(format!("  {} {}", change.name, change.versions()));
        }
    }
    page
}

/// How old the package lists are, from which all of this is told.
pub(crate) fn lists(snapshot: &Snapshot, read: Option<ListsRead>) -> Page {
    let mut page = Page::default();
    page.line(match read {
        Some(ListsRead { nodes: 0, .. }) => "Package lists: read on every node within the last hour".to_owned(),
        Some(ListsRead { nodes, took_s }) => {
            format!("Package lists: read again on {nodes} nodes ({})", duration(took_s))
        }
        None => as_they_are(snapshot),
    });
    page
}

fn as_they_are(snapshot: &Snapshot) -> String {
    let age = |node: &quorate_core::snapshot::Node| node.packages.known().and_then(|packages| packages.lists_age_s);
    let online = || snapshot.nodes.values().filter(|node| node.online.is(&true));
    if let Some(node) = online().find(|node| age(node).is_none()) {
        return format!("Package lists: left as they are; how old those of {} are is not known", node.name);
    }
    let oldest = online().filter_map(|node| Some((age(node)?, &node.name))).max();
    oldest.map_or_else(
        || "Package lists: left as they are; no node is online".to_owned(),
        |(age_s, node)| format!("Package lists: left as they are; the oldest, of {node}, are {} old", duration(age_s)),
    )
}
