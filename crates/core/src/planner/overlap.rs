//! What of the next drain can be done while a node reboots: moves that need neither that node nor a move that does.
//!
//! The node that is drained meanwhile is not out: it serves what is still on it. Votes and memory must allow for it all
//! the same: if it failed just then, the rest must be quorate, and nobody is moved to where there is no room for it
//! with one node away.

use crate::ids::NodeName;
use crate::policy::Overlap;
use crate::snapshot::Snapshot;

use super::board::Board;
use super::instance::{Instance, Move, Solution, Turn};
use super::problem::Problem;

/// For each turn, the moves that can be made while the node before it reboots, and the others; both in order.
pub fn split(instance: &Instance, solution: &Solution) -> Vec<(Vec<Move>, Vec<Move>)> {
    let mut board = Board::new(instance);
    let mut before = None;
    let mut all = Vec::with_capacity(solution.turns.len());
    for turn in &solution.turns {
        board.leaving = Some(turn.node);
        let parts = before.and_then(|away| early(&board, &turn.moves, away));
        let (early, late) = parts.unwrap_or_else(|| (Vec::new(), turn.moves.clone()));
        for step in early.iter().chain(&late) {
            board.go(step.item, step.to);
        }
        board.upgraded = board.upgraded.with(turn.node);
        board.leaving = None;
        for step in &turn.back {
            board.go(step.item, step.to);
        }
        board.moves.clear();
        // Who comes back needs the node: then nothing is begun before.
        before = Some(turn.node).filter(|_| turn.back.is_empty());
        all.push((early, late));
    }
    all
}

/// None if the others could not be made after these.
fn early(board: &Board<'_>, moves: &[Move], away: usize) -> Option<(Vec<Move>, Vec<Move>)> {
    let mut trial = board.clone();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    let mut waiting: Vec<usize> = Vec::new();
    for step in moves {
        let can = step.to != away
            && step.from != away
            && !waiting.contains(&step.item)
            && trial.at[step.item] == step.from
            && trial.fits(step.item, step.to);
        if can {
            trial.go(step.item, step.to);
            early.push(*step);
        } else {
            waiting.push(step.item);
            late.push(*step);
        }
    }
    for rest in &late {
        if trial.at[rest.item] != rest.from || !trial.fits(rest.item, rest.to) {
            return None;
        }
        trial.go(rest.item, rest.to);
    }
    Some((early, late))
}

/// A turn, and what of the next one is done while its node reboots.
pub(super) struct InTime {
    pub(super) turn: Turn,
    pub(super) meanwhile: Vec<Move>,
    /// The node that those moves leave.
    pub(super) next: Option<usize>,
}

/// The turns, with what can be done while a node reboots taken to where it is done, if that is wished for.
pub(super) fn in_time(problem: &Problem<'_>, solution: &Solution, reboots: impl Fn(&NodeName) -> bool) -> Vec<InTime> {
    let alone = |turn: &Turn| InTime { turn: turn.clone(), meanwhile: Vec::new(), next: None };
    let mut turns: Vec<InTime> = solution.turns.iter().map(alone).collect();
    if problem.policy.overlap == Overlap::None {
        return turns;
    }
    for (number, (early, late)) in split(&problem.instance, solution).into_iter().enumerate().skip(1) {
        let (before, node) = (turns[number - 1].turn.node, turns[number].turn.node);
        let (away, draining) = (&problem.names[before], &problem.names[node]);
        let stops = |step: &Move| problem.movers[step.item].iter().any(|mover| problem.stops_to_move(mover));
        if !early.is_empty()
            && !early.iter().any(stops)
            && reboots(away)
            && votes_allow(problem.snapshot, away, draining)
        {
            (turns[number - 1].meanwhile, turns[number - 1].next) = (early, Some(node));
            turns[number].turn.moves = late;
        }
    }
    turns
}

/// Would the cluster be quorate without both nodes?
fn votes_allow(snapshot: &Snapshot, away: &NodeName, draining: &NodeName) -> bool {
    let views = snapshot.quorum.iter().filter(|(viewer, _)| *viewer != away && *viewer != draining);
    let mut asked = false;
    for (_, view) in views {
        let Some(view) = view.known() else { return false };
        asked = true;
        let lost: u32 =
            [away, draining].into_iter().filter_map(|name| view.members.get(name)).map(|member| member.votes).sum();
        if view.total_votes.saturating_sub(lost) < view.quorum {
            return false;
        }
    }
    asked
}
