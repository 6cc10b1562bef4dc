//! Clusters without a plan, small enough to enumerate every state: what is proven is true, a relaxation that is named
//! makes a plan possible, and a smaller one does not.

use proptest::prelude::*;

use super::*;
use crate::planner::order::search::{for_tries, solve};
use crate::planner::problem::instance::Instance;
use crate::planner::problem::{Problem, reading};
use crate::planner::report::proofs::{self, Proof};
use crate::planner::report::relaxations::{Relaxation, STEP, relaxations};
use crate::planner::tests::puzzles::least_of_all;

fn possible_with(problem: &Problem<'_>, relaxation: &Relaxation) -> bool {
    let mut instance: Instance = problem.instance.clone();
    relaxation.apply(&mut instance);
    least_of_all(&instance).is_some()
}

/// The next smaller ones of the same kind.
fn smaller(problem: &Problem<'_>, relaxation: &Relaxation) -> Vec<Relaxation> {
    let nodes = 0..problem.names.len();
    let items = &problem.instance.items;
    match relaxation {
        Relaxation::Free(node, bytes) if *bytes > STEP => {
            let mut all: Vec<Relaxation> = vec![Relaxation::Free(*node, bytes - STEP)];
            // Not on the node of the stuck guest itself: memory there would not help it to leave.
            all.extend(nodes.filter(|other| other != node).map(|other| Relaxation::Free(other, bytes - STEP)));
            all.truncate(1);
            all
        }
        Relaxation::ShutDown(one) if one.len() == 1 => {
            let bytes = items[one[0]].memory_bytes;
            let less = (0..items.len()).filter(|item| items[*item].memory_bytes < bytes);
            less.filter(|item| items[*item].memory_bytes * 8 >= bytes)
                .map(|item| Relaxation::ShutDown(vec![item]))
                .collect()
        }
        Relaxation::ShutDown(several) => several
            .iter()
            .map(|left| Relaxation::ShutDown(several.iter().copied().filter(|item| item != left).collect()))
            .collect(),
        _ => Vec::new(),
    }
}

/// Three nodes of 64 GiB, a few guests, and two of them apart.
fn tight() -> impl Strategy<Value = Fixture> {
    let guests = prop::collection::vec((1_u32..4, 6_u64..56), 2..6);
    (guests, any::<bool>()).prop_map(|(guests, apart)| {
        let mut fixture = Fixture::cluster(3);
        for (number, (node, gib)) in guests.iter().enumerate() {
            let vmid = 101 + number as u32;
            fixture = fixture.vm(vmid, &format!("pve{node}"), *gib);
            fixture = if apart && number < 3 { fixture.managed(GuestId::vm(vmid)) } else { fixture };
        }
        if apart && guests[0].0 != guests[1].0 {
            fixture = fixture.apart("apart", &[GuestId::vm(101), GuestId::vm(102)]);
        }
        fixture
    })
}

proptest! {
    #![proptest_config(super::properties::cases(96))]

    /// Up to five guests on three nodes: proofs are true, relaxations help, and smaller ones do not.
    #[test]
    fn where_no_plan_exists_the_relaxations_help_and_smaller_ones_do_not(fixture in tight()) {
        let snapshot = fixture.snapshot();
        let policy = Policy::default();
        let ongoing = ongoing();
        let Ok(problem) = reading::read(&snapshot, &policy, &ongoing) else { return Ok(()) };
        let proofs = proofs::proofs(&problem.instance);
        let possible = least_of_all(&problem.instance).is_some();
        prop_assert!(!possible || proofs.is_empty(), "a plan exists, and this was proven: {proofs:?}");
        let Err(stuck) = solve(&problem.instance, for_tries(200), |_| {}) else { return Ok(()) };
        prop_assert!(!possible, "a plan exists and was not found");
        for relaxation in relaxations(&problem, &stuck) {
            prop_assert!(possible_with(&problem, &relaxation), "{relaxation:?} does not help");
            for less in smaller(&problem, &relaxation) {
                prop_assert!(!possible_with(&problem, &less), "{less:?} is enough, and {relaxation:?} is named");
            }
        }
    }
}

fn proofs(snapshot: &Snapshot) -> Vec<Proof> {
    let (policy, ongoing) = (Policy::default(), ongoing());
    proofs::proofs(&reading::read(snapshot, &policy, &ongoing).expect("everything is known").instance)
}

#[test]
fn each_kind_of_proof_is_given_where_it_holds_and_reported_with_its_figures() {
    // 3 times 45 GiB do not fit on two nodes of 60.8.
    let full = Fixture::cluster(3).vm(101, "pve1", 45).vm(102, "pve2", 45).vm(103, "pve3", 45).snapshot();
    assert!(matches!(proofs(&full)[..], [Proof::NoRoomWithout { .. }, ..]));
    let problem = &refused(&full, &Policy::default()).findings.into_iter().find(|one| one.check == "plan-proof");
    let text = &problem.as_ref().expect("the proof is reported").problem;
    assert!(text.contains("cannot be emptied in any order") && text.contains("short"), "{text}");
    // Its own node is the only one that is big enough.
    let big = Fixture::cluster(3).memory("pve1", 256).vm(101, "pve1", 100).snapshot();
    assert!(matches!(proofs(&big)[..], [Proof::TooBig { .. }]), "{:?}", proofs(&big));
    planned(
        &Fixture::cluster(3).memory("pve1", 256).memory("pve2", 256).vm(101, "pve1", 100).snapshot(),
        &Policy::default(),
    );
    // As many guests that must be apart as there are nodes.
    let ids = [101, 102, 103].map(GuestId::vm);
    let spread = |nodes| {
        let fixture = Fixture::cluster(nodes).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4);
        ids.into_iter().fold(fixture, Fixture::managed).apart("apart", &ids).snapshot()
    };
    assert!(matches!(proofs(&spread(3))[..], [Proof::GroupTooWide { .. }]));
    assert_eq!(proofs(&spread(4)), []);
    planned(&spread(4), &Policy::default());
}

#[test]
fn every_stuck_guest_has_its_reason_and_the_largest_hole_is_named_beside_the_largest_guest() {
    let snapshot = Fixture::cluster(3)
        .upgraded("pve1")
        .upgraded("pve2")
        .vm(101, "pve1", 40)
        .vm(102, "pve2", 40)
        .vm(103, "pve3", 25)
        .vm(104, "pve3", 24)
        .snapshot();
    let none = refused(&snapshot, &Policy::default());
    let stuck: Vec<String> = none.findings.iter().map(|finding| finding.subject.to_string()).collect();
    assert!(
        stuck.iter().any(|subject| subject.contains("103")) && stuck.iter().any(|subject| subject.contains("104")),
        "{stuck:?}"
    );
    for finding in none.findings.iter().filter(|finding| finding.check == "plan-no-room") {
        let problem = &finding.problem;
        assert!(problem.contains("pve1: ") && problem.contains("pve2: ") && problem.contains(" short"), "{problem}");
        assert!(
            problem.contains("Largest hole: 20.") && problem.contains("largest guest that has to leave: vm:103"),
            "{problem}"
        );
    }
    assert!(none.findings[0].remedy.contains("shut vm:103"), "{}", none.findings[0].remedy);
}
