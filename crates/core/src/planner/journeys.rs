//! A balanced end of a small cluster, looked at as a whole: where everybody is while each node is away, and at the end.
//!
//! With three nodes and some twenty guests the bound by what the last node must hold is weak, and building one way item
//! by item misses good ends. Here every order and every journey is weighed: prices on memory and on unevenness
//! (Lagrange multipliers, by subgradient) bound each order from below, and a branch and bound with these prices finds
//! the cheapest choice of journeys. Only the moments when a node is away and the end are looked at, not the ways between
//! them: so what is found here is a bound for every plan, and a suggestion for one.

use super::board::Board;
use super::instance::{Instance, Move, NodeSet, Place, Release, Solution, Turn};

/// Most journeys that an item may have: three nodes have 81, most of which are not allowed.
const MOST_JOURNEYS: usize = 300;

/// Most items.
const MOST_ITEMS: usize = 40;

/// Steps by which prices are bettered.
const PRICE_STEPS: usize = 200;

/// Choices that are looked at in all for a plan: a hundredth of a second.
pub(super) const MOST_CHOICES: u64 = 60_000;

/// One item: where it is at each moment, and how often it moves for that.
struct Journey {
    at: Vec<usize>,
    moves: u64,
}

/// What is known of the cheapest choice of journeys.
pub(super) struct Found {
    /// No plan that meets the wish costs less.
    pub(super) least: u64,
    /// The cheapest choice, if one was found.
    pub(super) best: Option<Choice>,
}

/// An order of the nodes, and each item with where it is at each moment.
pub(super) struct Choice {
    pub(super) order: Vec<usize>,
    at: Vec<(usize, Vec<usize>)>,
}

/// Looks at these whole orders, and at so many choices at most. None where nothing is asked of the end, or the cluster is too big for it.
pub(super) fn cheapest(
    instance: &Instance,
    weights: &[u64],
    orders: &[Vec<usize>],
    most_choices: u64,
) -> Option<Found> {
    let spread = instance.spread?;
    let moments = orders.first()?.len() + 1;
    let journeys = instance.places.len().checked_pow(u32::try_from(moments).ok()?)?;
    if journeys > MOST_JOURNEYS || instance.items.len() > MOST_ITEMS {
        return None;
    }
    let mut tables: Vec<Table<'_>> =
        orders.iter().filter_map(|order| Table::new(instance, weights, order, spread)).collect();
    tables.sort_by(|one, two| one.bound().total_cmp(&two.bound()));
    let mut best: Option<(u64, usize, Vec<usize>)> = None;
    let (mut choices, mut open) = (most_choices, f64::INFINITY);
    for (number, table) in tables.iter().enumerate() {
        let limit = best.as_ref().map_or(u64::MAX, |(cost, _, _)| *cost);
        if limit != u64::MAX && table.bound() > limit as f64 - 0.5 {
            break;
        }
        let mut search = Search::new(table, limit, choices);
        search.go(0, table.constant, 0);
        choices = search.choices;
        if choices == 0 {
            open = open.min(table.bound());
        }
        best = search.best.map(|(cost, chosen)| (cost, number, chosen)).or(best);
    }
    let least = match &best {
        Some((cost, _, _)) if *cost as f64 <= open => *cost,
        // A little less than reckoned: sums of prices are not exact.
        _ if open.is_finite() => (open * (1.0 - 1e-6)) as u64,
        _ => 0,
    };
    let best = best.map(|(_, number, chosen)| {
        let table = &tables[number];
        let at = |(row, journey): (&Row, &usize)| (row.item, row.journeys[*journey].at.clone());
        Choice { order: table.order.clone(), at: table.rows.iter().zip(&chosen).map(at).collect() }
    });
    Some(Found { least, best })
}

/// An item with its journeys, and what each costs with the prices of its table.
struct Row {
    item: usize,
    memory: f64,
    weight: u64,
    journeys: Vec<Journey>,
    priced: Vec<f64>,
}

/// One order: journeys of all items, and prices.
struct Table<'a> {
    instance: &'a Instance,
    order: Vec<usize>,
    rows: Vec<Row>,
    /// By moment and node: memory that items may take.
    room: Vec<Vec<u64>>,
    /// By node: memory of the whole, and of what stays.
    whole: Vec<f64>,
    fixed: Vec<f64>,
    /// Two nodes may be apart by less than this at the end, as a share.
    apart: f64,
    /// What the prices give beside the journeys.
    constant: f64,
}

impl<'a> Table<'a> {
    /// None if somebody has no journey in this order.
    fn new(instance: &'a Instance, weights: &[u64], order: &[usize], spread: u64) -> Option<Self> {
        let mut rows = Vec::new();
        for (item, weight) in weights.iter().enumerate() {
            let journeys = journeys(instance, item, order);
            if journeys.is_empty() {
                return None;
            }
            let memory = instance.items[item].memory_bytes as f64;
            let priced = vec![0.0; journeys.len()];
            rows.push(Row { item, memory, weight: *weight, journeys, priced });
        }
        let mut content = vec![0_u64; instance.places.len()];
        instance.items.iter().for_each(|item| content[item.home] += item.memory_bytes);
        // Whoever is over its limit from the start may stay so.
        let room = instance.places.iter().zip(content).map(|(place, content)| place.capacity_bytes.max(content));
        let room = vec![room.collect::<Vec<u64>>(); order.len() + 1];
        let whole = |node: &Place| (node.capacity_bytes + node.fixed_bytes).max(1) as f64;
        let mut table = Self {
            instance,
            order: order.to_vec(),
            rows,
            room,
            whole: instance.places.iter().map(whole).collect(),
            fixed: instance.places.iter().map(|place| place.fixed_bytes as f64).collect(),
            apart: (spread + 1) as f64 / 1000.0,
            constant: 0.0,
        };
        table.find_prices();
        table.rows.sort_by(|one, two| two.memory.total_cmp(&one.memory).then(one.item.cmp(&two.item)));
        Some(table)
    }

    /// The least that any choice of journeys costs, by the prices.
    fn bound(&self) -> f64 {
        self.constant + self.rows.iter().map(Row::least).sum::<f64>()
    }

    /// Prices on memory at each moment and on unevenness at the end, bettered step by step.
    fn find_prices(&mut self) {
        let (nodes, moments) = (self.whole.len(), self.room.len());
        let mut memory = vec![vec![0.0; nodes]; moments];
        let mut uneven = vec![vec![0.0; nodes]; nodes];
        let mut best = (f64::NEG_INFINITY, memory.clone(), uneven.clone());
        let once: f64 = self.rows.iter().map(|row| row.weight as f64).sum();
        let (mut stride, mut stale) = (once * 0.1, 0);
        for _ in 0..PRICE_STEPS {
            self.set_prices(&memory, &uneven);
            let bound = self.bound();
            if bound > best.0 {
                best = (bound, memory.clone(), uneven.clone());
                stale = 0;
            } else {
                stale += 1;
            }
            if stale > 8 {
                (stride, stale) = (stride / 2.0, 0);
                (memory, uneven) = (best.1.clone(), best.2.clone());
                self.set_prices(&memory, &uneven);
            }
            let load = self.loads();
            let share = |node: usize| (self.fixed[node] + load[moments - 1][node]) / self.whole[node];
            let mut over: Vec<Vec<f64>> = vec![vec![0.0; nodes]; moments];
            let mut wide: Vec<Vec<f64>> = vec![vec![0.0; nodes]; nodes];
            let mut norm = 0.0;
            for node in 0..nodes {
                for moment in 0..moments {
                    let there = (load[moment][node] - self.room[moment][node] as f64) / self.whole[node];
                    over[moment][node] = if memory[moment][node] > 0.0 { there } else { there.max(0.0) };
                    norm += over[moment][node] * over[moment][node];
                }
                for other in (0..nodes).filter(|other| *other != node) {
                    let there = share(node) - share(other) - self.apart;
                    wide[node][other] = if uneven[node][other] > 0.0 { there } else { there.max(0.0) };
                    norm += wide[node][other] * wide[node][other];
                }
            }
            if norm < 1e-12 {
                break;
            }
            let step = stride / norm.sqrt();
            for node in 0..nodes {
                for moment in 0..moments {
                    memory[moment][node] = (memory[moment][node] + step * over[moment][node]).max(0.0);
                }
                for other in 0..nodes {
                    uneven[node][other] = (uneven[node][other] + step * wide[node][other]).max(0.0);
                }
            }
        }
        self.set_prices(&best.1, &best.2);
    }

    fn set_prices(&mut self, memory: &[Vec<f64>], uneven: &[Vec<f64>]) {
        let (nodes, end) = (self.whole.len(), self.room.len() - 1);
        let mut per_byte: Vec<Vec<f64>> = vec![vec![0.0; nodes]; end + 1];
        self.constant = 0.0;
        for node in 0..nodes {
            for (moment, prices) in memory.iter().enumerate() {
                per_byte[moment][node] += prices[node] / self.whole[node];
                self.constant -= prices[node] * self.room[moment][node] as f64 / self.whole[node];
            }
            for other in (0..nodes).filter(|other| *other != node) {
                let price = uneven[node][other];
                per_byte[end][node] += price / self.whole[node];
                per_byte[end][other] -= price / self.whole[other];
                let fixed = self.fixed[node] / self.whole[node] - self.fixed[other] / self.whole[other];
                self.constant += price * (fixed - self.apart);
            }
        }
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

impl Row {
    fn least(&self) -> f64 {
        self.priced.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Every journey of an item that keeps to its nodes and to the releases.
fn journeys(instance: &Instance, number: usize, order: &[usize]) -> Vec<Journey> {
    let item = &instance.items[number];
    let mut all = vec![Journey { at: Vec::new(), moves: 0 }];
    let mut upgraded = instance.ready();
    let release = |node: usize, upgraded: NodeSet| -> Release {
        let place = &instance.places[node];
        if upgraded.has(node) && place.has_turn { place.after } else { place.before }
    };
    for moment in 0..=order.len() {
        let away = order.get(moment).copied();
        let mut longer = Vec::new();
        for journey in &all {
            let from = journey.at.last().copied().unwrap_or(item.home);
            let lands = if away.is_none() { item.lands() } else { item.allowed };
            for to in item.allowed.with(from).iter().filter(|to| Some(*to) != away) {
                let (there, here) = (release(to, upgraded), release(from, upgraded));
                let backward = item.forward_only && !there.takes_from(here);
                let refused = !item.allowed.has(to) || backward || there.qemu < item.least_qemu;
                if (to != from && refused) || (away.is_none() && !lands.has(to)) {
                    continue;
                }
                let moves = journey.moves + u64::from(to != from);
                longer.push(Journey { at: [journey.at.as_slice(), &[to]].concat(), moves });
            }
        }
        all = longer;
        if let Some(away) = away {
            upgraded = upgraded.with(away);
        }
    }
    all
}

struct Search<'a> {
    table: &'a Table<'a>,
    /// The least that this row and all after it cost, by the prices.
    rest: Vec<f64>,
    /// By row: its journeys, cheap ones first.
    ranked: Vec<Vec<usize>>,
    /// Memory of items by moment and node.
    load: Vec<Vec<u64>>,
    chosen: Vec<usize>,
    best: Option<(u64, Vec<usize>)>,
    limit: u64,
    choices: u64,
}

impl<'a> Search<'a> {
    fn new(table: &'a Table<'a>, limit: u64, choices: u64) -> Self {
        let mut rest = vec![0.0; table.rows.len() + 1];
        for (place, row) in table.rows.iter().enumerate().rev() {
            rest[place] = rest[place + 1] + row.least();
        }
        let ranked = table.rows.iter().map(|row| {
            let mut ranked: Vec<usize> = (0..row.journeys.len()).collect();
            ranked.sort_by(|one, two| row.priced[*one].total_cmp(&row.priced[*two]));
            ranked
        });
        let load = vec![vec![0; table.whole.len()]; table.room.len()];
        Self { table, rest, ranked: ranked.collect(), load, chosen: Vec::new(), best: None, limit, choices }
    }

    fn go(&mut self, place: usize, priced: f64, cost: u64) {
        let Some(row) = self.table.rows.get(place) else {
            if self.is_even() && cost < self.limit {
                self.limit = cost;
                self.best = Some((cost, self.chosen.clone()));
            }
            return;
        };
        for rank in 0..self.ranked[place].len() {
            let number = self.ranked[place][rank];
            let so_far = priced + row.priced[number];
            let hopeless = self.limit != u64::MAX && so_far + self.rest[place + 1] > self.limit as f64 - 0.5;
            if hopeless || self.choices == 0 {
                return;
            }
            self.choices -= 1;
            let journey = &row.journeys[number];
            let bytes = self.table.instance.items[row.item].memory_bytes;
            let room = journey.at.iter().zip(&self.load).zip(&self.table.room);
            let fits = room.into_iter().all(|((node, load), room)| load[*node] + bytes <= room[*node]);
            if !fits || self.meets(row.item, &journey.at) {
                continue;
            }
            journey.at.iter().zip(&mut self.load).for_each(|(node, load)| load[*node] += bytes);
            self.chosen.push(number);
            self.go(place + 1, so_far, cost + row.weight * journey.moves);
            self.chosen.pop();
            journey.at.iter().zip(&mut self.load).for_each(|(node, load)| load[*node] -= bytes);
        }
    }

    /// Is somebody placed already whom it would meet?
    fn meets(&self, item: usize, at: &[usize]) -> bool {
        let apart = &self.table.instance.items[item].apart;
        let placed = self.table.rows.iter().zip(&self.chosen).filter(|(row, _)| apart.contains(&row.item));
        let mut others = placed.map(|(row, journey)| &row.journeys[*journey].at);
        others.any(|other| other.iter().zip(at).any(|(one, two)| one == two))
    }

    fn is_even(&self) -> bool {
        let load = &self.load[self.load.len() - 1];
        let full = |node: usize| {
            let place = &self.table.instance.places[node];
            let taken = u128::from(load[node]) + u128::from(place.fixed_bytes);
            taken * 1000 / (u128::from(place.capacity_bytes) + u128::from(place.fixed_bytes)).max(1)
        };
        let (most, least) =
            (0..load.len()).map(full).fold((0, u128::MAX), |(most, least), full| (most.max(full), least.min(full)));
        most - least <= u128::from(self.table.instance.spread.unwrap_or(u64::MAX))
    }
}

/// The moves of a choice, turn by turn, each as soon as it fits; what never fits is left out.
pub(super) fn as_moves(instance: &Instance, choice: &Choice) -> Solution {
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
