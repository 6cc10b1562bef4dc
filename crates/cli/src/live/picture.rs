//! What is shown of a run at one moment: made of the journal, and nothing else. What nobody has read is not known here.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StepId, UnixMs};
use quorate_core::plan::NodeStep;
use quorate_core::progress::{Glance, NodeGlance, Progress, Transfer};
use quorate_core::run::Event;
use quorate_core::steps::{OnNode, Step};
use quorate_core::time_left::TimeLeft;
use quorate_core::view::{NodePhase, NodeView, RunPhase, StepView, View};
use quorate_journal::Entry;
use serde_json::{Value, json};

use super::cluster::{self, Said};
use crate::render::driver::Standing;
use crate::render::log;
use crate::render::units::{clock, duration, minutes, moment, until};

/// A driver whose clock differs by more from that of its machine runs in a lab.
const SAME_CLOCK_S: u64 = 5;

/// Events that are kept for the picture.
const LAST_EVENTS: usize = 200;

/// How much something matters to the one who looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// A heading.
    Title,
    /// Worth reading only if one looks for it.
    Quiet,
    /// Done, or as it should be.
    Good,
    /// At work.
    Busy,
    /// Something is not as usual.
    Warn,
    /// Something lies still, or is wrong.
    Bad,
}

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) cluster: String,
    pub(crate) run: String,
    /// Now, by the clock of the run.
    pub(crate) now: UnixMs,
    /// Where the run stands, if it does not simply go on.
    pub(crate) standing: Option<(String, Tone)>,
    /// What there is to say about that.
    pub(crate) notes: Vec<String>,
    /// The node in turn, and how many there are.
    pub(crate) node: Option<(usize, usize)>,
    pub(crate) percent: Option<u8>,
    pub(crate) left_s: Option<u64>,
    pub(crate) nodes: Vec<NodeRow>,
    /// Votes, links, Ceph, HA.
    pub(crate) cluster_says: Vec<Said>,
    pub(crate) moving: Vec<Moving>,
    pub(crate) down: Vec<Down>,
    pub(crate) waiting: Vec<String>,
    /// The last line of the upgrade that is under way.
    pub(crate) packages: Option<String>,
    /// Who works on it, and the last sign of life.
    pub(crate) works: Option<String>,
    /// What the run changed and still has to undo.
    pub(crate) to_undo: Vec<String>,
    /// The last events, oldest first.
    pub(crate) events: Vec<(UnixMs, String, Tone)>,
    pub(crate) phase: Option<RunPhase>,
    driver: Value,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeRow {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) tone: Tone,
    pub(crate) guests: Option<usize>,
    pub(crate) memory_percent: Option<u8>,
    pub(crate) versions: String,
    pub(crate) took: String,
    /// What is left of it, in seconds.
    pub(crate) left_s: Option<u64>,
    /// It is the one in turn, or the next one.
    pub(crate) is_current: bool,
}

/// A guest that travels.
#[derive(Clone, Debug)]
pub(crate) struct Moving {
    pub(crate) guest: String,
    pub(crate) way: String,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) for_s: u64,
    pub(crate) planned_s: Option<u64>,
}

/// A guest that is down because of the run.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    pub(crate) guest: String,
    /// In the whole run.
    pub(crate) for_s: u64,
    pub(crate) agreed_s: Option<u64>,
}

/// All that a picture is made of.
pub(crate) struct Facts<'a> {
    pub(crate) view: &'a View,
    pub(crate) entries: &'a [Entry],
    pub(crate) progress: Option<&'a Progress>,
    pub(crate) standing: &'a Standing,
}

impl Facts<'_> {
    fn glance(&self) -> Option<&Glance> {
        self.progress?.glance.as_ref()
    }

    /// Now, by the clock of the run: this machine's, except in a lab, whose time runs faster.
    fn now(&self) -> UnixMs {
        let last = self.view.state.last_event;
        if let Some(ended) = self.view.ended {
            return ended;
        }
        match self.progress {
            Some(Progress { at, wall, .. }) if at.since_s(*wall).max(wall.since_s(*at)) <= SAME_CLOCK_S => {
                self.standing.now.max(last)
            }
            Some(progress) => progress.at.max(last),
            None => last,
        }
    }

    /// The same text with the names of guests behind their ids.
    fn named(&self, text: &str) -> String {
        let word = |word: &str| GuestId::parse(word).map_or_else(|| word.to_owned(), |guest| self.guest(guest));
        text.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// `vm:114 voip`.
    fn guest(&self, guest: GuestId) -> String {
        match self.glance().and_then(|glance| glance.names.get(&guest)) {
            Some(name) => format!("{guest} {name}"),
            None => guest.to_string(),
        }
    }
}

impl Picture {
    /// The picture of a moment.
    pub(crate) fn of(facts: &Facts<'_>) -> Self {
        let (view, now) = (facts.view, facts.now());
        let left = TimeLeft::of(view, now);
        let (standing, notes) = standing(facts);
        let lies_still = view.ended.is_some() || facts.standing.works.is_none();
        let waits = facts.progress.filter(|progress| !lies_still && progress.at >= view.state.last_event);
        let mut picture = Self {
            cluster: view.state.cluster.clone(),
            run: view.state.run.as_ref().map(ToString::to_string).unwrap_or_default(),
            now,
            standing,
            notes,
            node: node_in_turn(view),
            percent: left.as_ref().map(|left| left.percent),
            left_s: left.as_ref().filter(|_| view.ended.is_none()).map(|left| left.left_s),
            nodes: nodes(facts, left.as_ref(), now),
            cluster_says: cluster::says(view, facts.glance()),
            moving: moving(facts, now),
            down: down(facts, now),
            waiting: waits.map(|progress| progress.waiting.clone()).unwrap_or_default(),
            packages: waits.and_then(|progress| progress.packages.clone()).filter(|_| upgrades(view)),
            works: works(facts.standing),
            to_undo: not_as_it_was(view),
            events: events(facts),
            phase: Some(view.phase()),
            driver: facts.standing.json(),
        };
        if let Some(is) = picture.not_as_it_was().filter(|_| picture.standing.is_some() && view.ended.is_none()) {
            picture.notes.push(format!("Now: {is}."));
        }
        picture
    }

    /// `32 min left, ~15:05 CET`; none where it does not go on.
    pub(crate) fn time_left(&self) -> Option<String> {
        let left_s = self.left_s.filter(|_| self.standing.is_none())?;
        Some(format!("{} left, ~{}", minutes(left_s), until(self.now.plus_s(left_s))))
    }

    /// What is not as it was, in one line; none if all is.
    pub(crate) fn not_as_it_was(&self) -> Option<String> {
        let down = self.down.iter().map(|down| format!("{} is DOWN ({})", down.guest, clock(down.for_s)));
        let all: Vec<String> = self.to_undo.iter().cloned().chain(down).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// One line for a log: how far it is.
    pub(crate) fn summary(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.standing.as_ref().map(|(words, _)| words.clone()));
        parts.extend(self.node.map(|(number, of)| format!("node {number}/{of}")));
        let current = self.nodes.iter().find(|row| row.is_current);
        parts.extend(current.map(|row| format!("{} {}", row.name, row.state)));
        parts.extend(self.percent.map(|percent| format!("{percent} %")));
        parts.extend(self.time_left());
        parts.extend(self.down.iter().map(|down| format!("DOWN: {}", down.words())));
        parts.join(", ")
    }

    /// For programs: `kind`, `version`, moments in milliseconds since 1970 (UTC). Documented in `docs/guide/watch.md`.
    pub(crate) fn json(&self) -> Value {
        let nodes = self.nodes.iter().map(|row| {
            json!({ "node": row.name, "state": row.state, "guests": row.guests, "memory-percent": row.memory_percent })
        });
        let moving = self.moving.iter().map(|of| {
            json!({ "guest": of.guest, "way": of.way, "transfer": of.transfer, "for-s": of.for_s, "planned-s": of.planned_s })
        });
        let down = self.down.iter();
        let down = down.map(|of| json!({ "guest": of.guest, "for-s": of.for_s, "agreed-s": of.agreed_s }));
        json!({
            "kind": "progress", "version": 1, "run": self.run, "cluster": self.cluster, "at": self.now, "phase": self.phase,
            "node": self.node.map(|(number, _)| number), "of-nodes": self.node.map(|(_, of)| of),
            "percent": self.percent, "left-s": self.left_s,
            "end": self.left_s.map(|left_s| self.now.plus_s(left_s)), "driving": self.driver,
            "nodes": nodes.collect::<Vec<_>>(), "moving": moving.collect::<Vec<_>>(), "down": down.collect::<Vec<_>>(),
            "waiting": self.waiting, "packages": self.packages, "not-as-it-was": self.to_undo,
        })
    }
}

impl Down {
    /// `vm:114 voip  4:10 of 16:30 agreed`.
    pub(crate) fn words(&self) -> String {
        match self.agreed_s {
            Some(agreed_s) => format!("{}  {} of {} agreed", self.guest, clock(self.for_s), clock(agreed_s)),
            None => format!("{}  {}", self.guest, clock(self.for_s)),
        }
    }

    /// Is it down for longer than was agreed to?
    pub(crate) fn is_too_long(&self) -> bool {
        self.agreed_s.is_some_and(|agreed_s| self.for_s > agreed_s)
    }
}

/// `anna@desk, process 7; last sign of life 12 s ago`.
fn works(standing: &Standing) -> Option<String> {
    let works = standing.works.as_ref()?;
    Some(format!("{}; last sign of life {} ago", works.holder, duration(standing.now.since_s(works.renewed))))
}

/// Is a node's upgrade under way?
fn upgrades(view: &View) -> bool {
    view.under_way().any(|step| step.step.on_node() == OnNode::Upgrades)
}

/// In a word where the run stands, and what more there is to say about it.
fn standing(facts: &Facts<'_>) -> (Option<(String, Tone)>, Vec<String>) {
    let Facts { view, standing, .. } = facts;
    let works = standing.works.is_some();
    let dead = || match &standing.last_sign {
        Some((_, at)) => format!("STOPPED since {}: no process works on this run", moment(*at)),
        None => "STOPPED: no process works on this run".to_owned(),
    };
    let odd = || standing.oddities();
    match view.phase() {
        RunPhase::Completed => (Some(("completed".to_owned(), Tone::Good)), Vec::new()),
        RunPhase::Aborted => (Some(("aborted".to_owned(), Tone::Warn)), Vec::new()),
        RunPhase::NothingDone => (Some(("ended before it began".to_owned(), Tone::Warn)), Vec::new()),
        RunPhase::Paused => {
            let pause = view.state.paused.as_ref();
            let lines = pause.map(|pause| pause.lines()).unwrap_or_default();
            let cause = pause.map_or("", |pause| log::paused(pause.cause()));
            (Some((format!("PAUSED: {cause}"), Tone::Warn)), lines.into_iter().chain(odd()).collect())
        }
        RunPhase::Running | RunPhase::Aborting if !works => {
            (Some((dead(), Tone::Bad)), vec!["`quorate resume` continues it".to_owned()])
        }
        RunPhase::Aborting => (Some(("aborting: it undoes what it changed".to_owned(), Tone::Warn)), odd()),
        RunPhase::Running => (None, odd()),
    }
}

/// Nodes that are done, and the one that is in turn.
fn node_in_turn(view: &View) -> Option<(usize, usize)> {
    let nodes = view.nodes();
    let begun = nodes.iter().filter(|node| node.phase != NodePhase::Waiting).count();
    (!nodes.is_empty()).then(|| (begun.max(1).min(nodes.len()), nodes.len()))
}

fn nodes(facts: &Facts<'_>, left: Option<&TimeLeft>, now: UnixMs) -> Vec<NodeRow> {
    let in_run = facts.view.nodes();
    let next = in_run.iter().find(|node| node.phase != NodePhase::Done).map(|node| node.node.clone());
    let mut rows: Vec<NodeRow> = Vec::new();
    for node in &in_run {
        let seen = facts.glance().and_then(|glance| glance.nodes.get(&node.node));
        let is_next = next.as_ref() == Some(&node.node) && facts.view.ended.is_none();
        let (state, tone) = state_of(facts, node, is_next, now);
        let left_s = left.and_then(|left| left.nodes_s.get(&node.node));
        let (took, left_s) = (took(node, left_s, now), left_s.copied());
        rows.push(NodeRow { state, tone, took, left_s, is_current: is_next, ..row(&node.node, seen) });
    }
    let others = facts.glance().into_iter().flat_map(|glance| &glance.nodes);
    for (name, seen) in others.filter(|(name, _)| in_run.iter().all(|node| node.node != **name)) {
        rows.push(NodeRow { state: "not in this run".to_owned(), tone: Tone::Quiet, ..row(name, Some(seen)) });
    }
    rows
}

fn row(name: &NodeName, seen: Option<&NodeGlance>) -> NodeRow {
    let from = seen.and_then(|seen| seen.from.as_ref()).map(ToString::to_string);
    let to = seen.and_then(|seen| seen.to.as_ref()).map(ToString::to_string);
    NodeRow {
        name: name.to_string(),
        guests: seen.and_then(|seen| seen.guests),
        memory_percent: seen.and_then(|seen| seen.memory_percent).filter(|_| seen.is_some_and(is_online)),
        versions: match (from, to) {
            (Some(from), Some(to)) if from != to => format!("{from}→{to}"),
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => "-".to_owned(),
        },
        ..NodeRow::default()
    }
}

fn is_online(seen: &NodeGlance) -> bool {
    seen.online == Some(true)
}

fn took(node: &NodeView, left_s: Option<&u64>, now: UnixMs) -> String {
    match (node.started, node.ended) {
        (Some(from), Some(to)) => minutes(to.since_s(from)),
        (Some(from), None) => minutes(now.since_s(from)),
        (None, _) => left_s.map_or_else(String::new, |left_s| format!("~{}", minutes(*left_s))),
    }
}

fn state_of(facts: &Facts<'_>, node: &NodeView, is_next: bool, now: UnixMs) -> (String, Tone) {
    match node.phase {
        NodePhase::Done => return ("done".to_owned(), Tone::Good),
        NodePhase::Working if facts.view.ended.is_some() => return ("NOT FINISHED".to_owned(), Tone::Bad),
        NodePhase::Waiting if facts.view.ended.is_some() => return ("not begun".to_owned(), Tone::Plain),
        NodePhase::Waiting if is_next => return ("next".to_owned(), Tone::Plain),
        NodePhase::Waiting => return ("waiting".to_owned(), Tone::Quiet),
        NodePhase::Working => {}
    }
    let view = facts.view;
    let mine = || view.under_way().filter(|step| step.node.as_ref() == Some(&node.node));
    // What happens to the node itself says more than what happens to its guests.
    let rank = |step: &&StepView| match step.step.on_node() {
        OnNode::Reboots => 0,
        OnNode::WaitsBack => 1,
        OnNode::Upgrades => 2,
        _ if step.step.is_move() => 4,
        _ => 3,
    };
    let Some(step) = mine().min_by_key(rank) else {
        return (format!("{} of {} steps done", node.done, node.total), Tone::Busy);
    };
    let elapsed = elapsed_of_planned(now.since_s(step.started), TimeLeft::planned_s(view, step));
    match step.step.on_node() {
        OnNode::Reboots => (format!("REBOOTING {elapsed}"), Tone::Warn),
        OnNode::WaitsBack => (format!("coming back {elapsed}"), Tone::Busy),
        OnNode::Upgrades => (format!("packages {elapsed}"), Tone::Busy),
        _ if step.step.is_move() => (moves_of(view, &node.node), Tone::Busy),
        _ => (format!("{} {elapsed}", words(&step.step)), Tone::Busy),
    }
}

/// `1:12 of ~2:30`.
fn elapsed_of_planned(elapsed_s: u64, planned_s: Option<u64>) -> String {
    match planned_s.filter(|planned_s| *planned_s > 0) {
        Some(planned_s) => format!("{} of ~{}", clock(elapsed_s), clock(planned_s)),
        None => clock(elapsed_s),
    }
}

/// A step of a node in few words.
fn words(step: &Step) -> String {
    let guest = step.guest().map(|guest| format!(" {guest}")).unwrap_or_default();
    format!("{}{guest}", step.kind().verb().replace('-', " "))
}

/// `guests move: 3 of 7 done`.
fn moves_of(view: &View, node: &NodeName) -> String {
    let plan = view.state.plan.iter().flat_map(|plan| &plan.node_steps);
    let node_step: Option<&NodeStep> = plan.into_iter().find(|of| of.node.as_ref() == Some(node));
    let moves = || node_step.into_iter().flat_map(|of| &of.steps).filter(|planned| planned.step.is_move());
    let done = moves().filter(|planned| view.state.is_done(&planned.id)).count();
    format!("guests move: {done} of {} done", moves().count())
}

fn moving(facts: &Facts<'_>, now: UnixMs) -> Vec<Moving> {
    let begun = facts.view.under_way().filter(|step| step.attempts > 0);
    let moves = begun.filter_map(|step| Some((step, step.step.moves()?)));
    let each = moves.map(|(step, of)| Moving {
        guest: facts.guest(of.guest),
        way: format!("{}→{}", of.from, of.to),
        transfer: facts.progress.and_then(|progress| progress.moving.get(&of.guest)).copied(),
        for_s: now.since_s(step.started),
        planned_s: TimeLeft::planned_s(facts.view, step),
    });
    each.collect()
}

fn down(facts: &Facts<'_>, now: UnixMs) -> Vec<Down> {
    let state = &facts.view.state;
    let lying = state.spent.iter().filter(|(_, spent)| spent.since.is_some());
    let each = lying.map(|(guest, spent)| Down {
        guest: facts.guest(*guest),
        for_s: spent.seconds(now),
        agreed_s: state.budget_s.as_ref().map(|budget| budget.get(guest).copied().unwrap_or(0)),
    });
    each.collect()
}

/// What the run changed and still has to undo, and a node that is away, in the words of one who looks at the cluster.
/// Guests that are down are told by themselves.
fn not_as_it_was(view: &View) -> Vec<String> {
    let away = view.state.under_way().filter(|(_, record)| {
        matches!(record.step.on_node(), OnNode::Reboots | OnNode::WaitsBack) && record.attempts > 0
    });
    let away = away.filter_map(|(_, record)| Some(format!("{} is rebooting", record.step.node()?)));
    let undo = view.state.open_changes.iter().filter(|open| open.undo.starts().is_none());
    let undo = undo.map(|open| cluster::as_it_is(&open.undo));
    let mut all: Vec<String> = Vec::new();
    away.chain(undo).for_each(|what| {
        if !all.contains(&what) {
            all.push(what);
        }
    });
    all
}

fn events(facts: &Facts<'_>) -> Vec<(UnixMs, String, Tone)> {
    let mut begun: BTreeMap<&StepId, UnixMs> = BTreeMap::new();
    let mut told = Vec::new();
    for Entry { at, event, .. } in facts.entries {
        let took = match event {
            Event::StepStarted { id, .. } => {
                begun.entry(id).or_insert(*at);
                None
            }
            Event::StepEnded { id, .. } => begun.remove(id).map(|from| at.since_s(from)),
            _ => None,
        };
        if let Some(tone) = tone(event) {
            let took = took.map(|took| format!("  ({})", clock(took))).unwrap_or_default();
            told.push((*at, facts.named(&log::headline(event)) + &took, tone));
        }
    }
    told.split_off(told.len().saturating_sub(LAST_EVENTS))
}

/// How much an event matters; none for what is only in the log.
fn tone(event: &Event) -> Option<Tone> {
    Some(match event {
        Event::CommandAnswered { .. } | Event::FirstSeen { .. } | Event::OutputKept { .. } => return None,
        // What is under way is shown by itself.
        Event::StepStarted { attempt: 0 | 1, .. } => return None,
        Event::StepEnded { outcome, .. } if outcome.is_done() => Tone::Good,
        Event::StepStarted { .. }
        | Event::StepEnded { .. }
        | Event::CommandInDoubt { .. }
        | Event::CommandNotDone { .. }
        | Event::ThrottleChanged { .. }
        | Event::CertificateTakenOver { .. }
        | Event::Paused { .. }
        | Event::AbortBegun { .. } => Tone::Warn,
        Event::ChangedOutside { .. } => Tone::Bad,
        Event::RunStarted { .. }
        | Event::DriverTookOver { .. }
        | Event::ListsRefreshBegun { .. }
        | Event::ListsRefreshed { .. }
        | Event::FoundSet { .. }
        | Event::PlanAdopted { .. }
        | Event::Consented { .. }
        | Event::DowntimeAgreed { .. }
        | Event::Waived { .. }
        | Event::ConfirmedOff { .. }
        | Event::GuestRanSince { .. }
        | Event::FinalCheck { .. }
        | Event::Resumed { .. }
        | Event::RunEnded { .. } => Tone::Plain,
    })
}
