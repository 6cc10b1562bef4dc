//! One order of the nodes: the paths of all guests, and Lagrange multipliers on memory at each moment and on imbalance
//! at the end, found by a subgradient method. With any multipliers that are not negative, the sum of every guest's
//! cheapest path is a bound; the best multipliers found are kept.

use super::rows::Row;
use crate::planner::bound::even_end;
use crate::planner::problem::instance::{Instance, Place};

/// By how much limits are exceeded, by moment and node and by pair of nodes, and the sum of the squares.
struct Over {
    full: Vec<Vec<f64>>,
    wide: Vec<Vec<f64>>,
    norm: f64,
}

/// One order: the paths of all guests, and the multipliers.
pub(super) struct Table<'a> {
    pub(super) instance: &'a Instance,
    pub(super) order: Vec<usize>,
    pub(super) rows: Vec<Row>,
    /// By moment and node: memory that guests may take.
    pub(super) room: Vec<Vec<u64>>,
    /// By node: memory that guests must take at the end.
    pub(super) floor: Vec<u64>,
    /// By node: its whole memory; `fixed` is the part of it that cannot move.
    pub(super) whole: Vec<f64>,
    fixed: Vec<f64>,
    /// The fullness of two nodes may differ by less than this at the end, as a share; infinite if no balance is asked
    /// for.
    apart: f64,
    /// The part of the bound that does not depend on the paths.
    pub(super) constant: f64,
    /// How far sums with these multipliers may be off by rounding: the larger they are, the more.
    pub(super) inexact: f64,
}

/// An upper limit for the rounding error of a sum, as a share of all that is added and subtracted in it.
const ROUNDING: f64 = 1e-12;

impl<'a> Table<'a> {
    /// These rows, with multipliers.
    pub(super) fn new(instance: &'a Instance, rows: Vec<Row>, order: &[usize], limit: Option<u64>) -> Self {
        let nodes = instance.places.len();
        let mut content = vec![0_u64; nodes];
        instance.items.iter().for_each(|item| content[item.home] += item.memory_bytes);
        // A node that is over its limit from the start may stay so.
        let room = instance.places.iter().zip(content).map(|(place, content)| place.capacity_bytes.max(content));
        let mut room = vec![room.collect::<Vec<u64>>(); order.len() + 1];
        let mut floor = vec![0; nodes];
        if let Some(spread) = instance.spread {
            for node in 0..nodes {
                room[order.len()][node] = room[order.len()][node].min(even_end::most_on(instance, node, spread));
                floor[node] = even_end::least_on(instance, node, spread);
            }
        }
        let whole = |node: &Place| (node.capacity_bytes + node.fixed_bytes).max(1) as f64;
        let mut table = Self {
            instance,
            order: order.to_vec(),
            rows,
            room,
            floor,
            whole: instance.places.iter().map(whole).collect(),
            fixed: instance.places.iter().map(|place| place.fixed_bytes as f64).collect(),
            apart: instance.spread.map_or(f64::INFINITY, |spread| (spread + 1) as f64 / 1000.0),
            constant: 0.0,
            inexact: 0.0,
        };
        table.find_prices(limit.map(|limit| limit as f64));
        // First guests that others must not meet, because later ones depend on where they are; then big ones.
        let rank =
            |row: &Row| (instance.items[row.item].apart.is_empty(), std::cmp::Reverse(row.memory as u64), row.item);
        table.rows.sort_by_key(rank);
        table
    }

    /// The least that any choice of paths costs, with the multipliers.
    pub(super) fn bound(&self) -> f64 {
        self.constant + self.rows.iter().map(Row::least).sum::<f64>()
    }

    /// Improves the multipliers on memory at each moment and on imbalance at the end step by step, until they rule out
    /// `limit`.
    fn find_prices(&mut self, limit: Option<f64>) {
        let (nodes, moments) = (self.whole.len(), self.room.len());
        let mut memory = vec![vec![0.0; nodes]; moments];
        let mut uneven = vec![vec![0.0; nodes]; nodes];
        let mut best = (f64::NEG_INFINITY, memory.clone(), uneven.clone());
        let once: f64 = self.rows.iter().map(|row| row.weight as f64).sum();
        let mut stride = Stride::new(limit, once);
        for _ in 0..stride.most_steps() {
            self.set_prices(&memory, &uneven);
            let bound = self.bound();
            let better = bound > best.0;
            if better {
                best = (bound, memory.clone(), uneven.clone());
            }
            if limit.is_some_and(|limit| bound - self.inexact > limit) {
                break;
            }
            if stride.shorten(better) {
                (memory, uneven) = (best.1.clone(), best.2.clone());
                self.set_prices(&memory, &uneven);
            }
            let Over { full, wide, norm } = self.over(&memory, &uneven);
            if norm < 1e-12 {
                break;
            }
            let step = stride.length(bound, norm);
            for node in 0..nodes {
                for moment in 0..moments {
                    memory[moment][node] = (memory[moment][node] + step * full[moment][node]).max(0.0);
                }
                for other in 0..nodes {
                    uneven[node][other] = (uneven[node][other] + step * wide[node][other]).max(0.0);
                }
            }
        }
        self.set_prices(&best.1, &best.2);
    }

    /// Where the cheapest paths of all guests exceed a limit, as shares of the node; unused room counts where its
    /// multiplier is above 0.
    fn over(&self, memory: &[Vec<f64>], uneven: &[Vec<f64>]) -> Over {
        let (nodes, moments) = (self.whole.len(), self.room.len());
        let load = self.loads();
        let share = |node: usize| (self.fixed[node] + load[moments - 1][node]) / self.whole[node];
        let mut over = Over { full: vec![vec![0.0; nodes]; moments], wide: vec![vec![0.0; nodes]; nodes], norm: 0.0 };
        for node in 0..nodes {
            for moment in 0..moments {
                let there = (load[moment][node] - self.room[moment][node] as f64) / self.whole[node];
                over.full[moment][node] = if memory[moment][node] > 0.0 { there } else { there.max(0.0) };
                over.norm += over.full[moment][node] * over.full[moment][node];
            }
            for other in (0..nodes).filter(|other| *other != node) {
                let there = share(node) - share(other) - self.apart;
                over.wide[node][other] = if uneven[node][other] > 0.0 { there } else { there.max(0.0) };
                over.norm += over.wide[node][other] * over.wide[node][other];
            }
        }
        over
    }

    fn set_prices(&mut self, memory: &[Vec<f64>], uneven: &[Vec<f64>]) {
        let (nodes, end) = (self.whole.len(), self.room.len() - 1);
        let mut per_byte: Vec<Vec<f64>> = vec![vec![0.0; nodes]; end + 1];
        (self.constant, self.inexact) = (0.0, 0.0);
        let memory_of_all: f64 = self.rows.iter().map(|row| row.memory).sum();
        for node in 0..nodes {
            for (moment, prices) in memory.iter().enumerate() {
                let price = prices[node] / self.whole[node];
                per_byte[moment][node] += price;
                self.constant -= price * self.room[moment][node] as f64;
                self.inexact += price * (self.room[moment][node] as f64 + memory_of_all);
            }
            for other in (0..nodes).filter(|other| *other != node) {
                let price = uneven[node][other];
                if price <= 0.0 {
                    continue;
                }
                per_byte[end][node] += price / self.whole[node];
                per_byte[end][other] -= price / self.whole[other];
                let shares = (self.fixed[node] / self.whole[node], self.fixed[other] / self.whole[other]);
                self.constant += price * (shares.0 - shares.1 - self.apart);
                let of_items = memory_of_all / self.whole[node] + memory_of_all / self.whole[other];
                self.inexact += price * (shares.0 + shares.1 + self.apart + of_items);
            }
        }
        self.inexact *= ROUNDING;
        for row in &mut self.rows {
            for (journey, priced) in row.journeys.iter().zip(&mut row.priced) {
                let prices = journey.at.iter().zip(&per_byte).map(|(node, prices)| prices[*node]).sum::<f64>();
                *priced = (row.weight * journey.moves) as f64 + row.memory * prices;
            }
        }
    }

    /// By moment and node: memory if every guest takes the path that is cheapest now.
    fn loads(&self) -> Vec<Vec<f64>> {
        let mut load = vec![vec![0.0; self.whole.len()]; self.room.len()];
        for row in &self.rows {
            let cheapest = (0..row.priced.len()).min_by(|one, two| row.priced[*one].total_cmp(&row.priced[*two]));
            let Some(journey) = cheapest.map(|journey| &row.journeys[journey]) else { continue };
            journey.at.iter().zip(&mut load).for_each(|(node, load)| load[*node] += row.memory);
        }
        load
    }
}

/// At most this many steps without a limit.
const STEPS: usize = 200;

/// At most this many steps towards a limit.
const STEPS_TO_LIMIT: usize = 500;

/// The step is shortened after this many steps without a better bound: without a limit, and with one.
const STALE: [usize; 2] = [8, 20];

/// The first length, as a share of the sum of all weights.
const FIRST_LENGTH: f64 = 0.1;

/// The bound that steps aim for, as a multiple of the limit.
const BEYOND: f64 = 1.5;

/// How far the multipliers change at each step. Without a limit: by a length that is halved when nothing improves,
/// continuing from the best multipliers. With a limit to rule out: towards a bound well above it (Polyak's step),
/// without going back, because where no plan can be that cheap the bound grows without end.
struct Stride {
    limit: Option<f64>,
    length: f64,
    stale: usize,
}

impl Stride {
    fn new(limit: Option<f64>, once: f64) -> Self {
        let length = if limit.is_some() { 1.0 } else { once * FIRST_LENGTH };
        Self { limit, length, stale: 0 }
    }

    fn most_steps(&self) -> usize {
        if self.limit.is_some() { STEPS_TO_LIMIT } else { STEPS }
    }

    /// Shortens the step after too many steps without improvement. True if the best multipliers are to be restored
    /// then.
    fn shorten(&mut self, better: bool) -> bool {
        self.stale = if better { 0 } else { self.stale + 1 };
        if self.stale <= STALE[usize::from(self.limit.is_some())] {
            return false;
        }
        (self.length, self.stale) = (self.length / 2.0, 0);
        self.limit.is_none()
    }

    /// How far to go in the direction of the excess, whose square is `norm`.
    fn length(&self, bound: f64, norm: f64) -> f64 {
        match self.limit {
            Some(limit) => self.length * (limit * BEYOND - bound) / norm,
            None => self.length / norm.sqrt(),
        }
    }
}
