//! One way through, for one order of the nodes.
//!
//! The swap chain: each node is drained into those that are upgraded already, so that its guests travel once. What
//! finds no room there waits on an old node (parked) and travels again, or somebody else makes room. Of these ways the
//! cheapest is taken, item by item: the hard ones first. No promise of a best way: [`super::search`] tries many.

use super::board::Board;
use super::instance::{Instance, Move, NodeSet, Solution, StuckItem, Turn};

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

/// How a way is looked for; the search varies it.
#[derive(Clone, Debug)]
pub(super) struct Style {
    pub(super) parking: Parking,
    /// Does the constructor choose who waits?
    pub(super) few_wait: FewWait,
    /// Mixes the order of items that are otherwise alike; 0 leaves it.
    pub(super) shuffle: u64,
}

/// Why there is no way of this kind.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It costs as much as the best one known, or more.
    TooDear,
    /// Somebody cannot leave.
    Stuck(Box<StuckItem>),
}

/// Most items that may make room for one.
const MOST_HELPERS: usize = 12;

/// Who goes where to make room.
type Helpers = Vec<(usize, usize)>;

/// Most nodes on which room is made by way of trial.
const MOST_TRIALS: usize = 8;

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

struct Builder<'a> {
    board: Board<'a>,
    claims: Claims,
    /// Place in the order by node; nodes without a turn come before all.
    rank: Vec<usize>,
    style: &'a Style,
    limit: u64,
}

/// Builds one way for `order`, cheaper than `limit`.
pub(super) fn construct(instance: &Instance, order: &[usize], style: &Style, limit: u64) -> Result<Solution, Failure> {
    let mut rank = vec![0; instance.places.len()];
    for (place, node) in order.iter().enumerate() {
        rank[*node] = place + 1;
    }
    let (board, claims) = (Board::new(instance), Claims::new(instance));
    let mut builder = Builder { board, claims, rank, style, limit };
    let everywhere = NodeSet::first(instance.places.len());
    for (number, item) in instance.items.iter().enumerate() {
        if item.allowed != everywhere && instance.places[item.home].has_turn {
            builder.claim(number);
        }
    }
    let mut turns = Vec::with_capacity(order.len());
    for node in order {
        turns.push(Turn { node: *node, moves: builder.turn(*node)? });
    }
    Ok(Solution { turns, cost: builder.board.cost })
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
    fn turn(&mut self, node: usize) -> Result<Vec<Move>, Failure> {
        self.board.leaving = Some(node);
        self.board.moves.clear();
        let mut items = self.board.on[node].clone();
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
        Ok(std::mem::take(&mut self.board.moves))
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

    /// The upgraded node where it fits best: least left over, but not what others will want.
    fn upgraded_target(&self, item: usize, not: NodeSet) -> Option<usize> {
        let spec = self.board.item(item);
        let mut best: Option<(bool, u64, usize)> = None;
        for node in spec.allowed.and(self.board.upgraded).minus(not).iter() {
            let free = self.board.free(node);
            if free < spec.memory_bytes {
                continue;
            }
            let (left, wanted) = (free - spec.memory_bytes, self.claims.of_others(item, node));
            let key = match self.style.parking {
                Parking::Any => (false, mix(self.style.shuffle, (item * 131 + node) as u64), node),
                _ if left >= wanted => (false, left - wanted, node),
                _ => (true, wanted - left, node),
            };
            if best.is_none_or(|best| key < best) && self.board.fits(item, node) {
                best = Some(key);
            }
        }
        best.map(|(_, _, node)| node)
    }

    /// An old node to wait on.
    fn parking(&self, item: usize, not: NodeSet) -> Option<usize> {
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

    /// The cheapest of: others make room on an upgraded node; it waits on an old one; others make room there.
    fn cheapest_detour(&mut self, item: usize) -> Option<(Helpers, usize)> {
        let again = self.board.item(item).cost;
        let mut best: Option<(u64, Helpers, usize)> = None;
        if let Some(node) = self.parking(item, NodeSet::EMPTY) {
            best = Some((again, Vec::new(), node));
        }
        let allowed = self.board.item(item).allowed;
        for (nodes, extra) in [(allowed.and(self.board.upgraded), 0), (allowed.minus(self.board.upgraded), again)] {
            if best.as_ref().is_some_and(|(cost, _, _)| *cost <= extra) {
                continue;
            }
            for node in self.nearly_fitting(item, nodes) {
                let Some((cost, helpers)) = self.make_room(item, node) else { continue };
                if best.as_ref().is_none_or(|(least, _, _)| cost + extra < *least) {
                    best = Some((cost + extra, helpers, node));
                }
            }
        }
        best.map(|(_, helpers, node)| (helpers, node))
    }

    /// Nodes where it may go, those first where least is missing.
    fn nearly_fitting(&self, item: usize, nodes: NodeSet) -> Vec<usize> {
        let possible = |node: &usize| {
            let capacity = self.board.instance.places[*node].capacity_bytes;
            self.board.may_go(item, *node) && capacity >= self.board.item(item).memory_bytes
        };
        let mut nodes: Vec<usize> = nodes.iter().filter(possible).collect();
        nodes.sort_by_key(|node| (std::cmp::Reverse(self.board.free(*node)), *node));
        nodes.truncate(MOST_TRIALS);
        nodes
    }

    /// Who would have to go where so that `item` fits on `node`, and what that costs beyond what is due anyway.
    fn make_room(&mut self, item: usize, node: usize) -> Option<(u64, Helpers)> {
        let before = self.board.moves.len();
        let mut cost = 0;
        let mut done = true;
        while !self.board.fits(item, node) {
            let helper = if self.board.moves.len() - before < MOST_HELPERS { self.helper(item, node) } else { None };
            let Some((extra, helper, to)) = helper else {
                done = false;
                break;
            };
            cost += extra;
            self.board.go(helper, to);
        }
        let helpers = self.board.moves[before..].iter().map(|step| (step.item, step.to)).collect();
        while self.board.moves.len() > before {
            self.board.take_back();
        }
        done.then_some((cost, helpers))
    }

    /// The next one to leave `node`: whoever must not meet `item`; else one that is big enough, the cheapest; else the
    /// biggest.
    fn helper(&self, item: usize, node: usize) -> Option<(u64, usize, usize)> {
        if let Some(other) = self.board.item(item).apart.iter().copied().find(|other| self.board.at[*other] == node) {
            return self.way_out(other, node).map(|(extra, to)| (extra, other, to));
        }
        let missing = self.board.item(item).memory_bytes.saturating_sub(self.board.free(node));
        let mut best: Option<(u64, usize, usize)> = None;
        let mut least = (true, u64::MAX, u64::MAX, usize::MAX);
        for other in self.board.on[node].iter().copied() {
            let bytes = self.board.item(other).memory_bytes;
            let enough = bytes >= missing;
            if bytes == 0 || (!least.0 && !enough) {
                continue;
            }
            let Some((extra, to)) = self.way_out(other, node) else { continue };
            // Enough: the cheapest. Not enough: most memory for the cost.
            let key =
                if enough { (false, extra, bytes, other) } else { (true, extra / bytes, u64::MAX - bytes, other) };
            if key < least {
                (least, best) = (key, Some((extra, other, to)));
            }
        }
        best
    }

    /// Where somebody who makes room goes, and what it costs beyond what is due anyway.
    fn way_out(&self, item: usize, node: usize) -> Option<(u64, usize)> {
        let here = NodeSet::EMPTY.with(node);
        let upgraded = self.board.upgraded;
        let backwards = upgraded.has(node);
        let to = self.upgraded_target(item, here).or_else(|| {
            if backwards && self.board.item(item).forward_only { None } else { self.parking(item, here) }
        })?;
        let cost = self.board.item(item).cost;
        let extra = match (upgraded.has(node), upgraded.has(to)) {
            // The journey that is due anyway, only earlier.
            (false, true) => 0,
            (true, true) | (false, false) => cost,
            (true, false) => 2 * cost,
        };
        Some((extra, to))
    }

    fn stuck(&self, item: usize, node: usize) -> Failure {
        Failure::Stuck(Box::new(StuckItem {
            item,
            node,
            free_bytes: (0..self.board.load.len()).map(|node| self.board.free(node)).collect(),
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
