//! What a careful administrator would need, by hand.
//!
//! One node after the other, in the order of their names, and each of its guests to the node with the most free memory
//! that takes it then: every rule of a move is kept, and nobody looks further ahead than the next move. Guests stay
//! where that leaves them.

use serde::{Deserialize, Serialize};

use crate::planner::placement::board::Board;
use crate::planner::problem::Problem;

/// What it comes to, in the units of a plan's costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// Moves of guests.
    pub moves: u64,
    /// Memory and local disks that travel, in bytes.
    pub bytes: u64,
    /// Guests that find no room when their node is to go down.
    pub left: u64,
}

pub(super) fn by_hand(problem: &Problem<'_>) -> ByHand {
    let mut board = Board::new(&problem.instance);
    let mut sum = ByHand::default();
    for node in problem.instance.with_turn().iter() {
        board.leaving = Some(node);
        let mut items = board.on[node].clone();
        items.sort_unstable();
        for item in items {
            let movers = &problem.movers[item];
            let targets = (0..problem.names.len()).filter(|to| board.fits(item, *to));
            match targets.max_by_key(|to| (board.free(*to), std::cmp::Reverse(*to))) {
                Some(to) => {
                    board.go(item, to);
                    sum.moves += movers.len() as u64;
                    sum.bytes = movers.iter().map(|mover| mover.bytes).fold(sum.bytes, u64::saturating_add);
                }
                None => sum.left += movers.len() as u64,
            }
        }
        board.leaving = None;
        board.upgraded = board.upgraded.with(node);
        board.moves.clear();
    }
    sum
}
