//! What is shown of a run at one moment: made of the journal, and nothing else. What nobody has read is not known here.

use quorate_core::ids::UnixMs;
use quorate_core::progress::Transfer;
use quorate_core::steps::OnNode;
use quorate_core::time_left::TimeLeft;
use quorate_core::view::{NodePhase, RunPhase, View};
use serde_json::{Value, json};

use super::cluster::{self, Said};
use super::facts::Facts;
use super::happened::events;
use super::nodes::{NodeRow, nodes};
use super::tone::Tone;
use crate::render::driver::Standing;
use crate::render::log;
use crate::render::units::{clock, duration, minutes, moment, until};

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
            cluster_says: cluster::says(view, facts.glance(), now),
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
        let says = self.cluster_says.iter().map(|said| {
            let words: Vec<&str> = said.iter().map(|(words, _)| words.as_str()).collect();
            words.join(", ")
        });
        let down = self.down.iter();
        let down = down.map(|of| json!({ "guest": of.guest, "for-s": of.for_s, "agreed-s": of.agreed_s }));
        json!({
            "kind": "progress", "version": 1, "run": self.run, "cluster": self.cluster, "at": self.now, "phase": self.phase,
            "node": self.node.map(|(number, _)| number), "of-nodes": self.node.map(|(_, of)| of),
            "percent": self.percent, "left-s": self.left_s,
            "end": self.left_s.map(|left_s| self.now.plus_s(left_s)), "driving": self.driver,
            "nodes": nodes.collect::<Vec<_>>(), "moving": moving.collect::<Vec<_>>(), "down": down.collect::<Vec<_>>(),
            "says": says.collect::<Vec<_>>(), "waiting": self.waiting, "packages": self.packages, "not-as-it-was": self.to_undo,
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
        RunPhase::Drained => (Some(("drained: waits to be given back".to_owned(), Tone::Warn)), Vec::new()),
        RunPhase::Completed => (Some(("completed".to_owned(), Tone::Good)), Vec::new()),
        RunPhase::Aborted => (Some(("aborted".to_owned(), Tone::Warn)), Vec::new()),
        RunPhase::NothingDone => (Some(("ended before it began".to_owned(), Tone::Warn)), Vec::new()),
        RunPhase::Paused => {
            let pause = view.state.paused.as_ref();
            let lines = pause.map(|pause| pause.lines()).unwrap_or_default();
            let cause = pause.map_or("", |pause| log::paused(pause.cause()));
            (Some((format!("PAUSED: {cause}"), Tone::Warn)), lines.into_iter().chain(odd()).collect())
        }
        RunPhase::Running | RunPhase::Aborting if !works && !facts.starts => {
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

fn moving(facts: &Facts<'_>, now: UnixMs) -> Vec<Moving> {
    let begun = facts.view.under_way().filter(|step| step.attempts > 0);
    let moves = begun.filter_map(|step| Some((step, step.step.moves()?)));
    let each = moves.map(|(step, of)| Moving {
        guest: facts.names().with(of.guest),
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
        guest: facts.names().with(*guest),
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
