//! Places all guests at once for one order of the nodes.
//!
//! Placing guest by guest decides early which guests wait where; in a tight cluster the last ones then find no room
//! that another choice would have left them. Here every guest has a path from the start (a `Journey`: the node where it
//! is at each moment), and a first choice of paths is repaired until no node holds more than it can, no guests meet
//! that must be apart, and all together cost less than the best solution known. What stays violated gets more weight
//! with every step, so the search does not get stuck (breakout local search). The result is a suggestion:
//! [`super::construct`] makes its moves as far as the rules of a move allow.

use super::board::Board;
use crate::planner::bound::journeys::Choice;
use crate::planner::bound::journeys::rows::{self, Early};
use crate::planner::draws::mix;
use crate::planner::problem::instance::{Instance, Move, Place, Solution, Turn};

/// Repair steps for one order: a few milliseconds for a hundred guests.
const STEPS: u64 = 4000;

/// At most this many paths over all guests.
const MOST_JOURNEYS: u64 = 40_000;

/// A guest that has changed its path keeps it for this many steps, and for a few more at random.
const KEPT: u64 = 4;

/// Bytes are counted in pieces of this size, rounded up.
const PIECE_BITS: u32 = 16;

/// More pieces than this count as this many (1 PiB): sums of them, times weights, stay far below the maximum of an
/// `i64`.
const MOST_PIECES: u64 = 1 << 34;

/// A path: the node of a guest at each moment, and what its moves cost.
struct Journey {
    at: Vec<usize>,
    cost: u64,
}

/// A guest with its possible paths, and the one that is chosen.
struct Row {
    memory: i64,
    journeys: Vec<Journey>,
    taken: usize,
    /// The choice is not changed before this step.
    kept_until: u64,
}

/// A constraint that a choice violates.
#[derive(Clone, Copy, Debug)]
enum Broken {
    /// A node holds more than it can while another is away.
    Full { moment: usize, node: usize },
    /// All moves together cost too much.
    Dear,
    /// This guest meets one that it must not meet.
    Meeting { item: usize },
}

struct Packing<'a> {
    instance: &'a Instance,
    /// The guests with their paths, by number.
    rows: Vec<Row>,
    /// Pieces that are missing (above 0) or left, by moment and node.
    over: Vec<Vec<i64>>,
    weight: Vec<Vec<i64>>,
    /// Cost above the limit, in bytes.
    dear: i64,
    dear_weight: i64,
    meeting_weight: i64,
}

/// Searches for paths in this complete order that together cost less than `limit`.
pub(in crate::planner) fn pack(
    instance: &Instance,
    order: &[usize],
    limit: u64,
    early: Early,
    seed: u64,
) -> Option<Choice> {
    let mut packing = Packing::new(instance, order, limit, early, seed)?;
    for step in 1..=STEPS {
        let broken = packing.broken();
        if broken.is_empty() {
            return Some(packing.choice(order));
        }
        let one = broken[(mix(seed, step) % broken.len() as u64) as usize];
        packing.mend(one, &broken, step, seed);
    }
    None
}

fn pieces(bytes: u64) -> i64 {
    bytes.div_ceil(1 << PIECE_BITS).min(MOST_PIECES) as i64
}

impl<'a> Packing<'a> {
    /// None if nothing is this cheap, or there are too many paths.
    fn new(instance: &'a Instance, order: &[usize], limit: u64, early: Early, seed: u64) -> Option<Self> {
        let costs: Vec<u64> = instance.items.iter().map(|item| item.cost).collect();
        let mut left = MOST_JOURNEYS;
        let below = rows::below(instance, &costs, order, limit, early, &mut left).filter(|_| left > 0)?;
        let mut rows = Vec::new();
        let mut least = 0_u64;
        for row in below {
            let item = &instance.items[row.item];
            let own = |journey: rows::Journey| Journey { at: journey.at, cost: item.cost * journey.moves };
            let mut journeys: Vec<Journey> = row.journeys.into_iter().map(own).collect();
            journeys.sort_by_key(|journey| journey.cost);
            let cheapest = journeys.first()?.cost;
            let equal = journeys.partition_point(|journey| journey.cost == cheapest);
            let taken = (mix(seed ^ 0xa5, row.item as u64) % equal as u64) as usize;
            least = least.saturating_add(cheapest);
            rows.push(Row { memory: pieces(item.memory_bytes), journeys, taken, kept_until: 0 });
        }
        let room = |place: &Place| (place.capacity_bytes >> PIECE_BITS).min(MOST_PIECES) as i64;
        let empty: Vec<i64> = instance.places.iter().map(|place| -room(place)).collect();
        let mut over = vec![empty; order.len() + 1];
        for row in &rows {
            for (moment, node) in row.journeys[row.taken].at.iter().enumerate() {
                over[moment][*node] += row.memory;
            }
        }
        let weight = vec![vec![1; instance.places.len()]; order.len() + 1];
        let dear = pieces(least) - pieces(limit.saturating_sub(1));
        Some(Self { instance, rows, over, weight, dear, dear_weight: 1, meeting_weight: 1 })
    }

    fn broken(&self) -> Vec<Broken> {
        let mut all = Vec::new();
        for (moment, nodes) in self.over.iter().enumerate() {
            for (node, over) in nodes.iter().enumerate() {
                if *over > 0 {
                    all.push(Broken::Full { moment, node });
                }
            }
        }
        if self.dear > 0 {
            all.push(Broken::Dear);
        }
        let meets = |item: &usize| self.meetings(*item, self.rows[*item].taken) > 0;
        all.extend((0..self.rows.len()).filter(meets).map(|item| Broken::Meeting { item }));
        all
    }

    /// At how many moments of this path the guest meets one that it must not meet.
    fn meetings(&self, item: usize, journey: usize) -> i64 {
        let at = &self.rows[item].journeys[journey].at;
        let others = self.instance.items[item].apart.iter().map(|other| {
            let there = &self.rows[*other].journeys[self.rows[*other].taken].at;
            there.iter().zip(at).filter(|(one, two)| one == two).count() as i64
        });
        others.sum()
    }

    /// Changes the path that repairs most of what is violated here, even if that violates something else.
    fn mend(&mut self, here: Broken, broken: &[Broken], step: u64, seed: u64) {
        let mut best: Option<((i64, u64), usize, usize)> = None;
        for (item, row) in self.rows.iter().enumerate().filter(|(_, row)| row.kept_until <= step) {
            let taken = &row.journeys[row.taken];
            let concerned = match here {
                Broken::Full { moment, node } => taken.at[moment] == node && row.memory > 0,
                Broken::Dear => taken.cost > row.journeys[0].cost,
                Broken::Meeting { item: who } => who == item,
            };
            for (number, journey) in row.journeys.iter().enumerate().filter(|_| concerned) {
                let mends = match here {
                    Broken::Full { moment, node } => journey.at[moment] != node,
                    Broken::Dear => journey.cost < taken.cost,
                    Broken::Meeting { .. } => number != row.taken,
                };
                let key = (self.change(item, number), mix(seed ^ step, (item * 4099 + number) as u64));
                if mends && best.as_ref().is_none_or(|(least, _, _)| key < *least) {
                    best = Some((key, item, number));
                }
            }
        }
        let Some(((change, _), item, number)) = best else { return self.weigh(broken) };
        if change >= 0 {
            self.weigh(broken);
        }
        self.take(item, number);
        self.rows[item].kept_until = step + KEPT + mix(seed, step ^ 0x77) % KEPT;
    }

    /// Gives more weight to what stays violated.
    fn weigh(&mut self, broken: &[Broken]) {
        for one in broken {
            match one {
                Broken::Full { moment, node } => self.weight[*moment][*node] += 1,
                Broken::Dear => self.dear_weight += 1,
                Broken::Meeting { .. } => self.meeting_weight += 1,
            }
        }
    }

    /// How much more would be violated if this guest took that path, with the current weights.
    fn change(&self, item: usize, journey: usize) -> i64 {
        let one = &self.rows[item];
        let (old, new) = (&one.journeys[one.taken], &one.journeys[journey]);
        let mut change = 0;
        for (moment, (from, to)) in old.at.iter().zip(&new.at).enumerate() {
            if from != to {
                let (here, there) = (self.over[moment][*from], self.over[moment][*to]);
                change += self.weight[moment][*from] * ((here - one.memory).max(0) - here.max(0));
                change += self.weight[moment][*to] * ((there + one.memory).max(0) - there.max(0));
            }
        }
        let dear = self.dear + pieces(new.cost) - pieces(old.cost);
        change += self.dear_weight * (dear.max(0) - self.dear.max(0));
        let meets = self.meetings(item, journey) - self.meetings(item, one.taken);
        change + self.meeting_weight * meets * one.memory.max(1)
    }

    fn take(&mut self, item: usize, journey: usize) {
        let one = &mut self.rows[item];
        let (old, new) = (&one.journeys[one.taken], &one.journeys[journey]);
        for (moment, (from, to)) in old.at.iter().zip(&new.at).enumerate() {
            self.over[moment][*from] -= one.memory;
            self.over[moment][*to] += one.memory;
        }
        self.dear += pieces(new.cost) - pieces(old.cost);
        one.taken = journey;
    }

    fn choice(&self, order: &[usize]) -> Choice {
        let at = |row: &Row| row.journeys[row.taken].at.clone();
        Choice { order: order.to_vec(), at: self.rows.iter().map(at).enumerate().collect() }
    }
}

/// The moves of a choice, node step by node step, each as soon as it fits; what never fits is left out.
pub(in crate::planner) fn as_moves(instance: &Instance, choice: &Choice) -> Solution {
    let mut board = Board::new(instance);
    let mut solution = Solution::default();
    let last = choice.order.len();
    for (moment, node) in choice.order.iter().enumerate() {
        board.leaving = Some(*node);
        let moves = all_that_fit(&mut board, choice, moment);
        board.upgraded = board.upgraded.with(*node);
        board.leaving = None;
        let back = if moment + 1 == last { all_that_fit(&mut board, choice, last) } else { Vec::new() };
        solution.turns.push(Turn { node: *node, moves, back });
    }
    solution.cost = board.cost;
    solution
}

fn all_that_fit(board: &mut Board<'_>, choice: &Choice, moment: usize) -> Vec<Move> {
    board.moves.clear();
    let mut gone = true;
    while gone {
        gone = false;
        for (item, at) in &choice.at {
            if board.at[*item] != at[moment] && board.fits(*item, at[moment]) {
                board.go(*item, at[moment]);
                gone = true;
            }
        }
    }
    std::mem::take(&mut board.moves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::problem::instance::{Item, NodeSet, Release};

    const PIECE: u64 = 1 << PIECE_BITS;

    fn nodes(capacities: &[u64]) -> Vec<Place> {
        let after = Release { qemu: 1, pve: 1 };
        let place = |pieces: &u64| Place { capacity_bytes: pieces * PIECE, has_turn: true, after, ..Place::default() };
        capacities.iter().map(place).collect()
    }

    fn item(pieces: u64, home: usize) -> Item {
        let allowed = NodeSet::first(3);
        Item { memory_bytes: pieces * PIECE, cost: PIECE, home, allowed, forward_only: true, ..Item::default() }
    }

    fn at(choice: &Choice) -> Vec<&[usize]> {
        choice.at.iter().map(|(_, at)| at.as_slice()).collect()
    }

    /// Every guest moves once, and the two of the first node twice: both old nodes have 6 left, so neither takes both.
    #[test]
    fn no_node_is_overcommitted_at_any_moment() {
        let items = vec![item(6, 0), item(5, 0), item(4, 1), item(3, 2)];
        let instance = Instance { places: nodes(&[12, 10, 9]), items, ..Instance::default() };
        let choice = pack(&instance, &[0, 1, 2], 7 * PIECE, Early::No, 1).expect("six moves are enough");
        for moment in 0..3 {
            let mut load = [0; 3];
            for ((_, at), item) in choice.at.iter().zip(&instance.items) {
                assert_ne!(at[moment], choice.order[moment], "the node is away");
                load[at[moment]] += item.memory_bytes / PIECE;
            }
            assert!(load[0] <= 12 && load[1] <= 10 && load[2] <= 9, "{load:?}");
        }
        assert!(
            pack(&instance, &[0, 1, 2], 6 * PIECE, Early::No, 1).is_none(),
            "every guest once, and the two of the first node twice"
        );
    }

    /// Neither of the others has room for the first node's guest, unless one makes room before its own node is drained.
    #[test]
    fn a_guest_makes_room_before_its_own_node_is_drained_if_it_may_move_early() {
        let items = vec![item(6, 0), item(5, 1), item(4, 2)];
        let instance = Instance { places: nodes(&[12, 10, 9]), items, ..Instance::default() };
        assert!(pack(&instance, &[0, 1, 2], 6 * PIECE, Early::No, 1).is_none());
        let choice = pack(&instance, &[0, 1, 2], 6 * PIECE, Early::Yes, 1).expect("five moves are enough");
        let at = at(&choice);
        assert!(at[1][0] != 1 || at[2][0] != 2, "one of them has moved before the first node goes down: {at:?}");
    }

    #[test]
    fn guests_that_must_not_meet_do_not_meet() {
        let mut items = vec![item(1, 0), item(1, 1), item(1, 2)];
        let instance =
            |items: &[Item]| Instance { places: nodes(&[9, 9, 9]), items: items.to_vec(), ..Instance::default() };
        assert!(pack(&instance(&items), &[0, 1, 2], 5 * PIECE, Early::No, 1).is_some());
        (items[0].apart, items[1].apart) = (vec![1], vec![0]);
        for seed in 0..20 {
            let choice =
                pack(&instance(&items), &[0, 1, 2], 5 * PIECE, Early::No, seed).expect("it waits on the last node");
            let at = at(&choice);
            assert!(at[0].iter().zip(at[1]).all(|(one, two)| one != two), "{at:?}");
        }
        (items[0].apart, items[2].apart) = (vec![1, 2], vec![0]);
        assert!(
            pack(&instance(&items), &[0, 1, 2], 50 * PIECE, Early::No, 1).is_none(),
            "one of the others is wherever it goes"
        );
    }

    #[test]
    fn no_guest_goes_back_to_an_older_release_or_to_a_node_that_is_not_allowed() {
        let mut guest = item(1, 0);
        guest.allowed = NodeSet::EMPTY.with(0).with(2);
        let mut instance = Instance { places: nodes(&[9, 9, 9]), items: vec![guest], ..Instance::default() };
        let choice = pack(&instance, &[0, 1, 2], 3 * PIECE, Early::No, 1).expect("to the last node, and home again");
        assert_eq!(at(&choice), [[2, 2, 0, 0]]);
        // A VM on a node that is newer already cannot go to an older one.
        instance.items[0].home = 2;
        instance.places[2].before = Release { qemu: 1, pve: 1 };
        assert!(pack(&instance, &[2, 0], 9 * PIECE, Early::No, 1).is_none());
    }
}
