//! Properties of every plan: clusters are drawn at random and planned, and the plans are checked by a second
//! implementation of the rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::fixture::Fixture;
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::observed::Observed;
use crate::placement::{footprint_bytes, usable_bytes};
use crate::plan::Plan;
use crate::policy::{End, GuestPolicy, Overlap, Policy};
use crate::snapshot::{
    AffinityRule, DiskUse, GuestStatus, HaNodeState, HaServiceState, LocalDisk, Memory, Node, Qdevice, Snapshot,
};
use crate::steps::{Move, OnNode};

use crate::planner::report::report;
use crate::planner::steady::revise;
use crate::planner::{Ongoing, plan};

/// The usual number of cases, or as many as `PROPTEST_CASES` says, for example overnight.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let preferred = ProptestConfig::default();
    if preferred.cases == UNSAID { ProptestConfig::with_cases(usual) } else { preferred }
}

/// The number of cases that proptest uses where `PROPTEST_CASES` is not set.
const UNSAID: u32 = 256;

/// A cluster of 2 to 5 nodes; each guest is (node, GiB, kind, HA).
fn cluster() -> impl Strategy<Value = Fixture> {
    let guests = prop::collection::vec((0_u32..5, 1_u64..24, any::<bool>(), 0_u8..4), 0..22);
    let rules = prop::collection::vec((prop::collection::btree_set(0_usize..22, 2..4), 0_u8..3, any::<bool>()), 0..4);
    (2_u32..6, guests, rules, 0_u32..6).prop_map(|(nodes, guests, rules, upgraded)| {
        let mut fixture = Fixture::cluster(nodes);
        let mut ids = Vec::new();
        for (number, (node, gib, vm, ha)) in guests.into_iter().enumerate() {
            let (vmid, node) = (100 + number as u32, format!("pve{}", node % nodes + 1));
            let id = if vm { GuestId::vm(vmid) } else { GuestId::ct(vmid) };
            fixture = if vm { fixture.vm(vmid, &node, gib) } else { fixture.ct(vmid, &node, gib) };
            if ha > 1 {
                fixture = fixture.managed(id);
                ids.push(id);
            }
        }
        for (number, (members, kind, strict)) in rules.into_iter().enumerate() {
            let members: Vec<GuestId> = members.into_iter().filter_map(|index| ids.get(index).copied()).collect();
            let id = format!("rule{number}");
            fixture = match kind {
                0 => fixture.apart(&id, &members),
                1 => fixture.together(&id, &members),
                _ => fixture.node_rule(&id, &members, &[("pve1", 2), ("pve2", 1)], strict),
            };
        }
        if (1..=nodes).contains(&upgraded) { fixture.upgraded(&format!("pve{upgraded}")) } else { fixture }
    })
}

/// Walks a plan stage by stage and returns a sentence for every broken rule.
fn walk(snapshot: &Snapshot, policy: &Policy, plan: &Plan) -> Vec<String> {
    let mut broken = Vec::new();
    let mut at: BTreeMap<GuestId, NodeName> =
        snapshot.guests.iter().map(|(id, guest)| (*id, guest.node.clone())).collect();
    let mut new: BTreeSet<&NodeName> = snapshot
        .nodes
        .values()
        .filter(|node| snapshot.is_up_to_date(node) == Some(true))
        .map(|node| &node.name)
        .collect();
    for node_step in &plan.node_steps {
        for stage in node_step.steps.chunk_by(|one, next| one.stage == next.stage) {
            if let (Some(node), OnNode::Upgrades) = (&node_step.node, stage[0].step.on_node()) {
                let left = at.iter().filter(|(_, there)| *there == node);
                broken.extend(left.map(|(id, _)| format!("{id} is left on {node}")));
                new.insert(node);
            }
            let away = |node: &NodeName| node_step.node.as_ref() == Some(node) && !new.contains(node);
            let moves: Vec<Move<'_>> = stage.iter().filter_map(|planned| planned.step.moves()).collect();
            for step in &moves {
                let vm = step.guest.kind == GuestKind::Vm;
                if at[&step.guest] != *step.from {
                    broken.push(format!("{} is not on {}", step.guest, step.from));
                }
                if away(step.to) || (vm && new.contains(step.from) && !new.contains(step.to)) {
                    broken.push(format!("{} may not go to {}", step.guest, step.to));
                }
            }
            broken.extend(crowded(snapshot, policy, &at, &moves));
            broken.extend(too_near(snapshot, &at, &moves));
            for step in moves {
                at.insert(step.guest, step.to.clone());
            }
        }
    }
    broken
}

/// Nodes that take guests beyond what is usable, while a stage is under way.
fn crowded(snapshot: &Snapshot, policy: &Policy, at: &BTreeMap<GuestId, NodeName>, stage: &[Move<'_>]) -> Vec<String> {
    let targets: BTreeSet<&NodeName> = stage.iter().map(|step| step.to).collect();
    let over = |node: &&NodeName| {
        let there = at.iter().filter(|(_, there)| there == node).map(|(id, _)| *id);
        let coming = stage.iter().filter(|step| step.to == *node).map(|step| step.guest);
        let bytes: u64 = there.chain(coming).map(|id| footprint_bytes(&snapshot.guests[&id])).sum();
        bytes > usable_bytes(snapshot.nodes[*node].memory.known().unwrap(), policy)
    };
    let threads = |node: &&NodeName| {
        let there = at.iter().filter(|(_, there)| there == node).map(|(id, _)| *id);
        let coming = stage.iter().filter(|step| step.to == *node).map(|step| step.guest);
        there.chain(coming).map(|id| u64::from(snapshot.guests[&id].cpus)).sum::<u64>()
    };
    let limit = |node: &NodeName| {
        let cpu = snapshot.nodes[node].cpu.known().unwrap();
        policy.cpu_limit_percent.map_or(u64::MAX, |percent| u64::from(cpu.count) * u64::from(percent) / 100)
    };
    let memory = targets.iter().copied().filter(over).map(|node| format!("{node} does not have the memory"));
    let cpus = targets.iter().copied().filter(|node| threads(node) > limit(node));
    memory.chain(cpus.map(|node| format!("{node} does not have the processors"))).collect()
}

/// Guests that a rule keeps apart and that meet on the target of a move, and guests on a node that a strict rule
/// forbids.
fn too_near(snapshot: &Snapshot, at: &BTreeMap<GuestId, NodeName>, stage: &[Move<'_>]) -> Vec<String> {
    let mut broken = Vec::new();
    for rule in &snapshot.ha.known().unwrap().rules {
        match rule {
            AffinityRule::Resource(rule) if !rule.together => {
                for step in stage.iter().filter(|step| rule.guests.contains(&step.guest)) {
                    for other in rule.guests.iter().filter(|other| **other != step.guest) {
                        let comes = stage.iter().any(|moving| moving.guest == *other && moving.to == step.to);
                        if at[other] == *step.to || comes {
                            broken.push(format!("{} meets {other} on {}", step.guest, step.to));
                        }
                    }
                }
            }
            AffinityRule::Node(rule) if rule.strict => {
                let out = |step: &&Move<'_>| rule.guests.contains(&step.guest) && !rule.nodes.contains_key(step.to);
                broken.extend(stage.iter().filter(out).map(|step| format!("{} is not allowed there", step.guest)));
            }
            _ => {}
        }
    }
    broken
}

/// Preferences that an operator may have.
fn policy() -> impl Strategy<Value = Policy> {
    let end = prop_oneof![Just(End::Anywhere), Just(End::Balanced), Just(End::Home)];
    (1_u8..5, 0_u8..20, end, prop::option::of(50_u32..400), 0_u32..12, any::<bool>()).prop_map(
        |(parallel, headroom_percent, end, cpu_limit_percent, spare, overlap)| Policy {
            parallel_migrations: Some(parallel),
            headroom_percent,
            end,
            cpu_limit_percent,
            spare: if spare == 1 { vec!["pve1".into()] } else { Vec::new() },
            overlap: if overlap { Overlap::Reboot } else { Overlap::None },
            ..Policy::default()
        },
    )
}

fn fresh() -> Ongoing {
    Ongoing::fresh("quorate-upgrade-test".into())
}

/// Something that a snapshot could have, however odd.
fn disturb(snapshot: &mut Snapshot, what: u8, which: usize) {
    let node = snapshot.nodes.keys().nth(which % snapshot.nodes.len().max(1)).cloned();
    let guest = snapshot.guests.keys().nth(which % snapshot.guests.len().max(1)).copied();
    let states = [HaServiceState::Error, HaServiceState::Migrate, HaServiceState::Stopped, HaServiceState::Freeze];
    if let Some(guest) = guest.and_then(|id| snapshot.guests.get_mut(&id)) {
        match what {
            0 => guest.node = "nowhere".into(),
            1 => guest.memory_bytes = u64::MAX,
            2 => guest.status = Observed::unknown("x", "y"),
            3 => guest.migration = Observed::unknown("x", "y"),
            4 => guest.status = Observed::Known(GuestStatus::Stopped),
            5 => guest.template = true,
            6 => guest.memory_bytes = 0,
            19 => guest.cpus = u32::MAX,
            20 => guest.id.vmid.0 = u32::MAX,
            _ => {}
        }
        let facts = guest.migration.known_mut();
        match (what, facts) {
            (7, Some(facts)) => facts.running_machine = Some("pc-q35-99.0".to_owned()),
            (21, Some(facts)) => facts.local_disks.extend((0..3).map(|number| LocalDisk {
                volid: format!("shared:disk-{number}"),
                drive: format!("scsi{number}"),
                size_bytes: u64::MAX,
                usage: DiskUse::Attached,
                replicated: number == 2,
            })),
            _ => {}
        }
    }
    if let Some(node) = node.as_ref().and_then(|name| snapshot.nodes.get_mut(name)) {
        match what {
            8 => node.memory = Observed::unknown("x", "y"),
            9 => node.online = Observed::Known(false),
            10 => {
                node.memory = Observed::Known(Memory { total_bytes: u64::MAX, used_bytes: 0, host_bytes: u64::MAX / 2 })
            }
            // Another disturbance may have made it unknown before.
            11 => drop(node.packages.known_mut().map(|packages| packages.pending.clear())),
            12 => node.boot = Observed::unknown("x", "y"),
            13 => node.qemu_version = Observed::Known("".into()),
            22 => node.memory = Observed::Known(Memory { total_bytes: 0, used_bytes: u64::MAX, host_bytes: u64::MAX }),
            23 => node.cpu = Observed::unknown("x", "y"),
            24 => node.storages = Observed::unknown("x", "y"),
            25 => *node = Node::unseen(node.name.clone(), "it is silent"),
            _ => {}
        }
    }
    match (what, snapshot.ha.known_mut(), node, guest) {
        (14, Some(ha), Some(node), _) => drop(ha.nodes.insert(node, HaNodeState::Fence)),
        (15, Some(ha), _, Some(guest)) => {
            ha.services.entry(guest).and_modify(|service| service.state = Some(states[which % 4]));
        }
        (16, _, Some(node), _) => drop(snapshot.nodes.remove(&node)),
        (17, _, _, Some(guest)) => drop(snapshot.guests.remove(&guest)),
        (18, _, _, _) => snapshot.nodes.clear(),
        (26, _, _, _) => snapshot.quorum.clear(),
        (27, _, _, _) => snapshot.storages = Observed::unknown("x", "y"),
        _ => overstate(snapshot, what, which),
    }
}

/// Unrealistic numbers: the most that a field can hold, or 0.
fn overstate(snapshot: &mut Snapshot, what: u8, which: usize) {
    let most = !which.is_multiple_of(3);
    let (bytes, count) = if most { (u64::MAX, u32::MAX) } else { (0, 0) };
    match what {
        28 => snapshot.guests.values_mut().for_each(|guest| (guest.memory_bytes, guest.cpus) = (bytes, count)),
        29 => {
            let memory = Memory { total_bytes: bytes, used_bytes: u64::MAX, host_bytes: u64::MAX - bytes };
            snapshot.nodes.values_mut().for_each(|node| node.memory = Observed::Known(memory));
        }
        30 => {
            let cpus = snapshot.nodes.values_mut().filter_map(|node| node.cpu.known_mut());
            cpus.for_each(|cpu| cpu.count = count);
        }
        31 => {
            let storages = snapshot.nodes.values_mut().filter_map(|node| node.storages.known_mut());
            storages.flat_map(|all| all.values_mut()).for_each(|storage| storage.free_bytes = bytes);
        }
        32 => {
            for view in snapshot.quorum.values_mut().filter_map(|view| view.known_mut()) {
                (view.expected_votes, view.total_votes, view.quorum) = (count, count, count);
                view.members.values_mut().for_each(|member| member.votes = count);
                view.qdevice = Some(Qdevice { votes: count, casting: most });
            }
            snapshot.configured_votes.known_mut().into_iter().flatten().for_each(|(_, votes)| *votes = count);
        }
        33 => {
            let facts = snapshot.guests.values_mut().filter_map(|guest| guest.migration.known_mut());
            facts.flat_map(|facts| &mut facts.local_disks).for_each(|disk| disk.size_bytes = bytes);
        }
        34 => {
            let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
            ceph.pg_count = count;
            ceph.pgs.iter_mut().for_each(|pg| pg.count = count);
            ceph.pools.iter_mut().for_each(|pool| (pool.size, pool.min_size) = (count, count));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(cases(192))]

    /// A random cluster: a plan breaks no rule at any moment of any move, and never goes below its bound.
    #[test]
    fn every_plan_passes_a_second_implementation_of_the_rules(fixture in cluster(), policy in policy()) {
        let snapshot = fixture.snapshot();
        if let Ok(plan) = plan(&snapshot, &policy, &fresh()) {
            prop_assert_eq!(walk(&snapshot, &policy, &plan), Vec::<String>::new());
            prop_assert!(plan.costs.moves >= plan.bound.moves, "{} moves, bound {}", plan.costs.moves, plan.bound.moves);
            prop_assert!(plan.costs.bytes >= plan.bound.bytes);
        }
    }

    /// The same snapshot twice, and once with its rules and packages in another order: the same plan, or the same
    /// reasons.
    #[test]
    fn the_order_of_what_was_read_does_not_matter(fixture in cluster()) {
        let snapshot = fixture.snapshot();
        let mut turned = snapshot.clone();
        turned.ha.known_mut().unwrap().rules.reverse();
        for node in turned.nodes.values_mut() {
            node.packages.known_mut().unwrap().pending.reverse();
            node.local_guests.known_mut().unwrap().reverse();
        }
        let policy = Policy::default();
        let once = plan(&snapshot, &policy, &fresh());
        prop_assert_eq!(&once, &plan(&snapshot, &policy, &fresh()));
        match (once, plan(&turned, &policy, &fresh())) {
            (Ok(once), Ok(turned)) => prop_assert_eq!(once.node_steps, turned.node_steps),
            (Err(_), Err(_)) => {}
            (once, turned) => prop_assert!(false, "{:?} against {:?}", once.is_ok(), turned.is_ok()),
        }
    }

    /// Whatever a snapshot holds: a plan or at least one reason, never a panic.
    #[test]
    fn an_odd_snapshot_gives_a_plan_or_reasons(
        fixture in cluster(),
        oddities in prop::collection::vec((0_u8..35, 0_usize..30), 1..5),
        policy in policy(),
        current_node in prop::option::of(1_u32..7),
    ) {
        let mut snapshot = fixture.clone().snapshot();
        for (what, which) in oddities {
            disturb(&mut snapshot, what, which);
        }
        let guests = snapshot.guests.keys().map(|id| (*id, GuestPolicy::Shutdown)).collect();
        let policy = Policy { guests, first: vec!["pve2".into(), "pve2".into()], last: vec!["pve2".into()], ..policy };
        let ongoing = Ongoing { current_node: current_node.map(|number| NodeName::new(format!("pve{number}"))), ..fresh() };
        let _ = crate::checks::run_all(&snapshot, &policy, crate::checks::Asked::BeforeARun);
        match plan(&snapshot, &policy, &ongoing) {
            Err(none) => prop_assert!(!none.findings.is_empty()),
            Ok(plan) => {
                // The result does not matter, as long as there is one.
                let _ = crate::forecast::verify(&plan, &snapshot, &policy);
                let about = report(&plan, &snapshot, &policy, &ongoing);
                prop_assert!(about.moves_ratio.is_finite() && about.cost_ratio.is_finite());
                let _ = revise(&plan, &fixture.snapshot(), &policy, &ongoing);
            }
        }
    }
}
