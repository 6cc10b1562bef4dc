//! One order of the nodes: journeys of all items, and prices on memory at each moment and on unevenness at the end
//! (Lagrange multipliers, by subgradient). With any prices that are not negative, the sum of everybody's cheapest
//! journey is a bound; the best prices seen are kept.

use super::rows::Row;
use crate::planner::bound::even_end;
use crate::planner::problem::instance::{Instance, Place};

/// Where limits are broken, by moment and node and by two nodes, and the square of how much altogether.
struct Over {
    full: Vec<Vec<f64>>,
    wide: Vec<Vec<f64>>,
    norm: f64,
}

/// One order: journeys of all items, and prices.
pub(super) struct Table<'a> {
    pub(super) instance: &'a Instance,
    pub(super) order: Vec<usize>,
    pub(super) rows: Vec<Row>,
    /// By moment and node: memory that items may take.
    pub(super) room: Vec<Vec<u64>>,
    /// By node: memory that items must take at the end.
    pub(super) floor: Vec<u64>,
    /// By node: memory of the whole, and of what stays.
    pub(super) whole: Vec<f64>,
    fixed: Vec<f64>,
    /// Two nodes may be apart by less than this at the end, as a share; infinite if nothing is asked of it.
    apart: f64,
    /// What the prices give beside the journeys.
    pub(super) constant: f64,
    /// By so much sums of these prices may be off: the larger the prices, the less is left of what they differ by.
    pub(super) inexact: f64,
}

/// What rounding takes off a sum, as a share of all that is added and taken away in it: more than it ever is.
const ROUNDING: f64 = 1e-12;

impl<'a> Table<'a> {
    /// These rows, with prices.
    pub(super) fn new(instance: &'a Instance, rows: Vec<Row>, order: &[usize], limit: Option<u64>) -> Self {
        let nodes = instance.places.len();
        let mut content = vec![0_u64; nodes];
        instance.items.iter().for_each(|item| content[item.home] += item.memory_bytes);
        // Whoever is over its limit from the start may stay so.
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
        // Those that others must not meet first, for what comes after them depends on where they are; then big ones.
        let rank =
            |row: &Row| (instance.items[row.item].apart.is_empty(), std::cmp::Reverse(row.memory as u64), row.item);
        table.rows.sort_by_key(rank);
        table
    }

    /// The least that any choice of journeys costs, by the prices.
    pub(super) fn bound(&self) -> f64 {
        self.constant + self.rows.iter().map(Row::least).sum::<f64>()
    }

    /// Prices on memory at each moment and on unevenness at the end, bettered step by step, until they rule out `limit`.
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

    /// Where everybody's cheapest journey breaks a limit, as shares of the node; what is left counts where it has a price.
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

    /// By moment and node: memory if everybody takes the journey that is cheapest now.
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

/// Steps without a limit.
const STEPS: usize = 200;

/// Steps towards a limit.
const STEPS_TO_LIMIT: usize = 500;

/// So many steps without a better bound are borne, without a limit and with one.
const STALE: [usize; 2] = [8, 20];

/// The first length, as a share of what everybody's weight comes to.
const FIRST_LENGTH: f64 = 0.1;

/// The bound that steps go towards, as a multiple of the limit.
const BEYOND: f64 = 1.5;

/// How far prices go at each step. Without a limit: as far as a length that is halved where nothing gets better, from the
/// best prices on. With a limit that is to be ruled out: towards a bound well above it (Polyak's step), without going
/// back, for where no plan can be that cheap the bound has no end.
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

    /// Shorter after too many steps that bettered nothing. True if it goes on from the best prices then.
    fn shorten(&mut self, better: bool) -> bool {
        self.stale = if better { 0 } else { self.stale + 1 };
        if self.stale <= STALE[usize::from(self.limit.is_some())] {
            return false;
        }
        (self.length, self.stale) = (self.length / 2.0, 0);
        self.limit.is_none()
    }

    /// How far along what is over, whose square is `norm`.
    fn length(&self, bound: f64, norm: f64) -> f64 {
        match self.limit {
            Some(limit) => self.length * (limit * BEYOND - bound) / norm,
            None => self.length / norm.sqrt(),
        }
    }
}
