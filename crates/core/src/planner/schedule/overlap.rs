//! The part of the next drain that can be done while a node reboots: moves that need neither that node nor a move that
//! does.
//!
//! The node that is drained meanwhile is not down: it runs the guests that are still on it. Votes and memory must allow
//! for its loss all the same: if it failed then, the rest must be quorate, and no guest is moved to a node that has no
//! room for it with one node away.

use crate::ids::NodeName;
use crate::policy::Overlap;
use crate::snapshot::Snapshot;

use crate::planner::placement::board::Board;
use crate::planner::problem::Problem;
use crate::planner::problem::instance::{Instance, Move, Solution, Turn};

/// For each node step, the moves that can be made while the previous node reboots, and the others; both in order.
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
        // A guest that moves back needs the node, so nothing is begun before.
        before = Some(turn.node).filter(|_| turn.back.is_empty());
        all.push((early, late));
    }
    all
}

/// None if the late moves could not be made after the early ones.
fn early(board: &Board<'_>, moves: &[Move], away: usize) -> Option<(Vec<Move>, Vec<Move>)> {
    let mut trial = board.clone();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    let mut waiting: Vec<usize> = Vec::new();
    for step in moves {
        // No guest is on the node that is away, so none leaves it.
        let can = step.to != away
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

/// A node step, and the moves of the next one that are made while its node reboots.
pub(super) struct InTime {
    pub(super) turn: Turn,
    pub(super) meanwhile: Vec<Move>,
    /// The node that those moves leave.
    pub(super) next: Option<usize>,
}

/// The node steps, with the moves that can be made during a reboot assigned to it, if the policy asks for that.
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
        let lost = [away, draining].into_iter().filter_map(|name| view.members.get(name)).map(|member| member.votes);
        let lost = lost.fold(0, u32::saturating_add);
        if view.total_votes.saturating_sub(lost) < view.quorum {
            return false;
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::problem::instance::{Item, NodeSet, Place};

    /// Node 0 has just been upgraded, node 1 is drained next. Which of its moves are made while node 0 reboots?
    fn early_of(items: Vec<Item>, moves: &[(usize, usize, usize)]) -> Vec<Move> {
        let place = |capacity_bytes| Place { capacity_bytes, has_turn: true, ..Place::default() };
        let places = vec![place(100), place(100), place(10), place(100)];
        let instance = Instance { places, items, ..Instance::default() };
        let moves: Vec<Move> =
            moves.iter().map(|(item, from, to)| Move { item: *item, from: *from, to: *to }).collect();
        let turn = |node, moves| Turn { node, moves, ..Turn::default() };
        let solution = Solution { turns: vec![turn(0, Vec::new()), turn(1, moves.clone())], ..Solution::default() };
        let (early, late) = split(&instance, &solution).remove(1);
        assert_eq!(early.len() + late.len(), moves.len());
        early
    }

    fn item(home: usize, memory_bytes: u64) -> Item {
        Item { home, memory_bytes, cost: 1, allowed: NodeSet::first(4), ..Item::default() }
    }

    #[test]
    fn a_move_that_needs_room_freed_by_a_waiting_move_waits_too() {
        let with = |bytes| early_of(vec![item(2, 6), item(1, bytes)], &[(0, 2, 0), (1, 1, 2)]);
        assert_eq!(with(4), [Move { item: 1, from: 1, to: 2 }]);
        assert_eq!(with(6), [], "the other one has not left yet");
    }

    #[test]
    fn a_move_that_would_take_the_room_of_a_waiting_move_is_not_begun() {
        // The second guest waits for the first, which it must not meet; the last one has room only when the third has
        // left.
        let moves = [(0, 2, 0), (1, 1, 2), (2, 2, 0), (3, 1, 2)];
        let mut items = vec![item(2, 2), item(1, 6), item(2, 4), item(1, 4)];
        (items[0].apart, items[1].apart) = (vec![1], vec![0]);
        assert_eq!(early_of(items.clone(), &moves), []);
        items[1].memory_bytes = 2;
        assert_eq!(early_of(items, &moves), [Move { item: 3, from: 1, to: 2 }]);
    }
}
