//! One way through, for one order of the nodes.
//!
//! The swap chain: each node is drained into those that are upgraded already, so that its guests travel once. What
//! finds no room there waits on an old node (parked) and travels again, or somebody else makes room. Of these ways the
//! cheapest is taken, item by item: the hard ones first. No promise of a best way: [`super::search`] tries many.

use super::board::Board;
use super::instance::{Instance, Move, NodeSet, Solution, StuckItem, Turn};
use crate::policy::Overlap;

/// Where items are parked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parking {
    /// On the node that is drained last: by then there is most room on upgraded ones.
    Late,
    /// Where least memory is left over.
    Tight,
    /// Anywhere, as the dice fall; so is the order of the items, and now and then one waits though it need not.
    Any,
}

/// Is it chosen who waits where the upgraded nodes have not the memory for all?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FewWait {
    /// Few big ones wait.
    Yes,
    /// Whoever comes last waits.
    No,
}

/// Which of the upgraded nodes takes somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// The one with least left over: big holes stay for big ones.
    Tight,
    /// The emptiest.
    Even,
}

/// When those come back that are to be somewhere at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// As soon as their node is upgraded and has room.
    AtOnce,
    /// When everything is upgraded.
    AtTheEnd,
}

/// How a way is looked for; the search varies it.
#[derive(Clone, Debug)]
pub(super) struct Style {
    pub(super) parking: Parking,
    /// Does the constructor choose who waits?
    pub(super) few_wait: FewWait,
    pub(super) fill: Fill,
    pub(super) back: Back,
    /// Mixes the order of items that are otherwise alike; 0 leaves it.
    pub(super) shuffle: u64,
}

/// Why not this node: it is not where the item ends, it is just rebooting; then how badly it fits; then its number.
type Preference = ((bool, bool), (bool, u64), usize);

/// Why there is no way of this kind.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It costs as much as the best one known, or more.
    TooDear,
    /// Somebody cannot leave.
    Stuck(Box<StuckItem>),
}

/// How often a turn begins anew with the stuck item in front.
const MOST_RETRIES: usize = 12;

/// Memory that restricted items will want on a node later.
#[derive(Clone, Debug)]
struct Claims {
    /// By item: where, and how much on each of these nodes.
    by_item: Vec<(NodeSet, u64)>,
    /// By node.
    total: Vec<u64>,
}

impl Claims {
    fn new(instance: &Instance) -> Self {
        Self { by_item: vec![(NodeSet::EMPTY, 0); instance.items.len()], total: vec![0; instance.places.len()] }
    }

    fn set(&mut self, item: usize, nodes: NodeSet, bytes: u64) {
        self.drop(item);
        let share = if nodes.is_empty() { 0 } else { bytes / nodes.len() as u64 };
        for node in nodes.iter() {
            self.total[node] += share;
        }
        self.by_item[item] = (nodes, share);
    }

    fn drop(&mut self, item: usize) {
        let (nodes, share) = std::mem::take(&mut self.by_item[item]);
        for node in nodes.iter() {
            self.total[node] -= share;
        }
    }

    /// What others want of a node.
    fn of_others(&self, item: usize, node: usize) -> u64 {
        let (nodes, share) = self.by_item[item];
        self.total[node] - if nodes.has(node) { share } else { 0 }
    }
}

pub(super) struct Builder<'a> {
    pub(super) board: Board<'a>,
    claims: Claims,
    /// Place in the order by node; nodes without a turn come before all.
    rank: Vec<usize>,
    style: &'a Style,
    limit: u64,
    /// The node that was upgraded last, if guests of the next one leave while it reboots.
    rebooting: Option<usize>,
}

/// Builds one way for `order`, cheaper than `limit`. Where there is an older way, its moves are made again as far as
/// they still can be.
pub(super) fn construct(
    instance: &Instance,
    order: &[usize],
    style: &Style,
    limit: u64,
    older: Option<&Solution>,
) -> Result<Solution, Failure> {
    let mut rank = vec![0; instance.places.len()];
    for (place, node) in order.iter().enumerate() {
        rank[*node] = place + 1;
    }
    let (board, claims) = (Board::new(instance), Claims::new(instance));
    let mut builder = Builder { board, claims, rank, style, limit, rebooting: None };
    let everywhere = NodeSet::first(instance.places.len());
    for (number, item) in instance.items.iter().enumerate() {
        if item.allowed != everywhere && instance.places[item.home].has_turn {
            builder.claim(number);
        }
    }
    let mut turns = Vec::with_capacity(order.len());
    for node in order {
        let older = older.and_then(|older| older.turns.iter().find(|turn| turn.node == *node));
        let moves = builder.turn(*node, older.map_or(&[], |turn| &turn.moves))?;
        builder.follow(older.map_or(&[], |turn| &turn.back));
        if style.back == Back::AtOnce || Some(node) == order.last() {
            builder.come_back();
        }
        if Some(node) == order.last() {
            builder.come_back_by_detours();
            builder.balance();
        }
        if builder.board.cost >= limit {
            return Err(Failure::TooDear);
        }
        turns.push(Turn { node: *node, moves, back: std::mem::take(&mut builder.board.moves) });
    }
    Ok(Solution { turns, cost: builder.board.cost, unmet: builder.unmet() })
}

impl Builder<'_> {
    /// Notes where a restricted item will want to go when its node's turn comes.
    fn claim(&mut self, item: usize) {
        let (spec, at) = (self.board.item(item), self.board.at[item]);
        let here = self.rank[at];
        let later = spec.allowed.iter().filter(|node| self.rank[*node] < here).collect();
        self.claims.set(item, later, spec.memory_bytes);
    }

    /// Drains a node. If somebody is stuck, everything of this turn is taken back and the stuck one goes first.
    fn turn(&mut self, node: usize, older: &[Move]) -> Result<Vec<Move>, Failure> {
        self.board.leaving = Some(node);
        self.board.moves.clear();
        // Before older moves are made: if the turn begins anew, whoever they took away is back.
        let mut items = self.board.on[node].clone();
        self.follow(older);
        items.sort_unstable_by_key(|item| self.precedence(*item));
        let mut retries = 0;
        while let Err(stuck) = self.drain(node, &items) {
            retries += 1;
            let again = items.first() != Some(&stuck) && retries <= MOST_RETRIES;
            if !again {
                return Err(self.stuck(stuck, node));
            }
            while !self.board.moves.is_empty() {
                self.board.take_back();
            }
            items.retain(|item| *item != stuck);
            items.insert(0, stuck);
        }
        if self.board.cost >= self.limit {
            return Err(Failure::TooDear);
        }
        for index in 0..self.board.moves.len() {
            let moved = self.board.moves[index].item;
            self.settle(moved);
        }
        self.board.upgraded = self.board.upgraded.with(node);
        self.board.leaving = None;
        self.rebooting = Some(node).filter(|_| self.board.instance.overlap == Overlap::Reboot);
        Ok(std::mem::take(&mut self.board.moves))
    }

    /// Makes the moves of an older way, as far as they still can be made.
    fn follow(&mut self, older: &[Move]) {
        for step in older {
            if self.board.at[step.item] == step.from && self.board.fits(step.item, step.to) {
                self.board.go(step.item, step.to);
            }
        }
    }

    /// Hard ones first: few nodes to go to, then big.
    fn precedence(&self, item: usize) -> (usize, std::cmp::Reverse<u64>, u64, usize) {
        let spec = self.board.item(item);
        let now = spec.allowed.and(self.board.upgraded).len();
        let bytes = match self.style.shuffle {
            _ if self.style.parking == Parking::Any => 0,
            0 => spec.memory_bytes,
            // Items of about the same size change places.
            seed => u64::from(spec.memory_bytes.checked_ilog2().unwrap_or(0)) + mix(seed, item as u64) % 2,
        };
        let bucket = if spec.allowed.len() == self.board.instance.places.len() { usize::MAX } else { now };
        (bucket, std::cmp::Reverse(bytes), mix(self.style.shuffle, item as u64), item)
    }

    fn settle(&mut self, item: usize) {
        let parked = !self.board.upgraded.has(self.board.at[item]);
        let restricted = self.board.item(item).allowed.len() < self.board.instance.places.len();
        if parked && restricted { self.claim(item) } else { self.claims.drop(item) }
    }

    fn drain(&mut self, node: usize, items: &[usize]) -> Result<(), usize> {
        let waiters = self.waiters(node);
        for item in items {
            if self.board.at[*item] != node {
                continue;
            }
            if (waiters.contains(item) || self.waits_by_chance(*item))
                && let Some(to) = self.parking(*item, NodeSet::EMPTY)
            {
                self.board.go(*item, to);
                continue;
            }
            if let Some(to) = self.upgraded_target(*item, NodeSet::EMPTY) {
                self.board.go(*item, to);
                continue;
            }
            let (helpers, to) = self.cheapest_detour(*item).ok_or(*item)?;
            for (helper, there) in helpers {
                self.board.go(helper, there);
            }
            self.board.go(*item, to);
        }
        Ok(())
    }

    /// Who waits because the upgraded nodes have not the memory for all: few big ones, which is cheaper than many
    /// small ones.
    fn waiters(&self, node: usize) -> Vec<usize> {
        let upgraded = self.board.upgraded;
        let room: u64 = upgraded.iter().map(|node| self.board.free(node)).sum();
        let mut missing = self.board.load[node].saturating_sub(room);
        if missing == 0 || upgraded.is_empty() || self.style.few_wait == FewWait::No {
            return Vec::new();
        }
        let anywhere = self.board.instance.places.len();
        let mut big: Vec<usize> = self.board.on[node]
            .iter()
            .copied()
            .filter(|item| self.board.item(*item).allowed.len() == anywhere)
            .collect();
        big.sort_by_key(|item| (std::cmp::Reverse(self.board.item(*item).memory_bytes), *item));
        let mut waiters = Vec::new();
        while missing > 0 && !big.is_empty() {
            // The smallest that is enough, else the biggest.
            let enough = big.iter().rposition(|item| self.board.item(*item).memory_bytes >= missing);
            let item = big.remove(enough.unwrap_or(0));
            missing = missing.saturating_sub(self.board.item(item).memory_bytes);
            waiters.push(item);
        }
        waiters
    }

    fn waits_by_chance(&self, item: usize) -> bool {
        self.style.parking == Parking::Any && mix(self.style.shuffle ^ 0x55, item as u64).is_multiple_of(8)
    }

    /// The upgraded node where it fits best: where it is to end, one that is not just rebooting, and then least left
    /// over, but not what others will want.
    pub(super) fn upgraded_target(&self, item: usize, not: NodeSet) -> Option<usize> {
        let spec = self.board.item(item);
        let mut best: Option<Preference> = None;
        for node in spec.allowed.and(self.board.upgraded).minus(not).iter() {
            let free = self.board.free(node);
            if free < spec.memory_bytes {
                continue;
            }
            let (left, wanted) = (free - spec.memory_bytes, self.claims.of_others(item, node));
            let fits_as = match self.style.parking {
                Parking::Any => (false, mix(self.style.shuffle, (item * 131 + node) as u64)),
                _ if left < wanted => (true, wanted - left),
                _ if self.style.fill == Fill::Even => (false, self.board.fullness(node)),
                _ => (false, left - wanted),
            };
            let elsewhere = spec.ends.is_some_and(|ends| !ends.has(node));
            let key = ((elsewhere, self.rebooting == Some(node)), fits_as, node);
            if best.is_none_or(|best| key < best) && self.board.fits(item, node) {
                best = Some(key);
            }
        }
        best.map(|(_, _, node)| node)
    }

    /// An old node to wait on.
    pub(super) fn parking(&self, item: usize, not: NodeSet) -> Option<usize> {
        let old = self.board.item(item).allowed.minus(self.board.upgraded).minus(not);
        let fitting = old.iter().filter(|node| self.board.fits(item, *node));
        match self.style.parking {
            Parking::Late => fitting.max_by_key(|node| (self.rank[*node], *node)),
            Parking::Tight => fitting.min_by_key(|node| (self.board.free(*node), *node)),
            Parking::Any => {
                let draw = |node: usize| mix(self.style.shuffle, (item * 131 + node) as u64);
                fitting.min_by_key(|node| (draw(*node), *node))
            }
        }
    }

    fn stuck(&self, item: usize, node: usize) -> Failure {
        Failure::Stuck(Box::new(StuckItem {
            item,
            node,
            free_bytes: (0..self.board.load.len()).map(|node| self.board.free(node)).collect(),
            cpus_free: (0..self.board.load.len()).map(|node| self.board.cpus_left(node)).collect(),
            upgraded: self.board.upgraded,
            positions: self.board.at.clone(),
        }))
    }
}

/// A number that looks random and is always the same for the same input (SplitMix64).
pub(super) fn mix(seed: u64, value: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(value.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
