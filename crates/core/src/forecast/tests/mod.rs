//! A correct plan passes; each way to break it is found.

mod planned;

use super::*;
use crate::ids::UnixMs;
use crate::invariants::sample::*;
use crate::observed::Observed::Known;
use crate::plan::{Bound, Consent, Costs, NodeWhy, StepWhy};
use crate::snapshot::{AffinityRule, GuestStatus, LocalDisk, ResourceAffinity};
use crate::steps::*;

/// One step per stage, in the order given.
fn node_step(node: &str, steps: Vec<Step>) -> NodeStep {
    let planned = steps.into_iter().enumerate().map(|(stage, step)| {
        let subject = step.kind().profile().about.subject().map(|subject| format!(".{subject}")).unwrap_or_default();
        let id = StepId::new(format!("{node}.{}{subject}", step.kind().verb()));
        PlannedStep { id, stage: stage as u32, step, why: StepWhy::Undo, estimate_s: 1, down_s: 0 }
    });
    NodeStep { node: Some(name(node)), why: NodeWhy::NothingMoves, steps: planned.collect() }
}

fn migrate(guest: GuestId, from: &str, to: &str, mode: MoveMode) -> Step {
    Migrate { guest, from: name(from), to: name(to), mode, storages: [].into() }.into()
}

/// A node step: `moves` out, then everything that is done to the node.
fn turn(node: &str, moves: Vec<Step>) -> NodeStep {
    let node_name = || name(node);
    let mut steps = moves;
    steps.extend([
        Step::from(WaitEmpty { node: node_name() }),
        set(Maintenance { node: node_name() }),
        set(Noout::by_host(node_name())),
        UpgradePackages { node: node_name(), unit: "quorate-upgrade-ab12".into() }.into(),
        Reboot { node: node_name(), from_boot: format!("boot-of-{node}").as_str().into() }.into(),
        WaitBack { node: node_name(), without: Default::default() }.into(),
        undo(Noout::by_host(node_name())),
        undo(Maintenance { node: node_name() }),
        WaitHaIdle { node: node_name() }.into(),
    ]);
    node_step(node, steps)
}

/// Three nodes, one after the other; the pair vm:101 and vm:102 swaps places and never meets.
fn node_steps() -> Vec<NodeStep> {
    let (one, two, three, ct) = (GuestId::vm(101), GuestId::vm(102), GuestId::vm(103), GuestId::ct(201));
    vec![
        turn(
            "pve1",
            vec![
                migrate(one, "pve1", "pve3", MoveMode::Ha),
                migrate(three, "pve1", "pve3", MoveMode::Live),
                migrate(ct, "pve1", "pve3", MoveMode::Restart),
            ],
        ),
        turn("pve2", vec![migrate(two, "pve2", "pve1", MoveMode::Ha)]),
        turn(
            "pve3",
            vec![
                migrate(one, "pve3", "pve2", MoveMode::Ha),
                migrate(three, "pve3", "pve1", MoveMode::Live),
                migrate(ct, "pve3", "pve2", MoveMode::Restart),
            ],
        ),
        NodeStep { node: None, ..node_step("cluster", vec![FinalCheck::default().into()]) },
    ]
}

fn consent(kind: ConsentKind, guest: GuestId) -> Consent {
    Consent { kind, guest, downtime_s: 10, what: "test".to_owned() }
}

fn plan_of(node_steps: Vec<NodeStep>) -> Plan {
    let consents = vec![consent(ConsentKind::RestartContainers, GuestId::ct(201))];
    Plan::new(None, UnixMs(0), node_steps, Costs::default(), consents, Bound::default())
}

#[track_caller]
fn found(plan: &Plan, snapshot: &Snapshot, words: &str) {
    let findings = verify(plan, snapshot, &Policy::default()).expect_err("the plan passes");
    assert!(findings.iter().any(|found| found.problem.contains(words)), "{words:?} is not in {findings:#?}");
}

fn without(mut node_steps: Vec<NodeStep>, id: &str) -> Vec<NodeStep> {
    let before: usize = node_steps.iter().map(|node_step| node_step.steps.len()).sum();
    node_steps.iter_mut().for_each(|node_step| node_step.steps.retain(|planned| planned.id.as_str() != id));
    let after: usize = node_steps.iter().map(|node_step| node_step.steps.len()).sum();
    assert_eq!(after + 1, before, "{id} is not a step of the plan");
    node_steps
}

#[test]
fn a_correct_plan_passes_and_reports_where_the_memory_is() {
    let forecast = verify(&plan_of(node_steps()), &cluster(), &Policy::default()).expect("nothing is wrong with it");
    let last = forecast.steps.last().expect("steps");
    assert_eq!(last.guest_memory_bytes[&name("pve3")], 0);
    let total = |step: &StepForecast| step.guest_memory_bytes.values().sum::<u64>();
    assert!(forecast.steps.iter().all(|step| total(step) == total(last)), "no memory is lost on the way");
}

#[test]
fn what_runs_at_the_moment_does_not_invalidate_a_plan_for_hours() {
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(103)).lock = Known(Some(Lock("backup".to_owned())));
    let meets = TargetRefusal::HaRule { cause: "resource-affinity".to_owned(), sid: "vm:102".to_owned() };
    let facts = guest_mut(&mut snapshot, GuestId::vm(101)).migration.known_mut().unwrap();
    facts.refused.insert(name("pve2"), vec![meets]);
    assert!(verify(&plan_of(node_steps()), &snapshot, &Policy::default()).is_ok());
    guest_mut(&mut snapshot, GuestId::vm(103)).lock = Known(Some(Lock("mounted".to_owned())));
    found(&plan_of(node_steps()), &snapshot, "locked (mounted)");
}

#[test]
fn a_guest_that_was_left_out_is_found() {
    let plan = plan_of(without(node_steps(), "pve1.migrate.vm:103"));
    found(&plan, &cluster(), "vm:103 runs on pve1");
    found(&plan, &cluster(), "no-guest-on-a-node-we-stop");
}

#[test]
fn a_change_that_is_never_undone_is_found() {
    found(&plan_of(without(node_steps(), "pve2.unset-noout")), &cluster(), "pve2.set-noout is never undone");
    found(
        &plan_of(without(node_steps(), "pve2.leave-maintenance")),
        &cluster(),
        "pve2.enter-maintenance is never undone",
    );
    // What an administrator had already set is not ours to clear.
    let mut snapshot = cluster();
    set(Noout::by_host(name("pve2"))).after(&mut snapshot);
    assert!(verify(&plan_of(without(node_steps(), "pve2.unset-noout")), &snapshot, &Policy::default()).is_ok());
}

#[test]
fn a_reboot_without_noout_is_found() {
    let plan = plan_of(without(without(node_steps(), "pve1.set-noout"), "pve1.unset-noout"));
    found(&plan, &cluster(), "ceph-redundancy");
}

#[test]
fn a_reboot_that_nothing_proves_is_found() {
    found(&plan_of(without(node_steps(), "pve3.wait-back")), &cluster(), "nothing after pve3.reboot proves");
}

#[test]
fn a_cost_without_a_consent_is_found() {
    let mut plan = plan_of(node_steps());
    plan = Plan::new(None, UnixMs(0), plan.node_steps, Costs::default(), Vec::new(), Bound::default());
    found(&plan, &cluster(), "pve1.migrate.ct:201 costs ct:201 downtime");
}

#[test]
fn a_forgotten_node_and_a_node_with_two_node_steps_are_found() {
    let mut plan = node_steps();
    plan.remove(1);
    found(&plan_of(plan), &cluster(), "pve2 has something to do and no node step");
    let mut plan = node_steps();
    plan.push(node_step("pve1", Vec::new()));
    found(&plan_of(plan), &cluster(), "pve1 has two node steps");
}

#[test]
fn two_steps_of_one_name_are_found() {
    let mut twice = node_steps();
    let again = twice[0].steps[0].clone();
    twice[0].steps.insert(0, again);
    found(&plan_of(twice), &cluster(), "is in the plan twice");
}

#[test]
fn a_pair_that_meets_in_one_stage_is_found() {
    let mut plan = node_steps();
    // vm:102 comes to pve1 while vm:101 is still there.
    let meeting = plan[1].steps.remove(0);
    plan[0].steps.insert(0, PlannedStep { stage: 0, ..meeting });
    found(&plan_of(plan), &cluster(), "rules-kept");
}

#[test]
fn a_group_that_is_left_split_is_found() {
    let mut snapshot = cluster();
    let pair = [GuestId::vm(101), GuestId::vm(102)];
    guest_mut(&mut snapshot, pair[1]).node = name("pve1");
    ha_mut(&mut snapshot).services.get_mut(&pair[1]).unwrap().node = Some(name("pve1"));
    ha_mut(&mut snapshot).rules =
        vec![AffinityRule::Resource(ResourceAffinity { id: "pair".to_owned(), guests: pair.into(), together: true })];
    list_locally(&mut snapshot);
    let plan = plan_of(vec![turn(
        "pve1",
        vec![migrate(pair[0], "pve1", "pve2", MoveMode::Ha), migrate(pair[1], "pve1", "pve3", MoveMode::Ha)],
    )]);
    found(&plan, &snapshot, "the node step of pve1 leaves guests on different nodes that rule pair keeps together");
}

#[test]
fn a_move_back_to_an_old_node_is_found() {
    let mut plan = node_steps();
    let back = migrate(GuestId::vm(102), "pve1", "pve3", MoveMode::Ha);
    let step = PlannedStep { id: "pve2.migrate-back.vm:102".into(), stage: 99, step: back, ..plan[1].steps[0].clone() };
    plan[1].steps.push(step);
    found(&plan_of(plan), &cluster(), "forward-only");
}

#[test]
fn a_target_without_room_is_found() {
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(103)).memory_bytes = 60 * GIB;
    found(&plan_of(node_steps()), &snapshot, "memory-fits");
}

#[test]
fn what_pve_does_not_check_is_found() {
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve3").bridges = Known(Default::default());
    found(&plan_of(node_steps()), &snapshot, "pve3 has no bridge vmbr0");
    let mut snapshot = cluster();
    let disk = LocalDisk {
        volid: "local:iso/debian.iso".to_owned(),
        drive: "ide2".to_owned(),
        size_bytes: GIB,
        usage: crate::snapshot::DiskUse::Cdrom,
        replicated: false,
    };
    guest_mut(&mut snapshot, GuestId::vm(103)).migration.known_mut().unwrap().local_disks.push(disk);
    found(&plan_of(node_steps()), &snapshot, "ide2 holds the local image");
}

#[test]
fn a_move_that_bypasses_ha_is_found() {
    let mut plan = node_steps();
    plan[0].steps[0].step = migrate(GuestId::vm(101), "pve1", "pve3", MoveMode::Live);
    found(&plan_of(plan), &cluster(), "bypasses HA");
}

#[test]
fn a_missing_reading_is_found() {
    let mut snapshot = cluster();
    snapshot.ceph = gap();
    found(&plan_of(node_steps()), &snapshot, "ceph-redundancy (cannot be determined");
}

#[test]
fn a_guest_may_be_shut_down_with_consent_and_is_started_again() {
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(103)).status = Known(GuestStatus::Running);
    let guest = GuestId::vm(103);
    let mut plan = node_steps();
    plan[0].steps[1].step = ShutdownGuest { guest, node: name("pve1") }.into();
    plan[2] = without(vec![plan.remove(2)], "pve3.migrate.vm:103").remove(0);
    let start = Step::from(StartGuest { guest, node: name("pve1") });
    let last = PlannedStep { id: "pve1.start-guest.vm:103".into(), stage: 99, ..plan[0].steps[0].clone() };
    plan[0].steps.push(PlannedStep { step: start, ..last });
    let mut consents = vec![consent(ConsentKind::RestartContainers, GuestId::ct(201))];
    let asked = |consents: &[Consent], node_steps: &[NodeStep]| {
        Plan::new(None, UnixMs(0), node_steps.to_vec(), Costs::default(), consents.to_vec(), Bound::default())
    };
    found(&asked(&consents, &plan), &snapshot, "the plan asks for no consent");
    consents.push(consent(ConsentKind::ShutdownGuests, guest));
    assert_eq!(verify(&asked(&consents, &plan), &snapshot, &Policy::default()).map(|_| ()), Ok(()));
    ha_mut(&mut snapshot).rules.push(AffinityRule::Resource(ResourceAffinity {
        id: "nobody".to_owned(),
        guests: Default::default(),
        together: true,
    }));
    plan[0].steps.pop();
    found(&asked(&consents, &plan), &snapshot, "is never undone");
}
