//! What is not as it was, where a run stands still: every flag, mode and guest, and the command that continues.

use quorate_core::view::View;

use super::names::Names;
use super::page::Page;
use super::units::duration;

/// The page of a run that nobody works on from now on.
pub(crate) fn stopped(view: &View) -> Page {
    let mut page = Page::default();
    if view.state.ended.is_some() {
        page.line("The run has ended.");
        return page;
    }
    let run = view.state.run.as_ref().map_or("", |run| run.as_str());
    page.line(format!("STOPPED: no process works on run {run} any more."));
    not_as_it_was(view).iter().for_each(|line| page.line(format!("  {line}")));
    page.line("  `quorate resume` continues it; `quorate abort` undoes what is left to undo and ends it.");
    page
}

/// One line for each thing that is not as it was; one that says so if there is none.
pub(crate) fn not_as_it_was(view: &View) -> Vec<String> {
    let names = Names::of(&view.names);
    let mut lines: Vec<String> = Vec::new();
    for (guest, down) in view.downtimes().into_iter().filter(|(_, down)| down.still_down) {
        lines.push(format!("DOWN for {} by this run: {}", duration(down.seconds), names.with(guest)));
    }
    for step in view.under_way() {
        let since = duration(view.now.since_s(step.started));
        lines.push(format!("in progress for {since}, and the cluster continues it: {}", names.in_text(&step.title)));
    }
    for open in &view.state.open_changes {
        let undo = names.in_text(&open.undo.kind().title());
        lines.push(format!("still to undo, since {}: {undo}", duration(view.now.since_s(open.since))));
    }
    if let Some(node) = &view.state.current_node {
        lines.push(format!("{node} is the current node: it is not finished"));
    }
    if lines.is_empty() {
        lines.push("Nothing is to undo: no node is out, and no guest is down by this run.".to_owned());
    }
    lines
}
