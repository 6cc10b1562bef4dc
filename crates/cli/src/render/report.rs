//! What a run did and what it cost: `quorate report`.

use std::collections::BTreeSet;

use quorate_core::ids::NodeName;
use quorate_core::run::{PauseCause, StepOutcome, WhyNotDone};
use quorate_core::steps::OnNode;
use quorate_core::view::{FinalCheckView, NodePhase, NodeView, RunPhase, Upgraded, View};

use super::log;
use super::names::Names;
use super::page::Page;
use super::preflight::{problem, word};
use super::status::{reboots, to_undo};
use super::table::Table;
use super::units::{bytes, duration, moment};

/// The page.
pub(crate) fn report(view: &View) -> Page {
    let mut page = Page::default();
    let run = view.state.run.as_ref().map(ToString::to_string).unwrap_or_default();
    page.line(format!("Report of run {run} on cluster {}", view.state.cluster));
    page.line(match (&view.state.ended, view.phase()) {
        (Some(outcome), _) => log::ended(outcome).to_owned(),
        (None, RunPhase::Drained) => "not finished: the node is drained, and not given back".to_owned(),
        (None, RunPhase::Paused) => "not finished: it is paused".to_owned(),
        (None, _) => "not finished".to_owned(),
    });
    let end = view.ended.map_or("now".to_owned(), moment);
    page.line(format!("{} to {end}, {}", moment(view.state.started), duration(view.duration_s())));
    nodes(view, &mut page);
    not_done(view, &mut page);
    versions(view, &mut page);
    costs(view, &mut page);
    downtime(view, &mut page);
    started(view, &mut page);
    waived(view, &mut page);
    final_check(view, &mut page);
    troubles(view, &mut page);
    to_undo(view, &mut page);
    left_to_you(view, &mut page);
    if view.state.open_changes.is_empty() {
        page.gap();
        page.line("Nothing is left to undo: every flag and mode that the run set has been cleared.");
    }
    page
}

fn nodes(view: &View, page: &mut Page) {
    page.gap();
    let mut table = Table::new(&["node", "steps", "from", "to", "took"]);
    for node in view.nodes() {
        let at = |moment_of: Option<_>| moment_of.map_or("-".to_owned(), moment);
        let took = match (node.started, node.ended) {
            (Some(from), Some(to)) => duration(to.since_s(from)),
            _ => "-".to_owned(),
        };
        let steps = format!("{}/{}", node.done, node.total);
        table.row([node.node.to_string(), steps, at(node.started), at(node.ended), took]);
    }
    table.write(page, "");
}

/// What is not done, as loudly as what is: no section where everything is.
fn not_done(view: &View, page: &mut Page) {
    let open = view.nodes().into_iter().filter(|node| node.phase != NodePhase::Done);
    let lines: Vec<String> = open
        .map(|NodeView { node, .. }| match view.upgraded(&node) {
            Upgraded::No => format!("{node}: its packages are as they were"),
            Upgraded::HalfWay => {
                format!("{node}: apt was begun and did not end well. On {node}: dpkg --audit; dpkg --configure -a")
            }
            Upgraded::NotRebooted => format!("{node}: new packages, and still the old kernel: it was not rebooted"),
            Upgraded::Wholly => format!("{node}: upgraded, and not yet seen to be whole again"),
        })
        .collect();
    if lines.is_empty() {
        return;
    }
    page.gap();
    page.line("NOT DONE");
    lines.iter().for_each(|line| page.line(format!("  {line}")));
}

/// From which version to which: the parts that people ask about, and how many packages.
fn versions(view: &View, page: &mut Page) {
    let done: BTreeSet<NodeName> =
        view.nodes().into_iter().map(|node| node.node).filter(|node| view.upgraded(node) != Upgraded::No).collect();
    for upgrade in &view.upgrades {
        let nodes: Vec<&str> = upgrade.nodes.intersection(&done).map(|node| node.as_str()).collect();
        if nodes.is_empty() {
            continue;
        }
        page.gap();
        page.line(format!("Packages upgraded on {}: {}", nodes.join(", "), upgrade.packages.len()));
        upgrade.parts().for_each(|part| page.line(format!("  {part}")));
    }
}

fn costs(view: &View, page: &mut Page) {
    let (promised, bound) = (&view.promised, &view.bound);
    page.gap();
    let mut table = Table::new(&["", "done", "planned", "minimum"]);
    table.row([
        "migrations".to_owned(),
        view.moves().to_string(),
        promised.moves.to_string(),
        format!("{} ({})", bound.moves, bound.why),
    ]);
    table.row(["bytes moved".to_owned(), "-".to_owned(), bytes(promised.bytes), bytes(bound.bytes)]);
    table.row(["reboots".to_owned(), reboots(view, ""), promised.reboots.to_string(), "-".to_owned()]);
    let planned = duration(promised.duration_s);
    table.row(["time".to_owned(), duration(view.duration_s()), planned, "-".to_owned()]);
    table.write(page, "");
}

fn downtime(view: &View, page: &mut Page) {
    page.gap();
    let (downtimes, names) = (view.downtimes(), Names::of(&view.names));
    if downtimes.is_empty() {
        page.line("No guest was stopped.");
        return;
    }
    page.line("Guests that were stopped, with your consent (each at most as long as agreed):");
    let mut table = Table::new(&["guest", "down", "planned", "agreed"]);
    for (guest, down) in &downtimes {
        let still = if down.still_down { ", and still is" } else { "" };
        let planned = view.promised.downtime_s.get(guest).map_or("-".to_owned(), |seconds| duration(*seconds));
        let agreed = view.state.budget_s.as_ref().and_then(|budget| budget.get(guest));
        let agreed = agreed.map_or("-".to_owned(), |seconds| duration(*seconds));
        table.row([names.with(*guest), format!("{}{still}", duration(down.seconds)), planned, agreed]);
    }
    table.write(page, "  ");
    if let Some(budget) = &view.state.budget_s {
        let spent: u64 = downtimes.values().map(|down| down.seconds).sum();
        let agreed: u64 = budget.values().sum();
        page.line(format!("  {} of the {} agreed to", duration(spent), duration(agreed)));
    }
}

/// Guests that were stopped when the run began, and that PVE has started with their nodes.
fn started(view: &View, page: &mut Page) {
    let booted = |node: &NodeName| {
        let reboots = view.steps.iter().filter(|step| step.step.on_node() == OnNode::Reboots);
        reboots
            .filter(|step| step.step.node() == Some(node))
            .any(|step| matches!(step.ended, Some((_, StepOutcome::Done))))
    };
    let started: Vec<_> = view.promised.starts.iter().filter(|(_, node)| booted(node)).collect();
    if started.is_empty() {
        return;
    }
    page.gap();
    page.line("Guests that were stopped before, and that PVE starts with their node (onboot is set):");
    for (guest, node) in started {
        page.line(format!("  {guest}  with {node}"));
    }
}

/// What an aborted run could not undo without harm.
fn left_to_you(view: &View, page: &mut Page) {
    let left = view.steps.iter().filter_map(|step| match &step.ended {
        Some((_, StepOutcome::HandedOver(why))) => Some((&step.title, why)),
        _ => None,
    });
    let left: Vec<_> = left.collect();
    if left.is_empty() {
        return;
    }
    page.gap();
    page.line("Left to you, because the run could not undo it without harm, or not at all:");
    for (title, why) in left {
        page.line(format!("  {title}"));
        page.line(format!("    {why}"));
    }
}

/// Findings that the operator accepted as they are.
fn waived(view: &View, page: &mut Page) {
    if view.waivers.is_empty() {
        return;
    }
    page.gap();
    page.line("Findings that were waived:");
    for given in &view.waivers {
        page.line(format!("  {}  {} waived {}: {}", moment(given.at), given.by, given.waiver, given.waiver.reason));
        for finding in &given.findings {
            page.line(format!("                           {finding}"));
        }
    }
}

/// What the final check found.
fn final_check(view: &View, page: &mut Page) {
    let Some(FinalCheckView { at, node, findings }) = &view.final_check else { return };
    page.gap();
    let asked = format!(
        "After the last node, {node}, PVE's checker and Quorate's node checks were run again on all nodes, {}:",
        moment(*at)
    );
    if findings.is_empty() {
        page.line(format!("{asked} nothing was found."));
        return;
    }
    page.line(asked);
    for finding in findings {
        page.line(format!("  {:<8}  {}", word(finding.severity), problem(finding)));
        match &finding.waived {
            Some(reason) => page.line(format!("            {}, waived: {reason}", finding.check)),
            None => page.line(format!("            {} → {}", finding.check, finding.remedy)),
        }
    }
}

/// Everything that did not go as originally planned.
fn troubles(view: &View, page: &mut Page) {
    let mut lines = Vec::new();
    // The first one began the run, and handed it to the second before anything was done.
    let first = view.steps.first().map_or(view.now, |step| step.started);
    for (at, driver) in view.taken_up.iter().filter(|(at, _)| *at > first) {
        lines.push(format!("{}  taken up by {driver}: the process before it had left it or died", moment(*at)));
    }
    for (at, why) in &view.replans {
        lines.push(format!("{}  new plan: {why}", moment(*at)));
    }
    for (at, change) in &view.outside {
        lines.push(format!("{}  {change}", moment(*at)));
    }
    // That a node is handed over is what was planned.
    for pause in view.pauses.iter().filter(|pause| pause.pause.cause() != PauseCause::Drained) {
        let length = pause.to.map_or("still".to_owned(), |to| duration(to.since_s(pause.from)));
        lines.push(format!("{}  paused ({length}): {}", moment(pause.from), log::paused(pause.pause.cause())));
        lines.extend(pause.why.iter().map(|why| format!("                           {why}")));
    }
    for step in view.steps.iter().filter(|step| step.attempts > 1) {
        lines.push(format!("{}  took {} attempts: {}", moment(step.started), step.attempts, step.title));
    }
    for step in &view.steps {
        let Some((at, StepOutcome::NoEffect(why) | StepOutcome::Abandoned(why))) = &step.ended else { continue };
        lines.push(format!("{}  not done: {} ({})", moment(*at), step.title, WhyNotDone::line(why)));
    }
    for approval in &view.approvals {
        let kinds: Vec<&str> = approval.kinds.iter().map(|kind| log::consent(*kind)).collect();
        lines.push(format!("{}  {} consented to {}", moment(approval.at), approval.by, kinds.join(", ")));
    }
    if !lines.is_empty() {
        lines.sort();
        page.gap();
        page.line("What did not go as planned:");
        for line in lines {
            page.line(format!("  {line}"));
        }
    }
}
