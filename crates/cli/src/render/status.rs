//! The state of a run: `quorate status`.

use quorate_core::migration_throttle::Throttle;
use quorate_core::view::{NodePhase, RunPhase, View};

use super::driver::Standing;
use super::log;
use super::names::Names;
use super::page::Page;
use super::table::Table;
use super::units::{duration, moment};

/// How many steps in progress are listed; there are rarely more than the parallel migrations.
const LISTED: usize = 20;

/// The page.
pub(crate) fn status(view: &View, standing: &Standing) -> Page {
    let mut page = Page::default();
    page.line(headline(view, standing));
    // Nobody has to work on it while a node is held.
    if view.state.ended.is_none() && view.drained().is_none() {
        standing.lines().iter().for_each(|line| page.line(line));
    }
    page.line(format!(
        "since {}, {}; {} migrations, {} so far",
        moment(view.state.started),
        duration(view.duration_s()),
        view.moves(),
        reboots(view, " reboots")
    ));
    page.gap();
    let mut table = Table::new(&["node", "state", "steps", "took"]);
    for node in view.nodes() {
        let state = match node.phase {
            NodePhase::Waiting => "waiting",
            NodePhase::Working => "working",
            NodePhase::Done => "done",
        };
        let took = match (node.started, node.ended) {
            (Some(from), Some(to)) => duration(to.since_s(from)),
            (Some(from), None) => format!("{} so far", duration(view.now.since_s(from))),
            (None, _) => String::new(),
        };
        table.row([node.node.to_string(), state.to_owned(), format!("{}/{}", node.done, node.total), took]);
    }
    table.write(&mut page, "  ");
    under_way(view, &mut page);
    held_back(view, &mut page);
    standing_still(view, &mut page);
    to_undo(view, &mut page);
    page
}

/// `3 reboots`, or `4 reboots (1 not by this run)`: without the word in a table.
pub(crate) fn reboots(view: &View, word: &str) -> String {
    match view.reboots_by_others() {
        0 => format!("{}{word}", view.reboots()),
        others => format!("{}{word} ({others} not by this run)", view.reboots()),
    }
}

fn headline(view: &View, standing: &Standing) -> String {
    let driver = standing.holder();
    let run = view.state.run.as_ref().map(ToString::to_string).unwrap_or_default();
    let cluster = &view.state.cluster;
    let phase = match (view.phase(), driver) {
        (RunPhase::Completed, _) => return format!("run {run} on {cluster}: completed"),
        (RunPhase::Aborted, _) => return format!("run {run} on {cluster}: aborted"),
        (RunPhase::NothingDone, _) => return format!("run {run} on {cluster}: ended before it began"),
        (RunPhase::Drained, _) => return drained(view),
        (RunPhase::Paused, _) => "PAUSED",
        (RunPhase::Running, Some(_)) => "running",
        (RunPhase::Running, None) => "STOPPED",
        (RunPhase::Aborting, Some(_)) => "aborting",
        (RunPhase::Aborting, None) => "STOPPED while aborting",
    };
    match driver {
        Some(driver) => format!("run {run} on {cluster}: {phase} ({driver})"),
        None => {
            let since =
                standing.last_sign.as_ref().map(|(_, at)| format!(" since {}", moment(*at))).unwrap_or_default();
            format!(
                "run {run} on {cluster}: {phase}{since}: no process works on this run. `quorate resume` continues it"
            )
        }
    }
}

fn drained(view: &View) -> String {
    let run = view.state.run.as_ref().map(ToString::to_string).unwrap_or_default();
    let Some((node, since)) = view.drained() else { return format!("run {run}") };
    format!(
        "run {run} on {}: {node} is drained since {}; `quorate undrain {node}` gives it back",
        view.state.cluster,
        moment(since)
    )
}

fn under_way(view: &View, page: &mut Page) {
    let steps: Vec<_> = view.under_way().collect();
    if steps.is_empty() {
        return;
    }
    let names = Names::of(&view.names);
    page.gap();
    page.line("in progress");
    for step in steps.iter().take(LISTED) {
        let so_far = duration(view.now.since_s(step.started));
        let waits = if step.attempts == 0 { ", waiting until it can start" } else { "" };
        page.line(format!("  {} (for {so_far}{waits})", names.in_text(&step.title)));
    }
    if steps.len() > LISTED {
        page.line(format!("  and {} more", steps.len() - LISTED));
    }
}

/// What the migration throttle holds back; nothing is printed while guests move as planned.
fn held_back(view: &View, page: &mut Page) {
    let (throttle, why) = &view.state.throttle;
    if *throttle == Throttle::AsPlanned {
        return;
    }
    page.gap();
    page.line(format!("migration throttle: {throttle}"));
    why.iter().for_each(|line| page.line(format!("  {line}")));
}

fn standing_still(view: &View, page: &mut Page) {
    let Some(pause) = &view.state.paused else { return };
    page.gap();
    page.line(format!("paused: {}", log::paused(pause.cause())));
    for line in pause.lines() {
        page.line(format!("  {}", Names::of(&view.names).in_text(&line)));
    }
}

/// What is still to be undone, oldest first; no section if there is nothing.
pub(crate) fn to_undo(view: &View, page: &mut Page) {
    if view.state.open_changes.is_empty() {
        return;
    }
    let names = Names::of(&view.names);
    page.gap();
    page.line("still to undo");
    for open in &view.state.open_changes {
        page.line(format!("  {} (since {})", names.in_text(&open.undo.kind().title()), moment(open.since)));
    }
}
