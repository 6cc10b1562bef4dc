//! A plan: numbered steps node by node, then what it costs and what it needs consent for.

use std::collections::BTreeSet;

use quorate_core::plan::{Consent, NodeStep, Plan, PlannedStep, StepWhy};
use quorate_core::planner::report::Report;
use quorate_core::policy::{ConsentKind, Policy};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::Step;

use super::log::{consent, short};
use super::page::Page;
use super::plan_report;
use super::units::{bytes, duration, moment};

/// What is printed under each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Nothing further.
    Steps,
    /// The literal command.
    Commands,
}

/// The page.
pub(crate) fn plan(plan: &Plan, snapshot: &Snapshot, policy: &Policy, detail: Detail) -> Page {
    let mut page = title_line(plan, snapshot);
    page.page(&node_steps(plan, snapshot, detail));
    footer(&mut page, plan, snapshot, policy);
    page
}

/// The page with the planner's report on its plan: counts before the steps, the rest after the costs.
pub(crate) fn with_report(plan: &Plan, report: &Report, snapshot: &Snapshot, policy: &Policy, detail: Detail) -> Page {
    let mut page = title_line(plan, snapshot);
    page.page(&plan_report::head(plan, report));
    page.page(&node_steps(plan, snapshot, detail));
    footer(&mut page, plan, snapshot, policy);
    page.page(&plan_report::rest(plan, report, snapshot));
    page
}

fn title_line(plan: &Plan, snapshot: &Snapshot) -> Page {
    let mut page = Page::default();
    let cluster = snapshot.cluster_name.known().map_or("?", String::as_str);
    let (id, taken) = (short(plan.id.as_str()), moment(plan.snapshot_taken));
    page.line(format!("Plan {id} for cluster {cluster}, from the snapshot of {taken}"));
    page
}

fn node_steps(plan: &Plan, snapshot: &Snapshot, detail: Detail) -> Page {
    let mut page = Page::default();
    let mut number = 0;
    for (index, node_step) in plan.node_steps.iter().enumerate() {
        page.gap();
        page.line(node_step_heading(plan, index, node_step));
        let mut why_before = None;
        for planned in &node_step.steps {
            number += 1;
            step(&mut page, number, planned, plan, snapshot, why_before);
            why_before = Some(&planned.why);
            if detail == Detail::Commands {
                let command = planned.step.kind().command(snapshot);
                page.line(format!(
                    "        {}",
                    command.map_or("(no command)".to_owned(), |command| command.to_string())
                ));
            }
        }
    }
    page
}

/// `Node 1 of 3: pve2, about 9 min. All its guests move to nodes that are already upgraded.`
fn node_step_heading(plan: &Plan, index: usize, node_step: &NodeStep) -> String {
    let nodes = |steps: &[NodeStep]| steps.iter().filter(|step| step.node.is_some()).count();
    let subject = match &node_step.node {
        Some(node) => format!("Node {} of {}: {node}", nodes(&plan.node_steps[..=index]), nodes(&plan.node_steps)),
        None => "Whole cluster".to_owned(),
    };
    let why = node_step.why.to_string();
    let mut letters = why.chars();
    let why: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    format!("{subject}, about {}. {why}", duration(node_step.duration_s()))
}

/// One line. A reason is not repeated: a step without one has the same reason as the step before it.
fn step(
    page: &mut Page,
    number: usize,
    planned: &PlannedStep,
    plan: &Plan,
    snapshot: &Snapshot,
    why_before: Option<&StepWhy>,
) {
    let title = title(&planned.step, snapshot);
    let mut remarks = Vec::new();
    if planned.estimate_s > 0 {
        remarks.push(format!("~{}", duration(planned.estimate_s)));
    }
    if let Some(seconds) = planned.step.takes_down().and_then(|guest| plan.costs.downtime_s.get(&guest)) {
        remarks.push(format!("DOWN, ~{} in total", duration(*seconds)));
    }
    if why_before != Some(&planned.why) {
        remarks.push(planned.why.to_string());
    }
    let remarks = if remarks.is_empty() { String::new() } else { format!("  [{}]", remarks.join("; ")) };
    page.line(format!("  {number:>4}  {title}{remarks}"));
}

/// The step's title, with the guest's name after its id.
fn title(step: &Step, snapshot: &Snapshot) -> String {
    let title = step.kind().title();
    match step.guest().and_then(|guest| snapshot.guests.get(&guest)) {
        Some(guest) => title.replacen(&guest.id.to_string(), &format!("{} {}", guest.id, guest.name), 1),
        None => title,
    }
}

fn footer(page: &mut Page, plan: &Plan, snapshot: &Snapshot, policy: &Policy) {
    let (costs, bound) = (&plan.costs, &plan.bound);
    page.gap();
    page.line(format!(
        "Cost      {} migrations ({}), {} reboots, about {}",
        costs.moves,
        bytes(costs.bytes),
        costs.reboots,
        duration(costs.duration_s)
    ));
    page.line(format!(
        "Minimum   no plan needs fewer than {} migrations ({}): {}",
        bound.moves,
        bytes(bound.bytes),
        bound.why
    ));
    if costs.downtime_s.is_empty() {
        page.line("Downtime  none");
    } else {
        let total: u64 = costs.downtime_s.values().sum();
        let agreed: u64 = plan.downtime_allowed_s(policy).values().sum();
        page.line(format!(
            "Downtime  {}, {} in total; starting the run consents to up to {} ({} % more than planned)",
            guests(costs.downtime_s.len()),
            duration(total),
            duration(agreed),
            policy.downtime_margin_percent
        ));
        for (guest, seconds) in &costs.downtime_s {
            let name = snapshot.guests.get(guest).map(|guest| guest.name.clone()).unwrap_or_default();
            page.line(format!("          {guest} {name}, ~{}", duration(*seconds)));
        }
    }
    for (guest, node) in &costs.starts {
        let name = snapshot.guests.get(guest).map(|guest| guest.name.clone()).unwrap_or_default();
        page.line(format!(
            "Starts    {guest} {name}, stopped now: PVE starts it when {node} has booted (onboot is set)"
        ));
    }
    consents(page, &plan.consents, policy);
}

fn consents(page: &mut Page, consents: &[Consent], policy: &Policy) {
    let kinds: BTreeSet<ConsentKind> = consents.iter().map(|consent| consent.kind).collect();
    if kinds.is_empty() {
        page.line("Consents  none needed");
        return;
    }
    for kind in kinds {
        let these: Vec<&Consent> = consents.iter().filter(|consent| consent.kind == kind).collect();
        let given = if policy.consents.contains(&kind) { "given" } else { "NOT GIVEN" };
        page.line(format!("Consent   {} ({given}): {}", consent(kind), guests(these.len())));
        for Consent { downtime_s, what, .. } in these {
            let time = if *downtime_s > 0 { format!(", ~{}", duration(*downtime_s)) } else { String::new() };
            page.line(format!("          {what}{time}"));
        }
    }
}

fn guests(count: usize) -> String {
    if count == 1 { "1 guest".to_owned() } else { format!("{count} guests") }
}

/// The kinds of consent that the plan needs and that have not been given.
pub(crate) fn consents_missing(plan: &Plan, policy: &Policy) -> BTreeSet<ConsentKind> {
    let asked = plan.consents.iter().map(|consent| consent.kind);
    asked.filter(|kind| !policy.consents.contains(kind)).collect()
}
