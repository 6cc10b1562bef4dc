//! The outcome of a seed's run, and whether that is as it must be.

use std::fmt::Write as _;

use quorate_core::run::{Event, StepOutcome};
use quorate_core::steps::{Act, ChangeSetting, Setting, Step};
use quorate_world::impact::{Impact, ImpactReport};
use quorate_world::tasks::timestamp;

use super::excuses::unexplained;
use super::planned_faults::{FaultDrawn, PlannedFault};
use super::{Case, Events};
use crate::ports::SimPorts;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was refused, and why.
    Refused(Vec<String>),
    /// It completed: every node is done.
    Completed,
    /// The operator aborted it.
    Aborted,
    /// It pauses again and again; the last reasons.
    Stuck(Vec<String>),
    /// It goes on for longer than it may.
    Overtime,
}

/// The outcome of a seed.
#[derive(Clone, Debug)]
pub struct SeedOutcome {
    /// The cluster and policy that the seed drew.
    pub case: Case,
    /// The faults that were planned for it.
    pub planned_faults: Vec<PlannedFault>,
    /// The end of the run.
    pub ending: Ending,
    /// What is not as it must be; nothing, if all is well.
    pub failures: Vec<String>,
    /// Steps that were begun.
    pub steps: u64,
    /// How often it paused.
    pub pauses: u32,
    /// The impact report: what the lab itself counted.
    pub impact: ImpactReport,
    /// Everything that happened.
    pub events: Events,
}

/// A run that was refused.
pub(super) fn refused(case: Case, sim: &SimPorts, why: Vec<String>) -> SeedOutcome {
    let impact = Impact::report(&sim.world(), 0, 0.0);
    let harmed = !impact.clean;
    SeedOutcome {
        case,
        planned_faults: Vec::new(),
        ending: Ending::Refused(why),
        failures: if harmed { vec!["looking and planning did harm".to_owned()] } else { Vec::new() },
        steps: 0,
        pauses: 0,
        impact,
        events: Vec::new(),
    }
}

/// A run that was started, and is over.
pub(super) struct Story {
    /// The end of the run.
    pub(super) ending: Ending,
    /// Nodes that were up to date at that moment.
    pub(super) upgraded: u32,
    /// The faults that were planned for it.
    pub(super) planned_faults: Vec<PlannedFault>,
    /// What was sent although there was a reason not to.
    pub(super) wrongs: Vec<String>,
    /// Everything that happened.
    pub(super) events: Events,
    /// How often it paused.
    pub(super) pauses: u32,
    /// When the operator repaired the cluster.
    pub(super) repairs_ms: Vec<u64>,
}

/// Checks a run that was started.
pub(super) fn of(case: Case, sim: &SimPorts, story: Story) -> SeedOutcome {
    let Story { ending, upgraded, planned_faults, wrongs, events, pauses, repairs_ms } = story;
    let mut world = sim.world();
    for (_, event) in &events {
        if let Event::StepEnded {
            step: Step::ChangeSetting(ChangeSetting { act: Act::Undo, setting: Setting::Failback(failback) }),
            outcome: StepOutcome::HandedOver(_),
            ..
        } = event
        {
            Impact::hand_over(&mut world, failback.guest);
        }
    }
    let impact = Impact::report(&world, 0, 0.0);
    let mut failures = wrongs;
    failures.extend(unexplained(&world, &impact, &repairs_ms));
    match &ending {
        Ending::Completed => {
            let behind = world.impact.baseline.as_ref().map_or(0, |baseline| baseline.behind.len());
            let done = upgraded as usize;
            if done < behind {
                failures.push(format!("the run says that it is complete, and {done} of {behind} nodes are upgraded"));
            }
        }
        Ending::Stuck(why) => failures.push(format!("it does not come to an end: {}", why.join("; "))),
        Ending::Overtime => failures.push("it goes on without an end".to_owned()),
        Ending::Aborted | Ending::Refused(_) => {}
    }
    let nothing_struck =
        planned_faults.iter().all(|planned_fault| matches!(planned_fault.what, FaultDrawn::Dies { .. }));
    if nothing_struck && pauses > 0 {
        failures.push(format!("nothing happened to the cluster, and it paused {pauses} times"));
    }
    let steps = events.iter().filter(|(_, event)| matches!(event, Event::StepStarted { .. })).count() as u64;
    SeedOutcome { case, planned_faults, ending, failures, steps, pauses, impact, events }
}

impl SeedOutcome {
    /// Did nothing go wrong?
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The story for a person: the cluster, its faults, what was done, what is wrong.
    pub fn story(&self) -> String {
        let mut text = String::new();
        let mut line = |part: String| {
            let _ = writeln!(text, "{part}");
        };
        line(format!("seed {}: {:?}, {} steps, {} pauses", self.case.seed, self.ending, self.steps, self.pauses));
        for node in &self.case.file.nodes {
            line(format!(
                "  {} votes {} osds {} {:?} links {}",
                node.name,
                node.votes,
                node.osds,
                node.ceph,
                node.links.len()
            ));
        }
        line(format!(
            "  qdevice {:?}, shutdown policy {:?}",
            self.case.file.cluster.qdevice_votes, self.case.file.options.shutdown_policy
        ));
        for guest in &self.case.file.guests {
            let bound = if guest.devices.is_empty() { "" } else { " PCI" };
            let iso = if guest.iso.is_some() { " ISO" } else { "" };
            line(format!(
                "  {} on {} {} MiB {} ha {:?} {}{bound}{iso}",
                guest.id, guest.node, guest.memory_mib, guest.state, guest.ha, guest.storage
            ));
        }
        for rule in &self.case.file.rules {
            line(format!("  rule {} {:?} {:?}", rule.kind, rule.resources, rule.nodes));
        }
        for planned_fault in &self.planned_faults {
            line(format!("  at {} + {} s: {:?}", planned_fault.when, planned_fault.delay_s, planned_fault.what));
        }
        for (at, event) in &self.events {
            if let Some(told) = told(event) {
                line(format!("{} {told}", timestamp(at.0)));
            }
        }
        for event in &self.impact.events {
            line(format!("impact: {event}"));
        }
        for failure in &self.failures {
            line(format!("FAILED: {failure}"));
        }
        text
    }
}

fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::StepStarted { id, attempt, .. } => format!("begin {id} (attempt {attempt})"),
        Event::StepEnded { id, outcome, .. } => format!("end   {id}: {outcome:?}"),
        Event::CommandAnswered { id, answer, .. } => format!("      {id} answered: {answer}"),
        Event::Paused { pause } => format!("PAUSE {:?}: {}", pause.cause(), pause.lines().join(" | ")),
        Event::PlanAdopted { plan, why } => {
            let node_steps: Vec<String> = plan
                .node_steps
                .iter()
                .map(|node_step| node_step.node.as_ref().map_or("-".to_owned(), ToString::to_string))
                .collect();
            format!("plan  {} ({why})", node_steps.join(" "))
        }
        Event::OutputKept { lines, .. } => format!("      {}", lines.last()?),
        Event::RunStarted { .. } => return None,
        other => other.kind().to_owned(),
    })
}
