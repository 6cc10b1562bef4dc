//! Random clusters for measurements: drawn from a seed, the same on every machine.
//!
//! Sizes and rules are a guess at real clusters. Tightness is the guests' memory as a share of what is left with the
//! biggest node away. Every cluster starts within its memory and with every rule kept; a plan need not exist.

use quorate_core::planner::cost::PER_MOVE;
use quorate_core::planner::problem::instance::{Instance, Item, NodeSet, Place, Release};

const GIB: u64 = 1 << 30;

/// The size of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) name: &'static str,
    nodes: usize,
    guests: usize,
    /// Guest sizes in units of half a GiB, with their weights.
    sizes: &'static [(u64, u64)],
}

const HOMELAB: &[(u64, u64)] = &[(1, 2), (2, 4), (4, 5), (8, 4), (16, 2)];
const SMALL: &[(u64, u64)] = &[(2, 10), (4, 20), (8, 25), (16, 20), (32, 10), (64, 3)];
const MEDIUM: &[(u64, u64)] = &[(2, 10), (4, 20), (8, 25), (16, 20), (32, 12), (64, 6), (128, 2)];
const LARGE: &[(u64, u64)] = &[(2, 10), (4, 20), (8, 25), (16, 20), (32, 12), (64, 6), (128, 3), (256, 1)];

/// All of them.
pub(super) const FAMILIES: [Family; 5] = [
    Family { name: "H3", nodes: 3, guests: 20, sizes: HOMELAB },
    Family { name: "S5", nodes: 5, guests: 120, sizes: SMALL },
    Family { name: "M16", nodes: 16, guests: 1000, sizes: MEDIUM },
    Family { name: "L32", nodes: 32, guests: 4000, sizes: LARGE },
    Family { name: "X64", nodes: 64, guests: 10_000, sizes: LARGE },
];

/// How uniform the cluster is, and whether it has rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Equal nodes, no rules.
    Plain,
    /// Every third node is twice as big.
    Hetero,
    /// Like `Hetero`, with pinned guests, CPU generations, replicas, HA nodes, guests apart and together.
    Real,
    /// Half of the nodes are four times as big; no rules.
    Uneven,
}

impl Scenario {
    pub(super) const ALL: [(&'static str, Self); 4] =
        [("plain", Self::Plain), ("hetero", Self::Hetero), ("real", Self::Real), ("uneven", Self::Uneven)];

    fn weight(self, node: usize) -> u64 {
        match self {
            Self::Plain => 1,
            Self::Hetero | Self::Real => 1 + u64::from(node % 3 == 2),
            Self::Uneven => 1 + 3 * (node as u64 % 2),
        }
    }
}

/// A cluster as a placement problem.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) instance: Instance,
    /// How many guests move together in each item.
    pub(super) guests: Vec<u64>,
}

/// Numbers that look random and are always the same (SplitMix64).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..sides`.
    fn below(&mut self, sides: usize) -> usize {
        (self.next() % sides.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// What restricts a guest, or guests that stay together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bond {
    Free,
    Pinned,
    Generation,
    Replica,
    HaNodes,
    /// In this keep-apart group.
    Apart(usize),
}

struct Draft {
    bytes: u64,
    guests: u64,
    bond: Bond,
}

/// Draws a cluster. `percent` is the tightness.
pub(super) fn draw(family: Family, scenario: Scenario, percent: u64, seed: u64) -> Case {
    let mut dice = Dice::new(seed ^ (family.nodes as u64) << 32 ^ percent << 48);
    let sizes: Vec<u64> = (0..family.guests).map(|_| size(family.sizes, &mut dice)).collect();
    let total: u64 = sizes.iter().sum();
    let weights: Vec<u64> = (0..family.nodes).map(|node| scenario.weight(node)).collect();
    let share = weights.iter().sum::<u64>() - weights.iter().max().copied().unwrap_or(0);
    let unit = total * 100 / percent.max(1) / share.max(1);
    let capacity: Vec<u64> = weights.iter().map(|weight| weight * unit).collect();
    let mut drafts = bonds(&sizes, scenario, &mut dice);
    // Groups that are apart first, then big guests, so that all of them fit.
    drafts.sort_by_key(|draft| (!matches!(draft.bond, Bond::Apart(_)), std::cmp::Reverse(draft.bytes)));
    place(&drafts, &capacity, &mut dice)
}

fn size(sizes: &[(u64, u64)], dice: &mut Dice) -> u64 {
    let mut draw = dice.below(sizes.iter().map(|(_, weight)| *weight as usize).sum()) as u64;
    for (halves, weight) in sizes {
        if draw < *weight {
            // Not all alike: up to an eighth less, in steps of 64 MiB.
            let whole = halves * GIB / 2;
            return whole - (dice.below(9) as u64 * whole / 64) / (64 << 20) * (64 << 20);
        }
        draw -= weight;
    }
    GIB
}

/// Shares the guests out among the bonds of a scenario.
fn bonds(sizes: &[u64], scenario: Scenario, dice: &mut Dice) -> Vec<Draft> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    dice.shuffle(&mut order);
    let mut rest = order.as_slice();
    let mut drafts = Vec::new();
    if scenario == Scenario::Real {
        for (percent, bond) in [(2, Bond::Pinned), (10, Bond::Generation), (5, Bond::Replica), (5, Bond::HaNodes)] {
            let (these, others) = rest.split_at(sizes.len() * percent / 100);
            drafts.extend(these.iter().map(|guest| Draft { bytes: sizes[*guest], guests: 1, bond: bond.clone() }));
            rest = others;
        }
        let (mut apart, others) = rest.split_at(sizes.len() / 10);
        let (mut together, others) = others.split_at(sizes.len() / 20);
        rest = others;
        let mut group = 0;
        while apart.len() > 1 {
            let (these, others) = apart.split_at((2 + dice.below(3)).min(apart.len()));
            drafts.extend(these.iter().map(|guest| Draft {
                bytes: sizes[*guest],
                guests: 1,
                bond: Bond::Apart(group),
            }));
            (apart, group) = (others, group + 1);
        }
        while together.len() > 1 {
            let (these, others) = together.split_at((2 + dice.below(2)).min(together.len()));
            let bytes = these.iter().map(|guest| sizes[*guest]).sum();
            drafts.push(Draft { bytes, guests: these.len() as u64, bond: Bond::Free });
            together = others;
        }
        let left = apart.iter().chain(together);
        drafts.extend(left.map(|guest| Draft { bytes: sizes[*guest], guests: 1, bond: Bond::Free }));
    }
    drafts.extend(rest.iter().map(|guest| Draft { bytes: sizes[*guest], guests: 1, bond: Bond::Free }));
    drafts
}

fn place(drafts: &[Draft], capacity: &[u64], dice: &mut Dice) -> Case {
    let nodes = capacity.len();
    let mut free = capacity.to_vec();
    let mut usable = capacity.to_vec();
    let mut groups: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut case = Case { instance: Instance::default(), guests: Vec::new() };
    for draft in drafts {
        let taken: Vec<usize> = match draft.bond {
            Bond::Apart(group) => groups.get(group).into_iter().flatten().map(|(_, node)| *node).collect(),
            _ => Vec::new(),
        };
        let home = home(&free, draft.bytes, &taken, dice);
        free[home] = free[home].saturating_sub(draft.bytes);
        if draft.bond == Bond::Pinned {
            usable[home] = usable[home].saturating_sub(draft.bytes);
            continue;
        }
        let number = case.instance.items.len();
        let mut apart = Vec::new();
        // A group as large as the cluster could never be drained.
        if let Bond::Apart(group) = draft.bond
            && taken.len() + 2 <= nodes
        {
            groups.resize_with(groups.len().max(group + 1), Vec::new);
            for (other, _) in &groups[group] {
                apart.push(*other);
                case.instance.items[*other].apart.push(number);
            }
            groups[group].push((number, home));
        }
        case.guests.push(draft.guests);
        case.instance.items.push(Item {
            memory_bytes: draft.bytes,
            cost: draft.bytes + draft.guests * PER_MOVE,
            home,
            allowed: allowed(&draft.bond, home, nodes, dice),
            apart,
            forward_only: true,
            ..Item::default()
        });
    }
    let place = |(capacity_bytes, whole): (&u64, &u64)| Place {
        capacity_bytes: *capacity_bytes,
        fixed_bytes: whole - capacity_bytes,
        has_turn: true,
        after: Release { qemu: 1, pve: 1 },
        ..Place::default()
    };
    case.instance.places = usable.iter().zip(capacity).map(place).collect();
    case
}

/// The freer of two random nodes where it fits; if it fits nowhere, the freest of all.
fn home(free: &[u64], bytes: u64, taken: &[usize], dice: &mut Dice) -> usize {
    let fits = |node: &usize| free[*node] >= bytes && !taken.contains(node);
    let fitting: Vec<usize> = (0..free.len()).filter(fits).collect();
    if fitting.is_empty() {
        return (0..free.len()).filter(|node| !taken.contains(node)).max_by_key(|node| free[*node]).unwrap_or(0);
    }
    let (one, two) = (fitting[dice.below(fitting.len())], fitting[dice.below(fitting.len())]);
    if free[one] >= free[two] { one } else { two }
}

fn allowed(bond: &Bond, home: usize, nodes: usize, dice: &mut Dice) -> NodeSet {
    let all = NodeSet::first(nodes);
    match bond {
        Bond::Generation if nodes >= 4 => all.iter().filter(|node| node * 2 / nodes == home * 2 / nodes).collect(),
        Bond::Replica => NodeSet::EMPTY.with(home).with((home + 1 + dice.below(nodes - 1)) % nodes),
        Bond::HaNodes => {
            let mut some = NodeSet::EMPTY.with(home);
            while some.len() < (nodes / 3).max(2) {
                some = some.with(dice.below(nodes));
            }
            some
        }
        _ => all,
    }
}
