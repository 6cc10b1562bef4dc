//! Walks a solution move by move and names every rule that it breaks. Shares nothing with the planner except the
//! placement problem.

use std::collections::BTreeSet;

use quorate_core::planner::problem::instance::{Instance, Item, Solution};

/// Every broken rule, in words; none if the solution is clean.
pub(super) fn broken_rules(instance: &Instance, solution: &Solution) -> Vec<String> {
    let nodes = instance.places.len();
    let mut broken = Vec::new();
    let mut at: Vec<usize> = instance.items.iter().map(|item| item.home).collect();
    let mut new: BTreeSet<usize> = (0..nodes).filter(|node| !instance.places[*node].has_turn).collect();
    let turns: Vec<usize> = solution.turns.iter().map(|turn| turn.node).collect();
    let due: BTreeSet<usize> = (0..nodes).filter(|node| instance.places[*node].has_turn).collect();
    if turns.len() != due.len() || turns.iter().copied().collect::<BTreeSet<_>>() != due {
        broken.push(format!("order {turns:?}, nodes to upgrade {due:?}"));
    }
    let mut load = vec![0_u64; nodes];
    for (item, node) in instance.items.iter().zip(&at) {
        load[*node] += item.memory_bytes;
    }
    let mut cost = 0;
    let mut cpus = vec![0_u64; nodes];
    for (item, node) in instance.items.iter().zip(&at) {
        cpus[*node] += item.cpus;
    }
    for turn in &solution.turns {
        let (count, mut down) = (turn.moves.len(), true);
        for (number, step) in turn.moves.iter().chain(&turn.back).enumerate() {
            if number == count {
                down = false;
                leave(turn.node, &at, &mut new, &mut broken);
            }
            let item = &instance.items[step.item];
            let mut say = |what: &str| broken.push(format!("guest {} {} -> {}: {what}", step.item, step.from, step.to));
            if at[step.item] != step.from || step.from == step.to {
                say("is not where it should be");
            }
            if down && step.to == turn.node {
                say("goes to the node that is being drained");
            }
            if !item.allowed.iter().any(|node| node == step.to) {
                say("is not allowed there");
            }
            if item.forward_only && new.contains(&step.from) && !new.contains(&step.to) {
                say("goes back to an old release");
            }
            if load[step.to] + item.memory_bytes > instance.places[step.to].capacity_bytes {
                say("does not fit");
            }
            if instance.places[step.to].cpus.is_some_and(|limit| cpus[step.to] + item.cpus > limit) {
                say("has too few processors");
            }
            if item.apart.iter().any(|other| at[*other] == step.to) {
                say("meets one that it must be apart from");
            }
            load[step.from] = load[step.from].saturating_sub(item.memory_bytes);
            load[step.to] += item.memory_bytes;
            cpus[step.from] = cpus[step.from].saturating_sub(item.cpus);
            cpus[step.to] += item.cpus;
            at[step.item] = step.to;
            cost += item.cost;
        }
        if turn.back.is_empty() {
            leave(turn.node, &at, &mut new, &mut broken);
        }
    }
    let astray = |(item, at): &(&Item, &usize)| item.ends.is_some_and(|ends| !ends.has(**at));
    let astray = instance.items.iter().zip(&at).filter(astray).count() as u64;
    let full = |node: usize| {
        let place = &instance.places[node];
        u128::from(load[node] + place.fixed_bytes) * 1000 / u128::from(place.capacity_bytes + place.fixed_bytes).max(1)
    };
    let (most, least) = ((0..nodes).map(full).max().unwrap_or(0), (0..nodes).map(full).min().unwrap_or(0));
    let uneven = instance.spread.map_or(0, |spread| (most - least).saturating_sub(u128::from(spread)));
    let unmet = u128::from(astray) + uneven;
    if unmet != u128::from(solution.unmet) {
        broken.push(format!("{} preferences are reported as unmet, {unmet} are counted", solution.unmet));
    }
    if cost != solution.cost {
        broken.push(format!("cost {} is reported, {cost} is counted", solution.cost));
    }
    broken
}

/// The node goes down: no guest may be left on it. Then it is upgraded.
fn leave(node: usize, at: &[usize], new: &mut BTreeSet<usize>, broken: &mut Vec<String>) {
    let left = at.iter().filter(|there| **there == node).count();
    if left > 0 {
        broken.push(format!("{left} guests are left on node {node} when it goes down"));
    }
    new.insert(node);
}

#[cfg(test)]
mod tests {
    use quorate_core::planner::problem::instance::{Move, NodeSet, Place, Turn};

    use super::*;

    fn two_nodes() -> (Instance, Solution) {
        let all = NodeSet::first(2);
        let item = Item { memory_bytes: 4, cost: 5, home: 0, allowed: all, forward_only: true, ..Item::default() };
        let place = Place { capacity_bytes: 8, has_turn: true, ..Place::default() };
        let instance = Instance { places: vec![place.clone(), place], items: vec![item], ..Instance::default() };
        let go = |from, to| Turn { node: from, moves: vec![Move { item: 0, from, to }], back: vec![] };
        (instance, Solution { turns: vec![go(0, 1), go(1, 0)], cost: 10, unmet: 0 })
    }

    #[test]
    fn a_guest_that_moves_there_and_back_breaks_no_rule_and_each_mistake_is_detected() {
        let (instance, solution) = two_nodes();
        assert_eq!(broken_rules(&instance, &solution), Vec::<String>::new());
        type Change = fn(&mut Instance, &mut Solution);
        let mistakes: [(&str, Change); 6] = [
            ("does not fit", |instance, _| instance.places[1].capacity_bytes = 3),
            ("not allowed", |instance, _| instance.items[0].allowed = NodeSet::EMPTY.with(0)),
            ("left on node", |_, solution| solution.turns[0].moves.clear()),
            ("nodes to upgrade", |_, solution| drop(solution.turns.pop())),
            ("counted", |_, solution| solution.cost = 9),
            ("meets", |instance, _| {
                let other = Item { home: 1, apart: vec![0], ..instance.items[0].clone() };
                instance.items.push(other);
                instance.items[0].apart.push(1);
            }),
        ];
        for (word, change) in mistakes {
            let (mut instance, mut solution) = two_nodes();
            change(&mut instance, &mut solution);
            let broken = broken_rules(&instance, &solution).join("\n");
            assert!(broken.contains(word), "{word}: {broken}");
        }
    }

    #[test]
    fn going_back_to_an_old_release_is_detected() {
        let (mut instance, mut solution) = two_nodes();
        instance.places.push(instance.places[0].clone());
        instance.items[0].allowed = NodeSet::first(3);
        solution.turns[1] = Turn { node: 2, moves: vec![], back: vec![] };
        solution.turns.push(Turn { node: 1, moves: vec![Move { item: 0, from: 1, to: 0 }], back: vec![] });
        assert_eq!(broken_rules(&instance, &solution), Vec::<String>::new());
        solution.turns[1].moves = vec![Move { item: 0, from: 1, to: 0 }];
        solution.turns[2].moves = vec![];
        solution.turns[2].node = 1;
        assert_eq!(broken_rules(&instance, &solution), Vec::<String>::new());
        solution.turns[1].moves.push(Move { item: 0, from: 0, to: 1 });
        solution.turns[2].moves = vec![Move { item: 0, from: 1, to: 0 }];
        solution.cost = 20;
        assert!(broken_rules(&instance, &solution).join("\n").contains("old release"));
    }
}
