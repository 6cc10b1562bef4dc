//! Models of how other tools would do it, from their published code or documentation, for comparison.
//!
//! They run on the planner's own placement problem, so that all solve the same task. They do not keep every rule. What
//! they leave undone or break is counted: guests left on a node that goes down, moves that overcommit memory, meetings
//! of guests that must be apart, moves back to an old release. These are models, not the programs themselves: without
//! their faults at run time.

mod topsis;

use quorate_core::planner::problem::instance::{Instance, NodeSet};

/// The result of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Moves, counted per guest.
    pub(crate) moves: u64,
    /// Memory that is copied, in bytes.
    pub(crate) bytes: u64,
    /// Cost of all moves.
    pub(crate) cost: u64,
    /// How many guests are left on a node that goes down.
    pub(crate) left: u64,
    /// Moves beyond the target's memory.
    pub(crate) over: u64,
    /// Meetings of guests that must be apart.
    pub(crate) meetings: u64,
    /// Moves to a node that is not allowed.
    pub(crate) astray: u64,
    /// Moves from an upgraded node to an old one.
    pub(crate) backward: u64,
}

impl Tally {
    /// Is nothing left undone and no rule broken?
    pub(crate) fn clean(&self) -> bool {
        self.left + self.over + self.meetings + self.astray + self.backward == 0
    }
}

/// A strategy to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// PVE's HA maintenance, CRS `basic`, with failback.
    HaBasic,
    /// The same with CRS `static`.
    HaStatic,
    /// The same with failback off: guests do not return.
    HaStaticNoReturn,
    /// Xen Orchestra's rolling pool update: biggest guest to the host with the most free memory, all home at the end.
    Xo,
    /// ProxLB: maintenance, then its balancer.
    ProxLb,
    /// ProxPatch: the node with the most free memory, in any order.
    ProxPatch,
    /// An administrator who takes the allowed node with the most free memory, upgraded or not.
    MostFree,
    /// An administrator who takes the next node, round-robin.
    RoundRobin,
    /// An administrator who takes the upgraded node with the most free memory first.
    GreedyNew,
}

impl Strategy {
    /// All strategies, by name.
    pub(crate) const ALL: [(&'static str, Self); 9] = [
        ("ha-basic", Self::HaBasic),
        ("ha-static", Self::HaStatic),
        ("ha-static-no-return", Self::HaStaticNoReturn),
        ("xo", Self::Xo),
        ("proxlb", Self::ProxLb),
        ("proxpatch", Self::ProxPatch),
        ("most-free", Self::MostFree),
        ("round-robin", Self::RoundRobin),
        ("greedy-upgraded-first", Self::GreedyNew),
    ];

    /// Simulates the whole upgrade. `guests` is how many guests move together in each item; `seed` decides random
    /// choices.
    pub(crate) fn play(self, instance: &Instance, guests: &[u64], seed: u64) -> Tally {
        let mut game = Game::new(instance, guests);
        let mut order: Vec<usize> = instance.with_turn().iter().collect();
        if self == Self::ProxPatch {
            order.sort_by_key(|node| mix(seed, *node as u64));
        }
        for node in order {
            self.drain(&mut game, node);
            game.tally.left += game.on(node).iter().map(|item| guests[*item]).sum::<u64>();
            game.new[node] = true;
            match self {
                Self::HaBasic | Self::HaStatic => game.return_to(node),
                Self::ProxLb => game.balance(),
                _ => {}
            }
        }
        if self == Self::Xo {
            (0..instance.places.len()).for_each(|node| game.return_home(node));
        }
        game.tally
    }

    fn drain(self, game: &mut Game<'_>, node: usize) {
        let mut items = game.on(node);
        if self == Self::Xo {
            items.sort_by_key(|item| std::cmp::Reverse(game.bytes(*item)));
        }
        for item in items {
            if let Some(to) = self.target(game, item, node) {
                game.go(item, to);
                game.came_from[item] = Some(node);
            }
        }
    }

    fn target(self, game: &mut Game<'_>, item: usize, node: usize) -> Option<usize> {
        let others: Vec<usize> = (0..game.load.len()).filter(|other| *other != node).collect();
        let ruled: Vec<usize> =
            others.iter().copied().filter(|other| game.allowed(item, *other) && !game.meets(item, *other)).collect();
        let most_free = |game: &Game<'_>, nodes: &[usize]| {
            nodes
                .iter()
                .copied()
                .filter(|other| game.fits(item, *other))
                .max_by_key(|other| (game.free(*other), usize::MAX - other))
        };
        match self {
            Self::HaBasic => ruled.into_iter().min_by_key(|other| (game.count[*other], *other)),
            Self::HaStatic | Self::HaStaticNoReturn => {
                topsis::best(&game.load, &game.capacity, game.bytes(item), &ruled)
            }
            Self::Xo => {
                let allowed: Vec<usize> = others.into_iter().filter(|other| game.allowed(item, *other)).collect();
                most_free(game, &allowed)
            }
            Self::ProxLb => others
                .into_iter()
                .filter(|other| game.allowed(item, *other))
                .min_by(|a, b| game.used(*a).total_cmp(&game.used(*b))),
            Self::ProxPatch => {
                let allowed: Vec<usize> = others.into_iter().filter(|other| game.allowed(item, *other)).collect();
                most_free(game, &allowed)
            }
            Self::MostFree => most_free(game, &ruled),
            Self::RoundRobin => {
                let count = game.load.len();
                let from = game.next;
                let turn = (0..count).map(|step| (from + step) % count);
                let to = turn.into_iter().find(|other| ruled.contains(other) && game.fits(item, *other))?;
                game.next = (to + 1) % count;
                Some(to)
            }
            Self::GreedyNew => {
                let (new, old): (Vec<usize>, Vec<usize>) = ruled.into_iter().partition(|other| game.new[*other]);
                most_free(game, &new).or_else(|| most_free(game, &old))
            }
        }
    }
}

struct Game<'a> {
    instance: &'a Instance,
    guests: &'a [u64],
    at: Vec<usize>,
    load: Vec<u64>,
    count: Vec<u64>,
    capacity: Vec<u64>,
    new: Vec<bool>,
    came_from: Vec<Option<usize>>,
    next: usize,
    tally: Tally,
}

impl<'a> Game<'a> {
    fn new(instance: &'a Instance, guests: &'a [u64]) -> Self {
        let nodes = instance.places.len();
        let ready: NodeSet = instance.ready();
        let mut game = Self {
            instance,
            guests,
            at: instance.items.iter().map(|item| item.home).collect(),
            load: vec![0; nodes],
            count: vec![0; nodes],
            capacity: instance.places.iter().map(|place| place.capacity_bytes.max(1)).collect(),
            new: (0..nodes).map(|node| ready.has(node)).collect(),
            came_from: vec![None; instance.items.len()],
            next: 0,
            tally: Tally::default(),
        };
        for (number, item) in instance.items.iter().enumerate() {
            game.load[item.home] += item.memory_bytes;
            game.count[item.home] += guests[number];
        }
        game
    }

    fn on(&self, node: usize) -> Vec<usize> {
        (0..self.at.len()).filter(|item| self.at[*item] == node).collect()
    }

    fn bytes(&self, item: usize) -> u64 {
        self.instance.items[item].memory_bytes
    }

    fn free(&self, node: usize) -> u64 {
        self.capacity[node].saturating_sub(self.load[node])
    }

    fn used(&self, node: usize) -> f64 {
        self.load[node] as f64 / self.capacity[node] as f64
    }

    fn allowed(&self, item: usize, node: usize) -> bool {
        self.instance.items[item].allowed.has(node)
    }

    fn meets(&self, item: usize, node: usize) -> bool {
        self.instance.items[item].apart.iter().any(|other| self.at[*other] == node)
    }

    fn fits(&self, item: usize, node: usize) -> bool {
        self.free(node) >= self.bytes(item)
    }

    fn go(&mut self, item: usize, to: usize) {
        let from = self.at[item];
        let (bytes, guests) = (self.bytes(item), self.guests[item]);
        self.tally.moves += guests;
        self.tally.bytes += bytes;
        self.tally.cost += self.instance.items[item].cost;
        self.tally.over += u64::from(!self.fits(item, to));
        self.tally.meetings += u64::from(self.meets(item, to));
        self.tally.astray += u64::from(!self.allowed(item, to));
        self.tally.backward += u64::from(self.new[from] && !self.new[to]);
        self.load[from] -= bytes;
        self.load[to] += bytes;
        self.count[from] -= guests;
        self.count[to] += guests;
        self.at[item] = to;
    }

    /// HA moves all guests back to a node that leaves maintenance.
    fn return_to(&mut self, node: usize) {
        for item in 0..self.at.len() {
            if self.came_from[item] == Some(node) {
                self.came_from[item] = None;
                if self.at[item] != node && !self.meets(item, node) {
                    self.go(item, node);
                }
            }
        }
    }

    fn return_home(&mut self, node: usize) {
        for item in 0..self.at.len() {
            if self.instance.items[item].home == node && self.at[item] != node {
                self.go(item, node);
            }
        }
    }

    /// ProxLB's balancer: small guests first from the fullest to the emptiest, until they are 10 points apart. Each
    /// guest at most once per run: without that the model could run forever.
    fn balance(&mut self) {
        let mut moved = vec![false; self.at.len()];
        loop {
            let by_use = |a: &usize, b: &usize| self.used(*a).total_cmp(&self.used(*b));
            let nodes = 0..self.load.len();
            let (Some(high), Some(low)) = (nodes.clone().max_by(by_use), nodes.min_by(by_use)) else { return };
            if self.used(high) - self.used(low) <= 0.10 {
                return;
            }
            let movable = |item: &usize| !moved[*item] && self.allowed(*item, low);
            let Some(item) = self.on(high).into_iter().filter(movable).min_by_key(|item| self.bytes(*item)) else {
                return;
            };
            moved[item] = true;
            self.go(item, low);
        }
    }
}

/// A number that looks random and is always the same for the same input (SplitMix64).
fn mix(seed: u64, value: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(value.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
