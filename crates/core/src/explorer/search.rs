//! Breadth-first search through all states, so that the first path to harm is a shortest one.

use std::collections::{BTreeMap, VecDeque};

use super::harm::{Harm, harms};
use super::model::{GuestAt, NodeAt, Phase, Shape, State, guest_id, name};
use crate::invariants::{Context, RuleId, guard};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::{
    ExpectedVotes, Maintenance, Migrate, MoveMode, Noout, Reboot, Step, StepStatus, UpgradePackages, set, undo,
};

/// What was found.
pub(super) struct Found {
    /// How many states were visited.
    pub(super) states: usize,
    /// The shortest path to harm by a step of ours, line by line, and the harm.
    pub(super) story: Option<(Vec<String>, Harm)>,
    /// Was a state reached in which every node is done?
    pub(super) done: bool,
}

/// Visits everything that can happen with these rules switched off and up to this many faults.
pub(super) struct Search<'a> {
    shape: &'a Shape,
    base: Snapshot,
    policy: Policy,
    out: &'a [RuleId],
    faults: u8,
    wanted: &'a str,
}

/// One transition out of a state.
struct Transition {
    words: String,
    to: State,
    ours: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(shape: &'a Shape, out: &'a [RuleId], faults: u8) -> Self {
        Self { shape, base: shape.base(), policy: Policy::default(), out, faults, wanted: "" }
    }

    /// Only harm that contains these words ends the search.
    pub(super) fn wanted(mut self, wanted: &'a str) -> Self {
        self.wanted = wanted;
        self
    }

    pub(super) fn run(&self) -> Found {
        let start = self.shape.start();
        let mut came: BTreeMap<State, Option<(State, String)>> = BTreeMap::from([(start.clone(), None)]);
        let mut queue = VecDeque::from([start]);
        let mut done = false;
        while let Some(state) = queue.pop_front() {
            done |= state.nodes.iter().all(NodeAt::is_done);
            let before = harms(self.shape, &state);
            for Transition { words, to, ours } in self.ways(&state) {
                let new = |harm: &Harm| harm.contains(self.wanted) && !before.contains(harm);
                if ours && let Some(harm) = harms(self.shape, &to).into_iter().find(new) {
                    let mut story = way_to(&came, &state);
                    story.push(words);
                    return Found { states: came.len(), story: Some((story, harm)), done };
                }
                if !came.contains_key(&to) {
                    came.insert(to.clone(), Some((state.clone(), words)));
                    queue.push_back(to);
                }
            }
        }
        Found { states: came.len(), story: None, done }
    }

    fn ways(&self, state: &State) -> Vec<Transition> {
        let mut ways = self.steps(state);
        self.ends(state, &mut ways);
        if state.faults < self.faults {
            self.planned_faults(state, &mut ways);
        }
        ways
    }

    /// Steps of ours that the rules allow.
    fn steps(&self, state: &State) -> Vec<Transition> {
        let snapshot = state.snapshot(&self.base);
        let in_flight: Vec<Step> =
            state.guests.iter().enumerate().filter_map(|(index, at)| in_flight(index, *at)).collect();
        let in_flight: Vec<&Step> = in_flight.iter().collect();
        let mut ways = Vec::new();
        for (step, turn, to) in self.candidates(state) {
            if !may_begin(&step, &snapshot) {
                continue;
            }
            let context = Context { current_node: turn.map(name), ..Context::new(&self.policy) };
            let refusals = guard(&step, &in_flight, &snapshot, &context).err().unwrap_or_default();
            let refused = refusals.iter().any(|refusal| !self.out.contains(&refusal.rule));
            if !refused {
                ways.push(Transition { words: format!("we {}", step.kind().title()), to, ours: true });
            }
        }
        ways
    }

    /// Anything that a planner could choose: the step, the node step that it belongs to, and the state after it.
    fn candidates(&self, state: &State) -> Vec<(Step, Option<usize>, State)> {
        let mut all = Vec::new();
        for (index, node) in state.nodes.iter().enumerate() {
            // A node step ends when its node is done; until then no other begins.
            let its_turn = state.turn.is_none_or(|turn| turn == index);
            if !its_turn || node.phase != Phase::Up || (node.is_done() && state.turn.is_none()) {
                continue;
            }
            let mut add = |step: Step, change: &dyn Fn(&mut NodeAt)| {
                let mut to = state.clone();
                to.turn = Some(index);
                change(&mut to.nodes[index]);
                if to.nodes[index].is_done() {
                    to.turn = None;
                }
                all.push((step, Some(index), to));
            };
            let this = || name(index);
            if !node.rebooted {
                add(set(Maintenance { node: this() }), &|node| node.ours = true);
                add(set(Noout::by_host(this())), &|node| node.noout = true);
            }
            if !node.packages_new {
                let unit = "quorate-upgrade-x".into();
                add(UpgradePackages { node: this(), unit }.into(), &|node| node.phase = Phase::Upgrading);
            }
            if node.packages_new && !node.rebooted {
                let from_boot = format!("boot-{}", this()).as_str().into();
                add(Reboot { node: this(), from_boot }.into(), &|node| node.phase = Phase::Rebooting);
            }
            if node.noout && node.rebooted {
                add(undo(Noout::by_host(this())), &|node| node.noout = false);
            }
            if node.ours && node.rebooted {
                add(undo(Maintenance { node: this() }), &|node| node.ours = false);
            }
        }
        self.moves(state, &mut all);
        all.extend(self.lowering(state));
        all
    }

    /// As if the nodes that we cannot reach were dead.
    fn lowering(&self, state: &State) -> Option<(Step, Option<usize>, State)> {
        let here = state.cut_off.filter(|here| !state.lowered && state.nodes[*here].is_member())?;
        let off = (0..state.nodes.len()).filter(|node| *node != here).map(name).collect();
        let configured = self.shape.votes.iter().sum();
        let step = ExpectedVotes { node: name(here), expected: self.shape.votes[here], configured, off };
        Some((set(step), state.turn, State { lowered: true, ..state.clone() }))
    }

    fn moves(&self, state: &State, all: &mut Vec<(Step, Option<usize>, State)>) {
        for (guest, at) in state.guests.iter().enumerate() {
            let GuestAt::Runs(from) = *at else { continue };
            for to in (0..state.nodes.len()).filter(|to| *to != from) {
                let mode = if self.shape.guests[guest].2 { MoveMode::Ha } else { MoveMode::Live };
                let step =
                    Migrate { guest: guest_id(guest), from: name(from), to: name(to), mode, storages: [].into() };
                let mut next = state.clone();
                next.guests[guest] = GuestAt::Moves { from, to };
                all.push((step.into(), state.turn, next));
            }
        }
    }

    /// What is under way ends.
    fn ends(&self, state: &State, ways: &mut Vec<Transition>) {
        let mut add = |words: String, change: &dyn Fn(&mut State)| {
            let mut to = state.clone();
            change(&mut to);
            ways.push(Transition { words, to, ours: false });
        };
        for (guest, at) in state.guests.iter().enumerate() {
            if let GuestAt::Moves { to, .. } = *at {
                add(format!("{} arrives on {}", guest_id(guest), name(to)), &|state| {
                    state.guests[guest] = GuestAt::Runs(to)
                });
            }
        }
        for (index, node) in state.nodes.iter().enumerate() {
            match node.phase {
                Phase::Upgrading => add(format!("{} has its new packages", name(index)), &|state| {
                    state.nodes[index].phase = Phase::Up;
                    state.nodes[index].packages_new = true;
                }),
                Phase::Rebooting => add(format!("{} is back", name(index)), &|state| {
                    state.nodes[index].phase = Phase::Up;
                    state.nodes[index].rebooted = true;
                    if state.nodes[index].is_done() {
                        state.turn = None;
                    }
                }),
                Phase::Up | Phase::Dead => {}
            }
        }
    }

    /// Faults, and what other people do.
    fn planned_faults(&self, state: &State, ways: &mut Vec<Transition>) {
        let mut add = |words: String, change: &dyn Fn(&mut State)| {
            let mut to = state.clone();
            to.faults += 1;
            change(&mut to);
            ways.push(Transition { words, to, ours: false });
        };
        for (index, node) in state.nodes.iter().enumerate() {
            let this = name(index);
            if node.phase == Phase::Up {
                add(format!("{this} loses its power"), &|state| dies(state, index));
                if !node.foreign && !node.ours && self.shape.guests.iter().any(|(_, _, managed)| *managed) {
                    add(format!("an administrator puts {this} into maintenance"), &|state| {
                        state.nodes[index].foreign = true
                    });
                }
                if self.shape.may_split && state.cut_off.is_none() {
                    add(format!("{this} is cut off from the others, and we are on its side"), &|state| {
                        state.cut_off = Some(index)
                    });
                }
                if !node.link_down {
                    add(format!("a link of {this} goes down"), &|state| state.nodes[index].link_down = true);
                }
                if self.shape.has_ceph && !node.osd_failed {
                    add(format!("the OSD of {this} fails"), &|state| state.nodes[index].osd_failed = true);
                }
            }
        }
        for (guest, at) in state.guests.iter().enumerate() {
            if let GuestAt::Stopped(on) = *at
                && state.nodes[on].phase == Phase::Up
            {
                add(format!("an administrator starts {} on {}", guest_id(guest), name(on)), &|state| {
                    state.guests[guest] = GuestAt::Runs(on);
                });
            }
        }
    }
}

/// Expected votes are lowered at the moment at which that is checked: the step is never ready by itself.
fn may_begin(step: &Step, snapshot: &Snapshot) -> bool {
    match step.kind().status(snapshot) {
        StepStatus::Ready => true,
        StepStatus::Impossible(_) => step.expected_votes().is_some(),
        StepStatus::HalfDone | StepStatus::Running(_) | StepStatus::Done | StepStatus::Blocked(_) => false,
    }
}

fn in_flight(guest: usize, at: GuestAt) -> Option<Step> {
    let GuestAt::Moves { from, to } = at else { return None };
    Some(
        Migrate { guest: guest_id(guest), from: name(from), to: name(to), mode: MoveMode::Live, storages: [].into() }
            .into(),
    )
}

/// A node is gone with what ran on it; a guest that moves to or from it is where its disk is, on the other side.
fn dies(state: &mut State, index: usize) {
    state.nodes[index].phase = Phase::Dead;
    for at in &mut state.guests {
        *at = match *at {
            GuestAt::Runs(on) if on == index => GuestAt::Lost,
            GuestAt::Moves { from, .. } if from == index => GuestAt::Lost,
            GuestAt::Moves { from, to } if to == index => GuestAt::Runs(from),
            other => other,
        };
    }
}

fn way_to(came: &BTreeMap<State, Option<(State, String)>>, state: &State) -> Vec<String> {
    let mut story = Vec::new();
    let mut at = state;
    while let Some(Some((before, words))) = came.get(at) {
        story.push(words.clone());
        at = before;
    }
    story.reverse();
    story
}
