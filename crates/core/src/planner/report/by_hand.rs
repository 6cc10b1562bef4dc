//! What a careful administrator would need by hand.
//!
//! One node after the other, in the order of their names, and each of its guests to the node with the most free memory
//! that takes it then: every rule of a move is kept, without looking further ahead than the next move. Guests stay
//! where that leaves them.

use serde::{Deserialize, Serialize};

use crate::planner::placement::board::Board;
use crate::planner::problem::Problem;

/// The total, in the units of a plan's costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// How many guests are migrated, each counted once per move.
    pub moves: u64,
    /// Memory and local disks that are copied, in bytes.
    pub bytes: u64,
    /// Guests that find no room when their node is drained.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::planner::Ongoing;
    use crate::planner::problem::reading;
    use crate::policy::Policy;

    fn of(fixture: Fixture) -> ByHand {
        let (snapshot, policy, ongoing) = (fixture.snapshot(), Policy::default(), Ongoing::fresh("unit".into()));
        by_hand(&reading::read(&snapshot, &policy, &ongoing).expect("everything is known"))
    }

    #[test]
    fn each_guest_goes_to_the_node_with_the_most_free_memory_and_stays_until_that_node_is_drained() {
        let fixture = Fixture::cluster(3).vm(101, "pve1", 24).vm(102, "pve2", 16).vm(103, "pve3", 8);
        // 101 to pve3 and on to pve2, 102 and 103 to pve1.
        assert_eq!(of(fixture), ByHand { moves: 4, bytes: (24 + 16 + 8 + 24) << 30, left: 0 });
    }

    #[test]
    fn a_guest_without_room_is_left_behind_even_if_another_order_has_room_for_all() {
        let fixture = || Fixture::cluster(3).vm(101, "pve1", 40).vm(102, "pve2", 30).vm(103, "pve3", 30);
        assert_eq!(of(fixture()).left, 1);
        let (policy, ongoing) = (Policy::default(), Ongoing::fresh("unit".into()));
        assert!(crate::planner::plan(&fixture().snapshot(), &policy, &ongoing).is_ok());
    }

    #[test]
    fn rules_are_kept_by_hand_too() {
        let apart = [101, 102].map(crate::ids::GuestId::vm);
        let fixture = Fixture::cluster(2).vm(101, "pve1", 4).vm(102, "pve2", 4);
        let fixture = apart.into_iter().fold(fixture, Fixture::managed).apart("apart", &apart);
        assert_eq!(of(fixture), ByHand { moves: 0, bytes: 0, left: 2 });
    }
}
