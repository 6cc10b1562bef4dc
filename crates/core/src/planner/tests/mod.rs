//! Scenarios with three nodes or a few more: each rule of the planner has a test that fails without it.

use crate::fixture::Fixture;
use crate::ids::GuestId;
use crate::observed::Observed::{self, Known};
use crate::plan::{NoPlan, NodeWhy, Plan};
use crate::policy::{ConsentKind, GuestPolicy, Policy, RebootWhen, StoppedGuests};
use crate::snapshot::Snapshot;
use crate::steps::{Migrate, MoveMode, Step};

use super::{Ongoing, plan};

mod drain;
mod infeasible;
mod limits;
mod outdated;
mod policies;
mod preferences;
mod properties;
mod puzzles;
mod steadiness;
mod stopped;
mod storage_map;

fn ongoing() -> Ongoing {
    Ongoing::fresh("quorate-upgrade-test".into())
}

fn planned(snapshot: &Snapshot, policy: &Policy) -> Plan {
    plan(snapshot, policy, &ongoing()).unwrap_or_else(|none| panic!("no plan: {:#?}", none.findings))
}

fn refused(snapshot: &Snapshot, policy: &Policy) -> NoPlan {
    match plan(snapshot, policy, &ongoing()) {
        Ok(plan) => panic!("there is a plan, but none was expected: {:#?}", verbs(&plan)),
        Err(none) => none,
    }
}

/// Node and verbs of each node step, in order.
fn verbs(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let name = |node: Option<&crate::ids::NodeName>| node.map_or("cluster".to_owned(), ToString::to_string);
    plan.node_steps
        .iter()
        .map(|node_step| {
            (
                name(node_step.node.as_ref()),
                node_step.steps.iter().map(|step| step.step.kind().verb().to_owned()).collect(),
            )
        })
        .collect()
}

fn order(plan: &Plan) -> Vec<String> {
    plan.node_steps.iter().filter_map(|node_step| node_step.node.as_ref().map(ToString::to_string)).collect()
}

fn moves(plan: &Plan) -> Vec<&Migrate> {
    plan.steps()
        .filter_map(|(_, planned)| if let Step::Migrate(step) = &planned.step { Some(step) } else { None })
        .collect()
}

fn moves_of(plan: &Plan, guest: GuestId) -> Vec<(String, String, MoveMode)> {
    let of = moves(plan).into_iter().filter(|step| step.guest == guest);
    of.map(|step| (step.from.to_string(), step.to.to_string(), step.mode)).collect()
}

fn step_ids(plan: &Plan) -> Vec<&str> {
    plan.steps().map(|(_, planned)| planned.id.as_str()).collect()
}

#[test]
fn three_nodes_with_a_guest_each_are_planned_node_by_node_in_the_canonical_order() {
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4).snapshot();
    let plan = planned(&snapshot, &Policy::default());
    let node_steps = verbs(&plan);
    assert_eq!(node_steps.len(), 4);
    for (_, verbs) in &node_steps[..3] {
        let rest = ["wait-empty", "upgrade-packages", "reboot", "wait-back"];
        assert_eq!(verbs[0], "refresh-packages");
        assert_eq!(verbs[verbs.len() - 4..], rest);
        assert!(verbs[1..verbs.len() - 4].iter().all(|verb| verb == "migrate"));
    }
    assert_eq!(node_steps[3], ("cluster".to_owned(), vec!["final-check".to_owned()]));
    assert_eq!((plan.costs.moves, plan.bound.moves, plan.costs.reboots), (4, 4, 3));
    assert!(plan.bound.why.optimal && plan.bound.why.to_string().contains("proven optimal"), "{}", plan.bound.why);
    assert!(plan.consents.is_empty());
    let mut ids = step_ids(&plan);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids are unique");
}

#[test]
fn a_node_with_nothing_to_do_gets_no_node_step_and_takes_the_others_guests() {
    let snapshot = Fixture::cluster(3).upgraded("pve2").vm(101, "pve1", 4).vm(103, "pve3", 4).snapshot();
    let plan = planned(&snapshot, &Policy::default());
    assert_eq!(order(&plan).len(), 2);
    assert!(!order(&plan).contains(&"pve2".to_owned()));
    assert_eq!(plan.costs.moves, 2);
    assert!(moves(&plan).iter().all(|step| step.to.as_str() == "pve2"));
}

#[test]
fn the_operators_first_and_last_and_the_current_node_decide_the_order() {
    let snapshot = Fixture::cluster(4).vm(101, "pve1", 4).snapshot();
    let policy = Policy { first: vec!["pve3".into()], last: vec!["pve4".into(), "pve2".into()], ..Policy::default() };
    assert_eq!(order(&planned(&snapshot, &policy)), ["pve3", "pve1", "pve4", "pve2"]);
    let begun = Ongoing { current_node: Some("pve2".into()), ..ongoing() };
    let plan = plan(&snapshot, &policy, &begun).unwrap();
    assert_eq!(order(&plan), ["pve2", "pve3", "pve1", "pve4"]);
}

#[test]
fn memory_with_overhead_and_headroom_must_fit_on_the_target() {
    // 64 GiB less 5 % is 60.8 GiB: enough for two guests of 30 GiB with their overhead, but not for more.
    let fits = Fixture::cluster(3).vm(101, "pve1", 30).vm(102, "pve2", 30).vm(103, "pve3", 30).snapshot();
    planned(&fits, &Policy::default());
    let tight = Policy { headroom_percent: 6, ..Policy::default() };
    let none = refused(&fits, &tight);
    assert_eq!(none.findings[0].check, "plan-no-room");
    let problem = &none.findings[0].problem;
    assert!(problem.contains("short") && problem.contains("Largest hole"), "{problem}");
}

#[test]
fn what_the_host_itself_uses_is_not_planned_for_guests_however_small_the_headroom() {
    let with_host = |host_gib: u64| {
        let mut fixture = Fixture::cluster(3).vm(101, "pve1", 27).vm(102, "pve2", 27).vm(103, "pve3", 27);
        for node in ["pve1", "pve2", "pve3"] {
            fixture = fixture.node(node, |node| node.memory.known_mut().unwrap().host_bytes = host_gib << 30);
        }
        fixture.snapshot()
    };
    let policy = Policy { headroom_percent: 0, ..Policy::default() };
    planned(&with_host(8), &policy);
    assert_eq!(refused(&with_host(10), &policy).findings[0].check, "plan-no-room");
    // The plan leaves a little more free than the rule demands, so that a cache may grow.
    let plan = planned(&with_host(8), &policy);
    let mut grown = with_host(8);
    let grow = |node: &mut crate::snapshot::Node| node.memory.known_mut().unwrap().host_bytes += 256 << 20;
    grown.nodes.values_mut().for_each(grow);
    crate::forecast::verify(&plan, &grown, &policy).expect("a little more is no reason");
    let much = crate::forecast::verify(&plan, &with_host(12), &policy).expect_err("four GiB are");
    assert!(much[0].problem.contains("the host itself uses 12288 MiB"), "{}", much[0].problem);
}

#[test]
fn the_stages_of_a_node_step_keep_to_the_limit_of_parallel_migrations() {
    let mut fixture = Fixture::cluster(3);
    for vmid in 101..106 {
        fixture = fixture.vm(vmid, "pve1", 2);
    }
    let snapshot = fixture.snapshot();
    for parallel in [1, 2, 4] {
        let plan = planned(&snapshot, &Policy { parallel_migrations: Some(parallel), ..Policy::default() });
        for node_step in &plan.node_steps {
            let mut stages: std::collections::BTreeMap<u32, u8> = std::collections::BTreeMap::new();
            for step in node_step.steps.iter().filter(|step| matches!(step.step, Step::Migrate(_))) {
                *stages.entry(step.stage).or_default() += 1;
            }
            assert!(stages.values().all(|count| *count <= parallel), "{stages:?}");
            assert!(node_step.steps.windows(2).all(|pair| pair[0].stage <= pair[1].stage), "stages rise");
        }
    }
}

#[test]
fn guests_are_migrated_as_their_kind_disks_and_ha_require() {
    let disk = crate::snapshot::LocalDisk {
        volid: "shared:vm-102-disk-0".to_owned(),
        drive: "scsi0".to_owned(),
        size_bytes: 10 << 30,
        usage: crate::snapshot::DiskUse::Attached,
        replicated: false,
    };
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 2)
        .vm(102, "pve1", 2)
        .ct(103, "pve1", 2)
        .vm(104, "pve1", 2)
        .ct(105, "pve1", 2)
        .vm(106, "pve1", 2)
        .facts(GuestId::vm(102), |facts| facts.local_disks.push(disk))
        .managed(GuestId::vm(104))
        .managed(GuestId::ct(105))
        .guest(GuestId::vm(106), |guest| guest.status = Known(crate::snapshot::GuestStatus::Paused))
        .snapshot();
    let plan = planned(&snapshot, &Policy::default());
    let mode = |guest| moves_of(&plan, guest)[0].2;
    assert_eq!(mode(GuestId::vm(101)), MoveMode::Live);
    assert_eq!(mode(GuestId::vm(102)), MoveMode::LiveWithDisks);
    assert_eq!(mode(GuestId::ct(103)), MoveMode::Restart);
    assert_eq!(mode(GuestId::vm(104)), MoveMode::Ha);
    assert_eq!(mode(GuestId::ct(105)), MoveMode::Ha);
    assert_eq!(mode(GuestId::vm(106)), MoveMode::Live);
    let restarts: Vec<GuestId> = plan.consents.iter().map(|consent| consent.guest).collect();
    assert_eq!(restarts, [GuestId::ct(103), GuestId::ct(105)]);
    assert!(
        plan.consents.iter().all(|consent| consent.kind == ConsentKind::RestartContainers && consent.downtime_s >= 10)
    );
    assert_eq!(plan.costs.downtime_s.len(), 2);
}

#[test]
fn a_stopped_guest_stays_unless_the_policy_moves_it() {
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 200).stopped(GuestId::vm(101)).snapshot();
    assert!(moves(&planned(&snapshot, &Policy::default())).is_empty());
    let plan = planned(&snapshot, &Policy { stopped_guests: StoppedGuests::Move, ..Policy::default() });
    assert_eq!(moves_of(&plan, GuestId::vm(101))[0].2, MoveMode::Offline);
}

fn plan_from(snapshot: &Snapshot, policy: &Policy, ongoing: &Ongoing) -> Plan {
    plan(snapshot, policy, ongoing).unwrap_or_else(|none| panic!("no plan: {:#?}", none.findings))
}

#[test]
fn ha_maintenance_frames_the_upgrade_only_where_ha_is_in_use() {
    let without = planned(&Fixture::cluster(3).vm(101, "pve1", 4).snapshot(), &Policy::default());
    assert!(!step_ids(&without).iter().any(|id| id.contains("maintenance") || id.contains("wait-ha-idle")));
    let with = Fixture::cluster(3).vm(101, "pve1", 4).managed(GuestId::vm(101)).snapshot();
    let plan = planned(&with, &Policy::default());
    let (_, node_step) = verbs(&plan).into_iter().find(|(node, _)| node == "pve2").unwrap();
    let rest: Vec<&str> = node_step.iter().map(String::as_str).filter(|verb| *verb != "migrate").collect();
    let canonical = [
        "refresh-packages",
        "wait-empty",
        "enter-maintenance",
        "upgrade-packages",
        "reboot",
        "wait-back",
        "leave-maintenance",
        "wait-ha-idle",
    ];
    assert_eq!(rest, canonical);
}

#[test]
fn noout_is_set_only_for_a_node_with_osds_and_only_if_it_is_not_set_already() {
    let fixture = Fixture::cluster(3).ceph().change(|snapshot| {
        let ceph = snapshot.ceph.known_mut().unwrap().as_mut().unwrap();
        ceph.osds.retain(|_, osd| osd.node.as_str() != "pve3");
        ceph.node_flags.insert("pve2".to_owned(), ["noout".to_owned()].into());
    });
    let plan = planned(&fixture.snapshot(), &Policy::default());
    let ids = step_ids(&plan);
    assert!(ids.contains(&"pve1.set-noout") && ids.contains(&"pve1.unset-noout"));
    assert!(!ids.iter().any(|id| id.starts_with("pve2.") && id.contains("noout")), "the administrator's flag stays");
    assert!(!ids.iter().any(|id| id.starts_with("pve3.") && id.contains("noout")), "no OSD there");
}

#[test]
fn a_node_without_a_new_kernel_is_rebooted_only_if_the_policy_wants_it() {
    let fixture = Fixture::cluster(3).node("pve1", |node| {
        let packages = node.packages.known_mut().unwrap();
        packages.pending.retain(|package| !package.name.starts_with("proxmox-kernel"));
    });
    let snapshot = fixture.snapshot();
    assert!(!step_ids(&planned(&snapshot, &Policy::default())).contains(&"pve1.reboot"));
    let always = Policy { reboot: RebootWhen::Always, ..Policy::default() };
    assert!(step_ids(&planned(&snapshot, &always)).contains(&"pve1.reboot"));
}

/// Ceph's packages restart nothing: without the reboot its daemons would keep running the old version.
#[test]
fn a_node_whose_ceph_is_upgraded_is_rebooted_even_without_a_new_kernel() {
    let with_ceph = |change: &dyn Fn(&mut crate::snapshot::Packages)| {
        let fixture = Fixture::cluster(3).ceph().node("pve1", |node| {
            let packages = node.packages.known_mut().unwrap();
            packages.pending.retain(|package| !package.name.starts_with("proxmox-kernel"));
            change(packages);
        });
        fixture.snapshot()
    };
    let reboots = |snapshot: &Snapshot| step_ids(&planned(snapshot, &Policy::default())).contains(&"pve1.reboot");
    let comes = |name: &str| crate::snapshot::PendingPackage {
        name: name.to_owned(),
        from: Some("19.2.3-pve1".into()),
        to: "19.2.3-pve2".into(),
        origin: "Ceph:stable".to_owned(),
    };
    assert!(!reboots(&with_ceph(&|_| ())));
    assert!(reboots(&with_ceph(&|packages| packages.pending.push(comes("ceph-osd")))));
    assert!(reboots(&with_ceph(&|packages| packages.pending.push(comes("ceph-mon")))));
    assert!(!reboots(&with_ceph(&|packages| packages.pending.push(comes("ceph-mds")))), "none runs there");
    let mut installed = with_ceph(&|_| ());
    installed.ceph.known_mut().unwrap().as_mut().unwrap().installed.insert("pve1".into(), "19.2.4".into());
    assert!(reboots(&installed), "installed before, and not running yet");
}

#[test]
fn failback_is_held_for_a_guest_that_ha_would_move_back_and_set_back_at_the_end() {
    let (pulled, free) = (GuestId::vm(101), GuestId::vm(102));
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 4)
        .vm(102, "pve1", 4)
        .managed(pulled)
        .managed(free)
        .node_rule("prefer", &[pulled], &[("pve1", 2), ("pve2", 1)], false)
        .node_rule("alike", &[free], &[("pve1", 1), ("pve2", 1), ("pve3", 1)], true)
        .snapshot();
    let plan = planned(&snapshot, &Policy::default());
    let ids = step_ids(&plan);
    assert!(ids.iter().any(|id| id.ends_with("hold-failback.vm:101")));
    assert!(ids.contains(&"cluster.restore-failback.vm:101"));
    assert!(!ids.iter().any(|id| id.ends_with("failback.vm:102")));
}

#[test]
fn a_strict_node_rule_and_a_keep_apart_rule_limit_the_targets() {
    let (a, b) = (GuestId::vm(101), GuestId::vm(102));
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 4)
        .vm(102, "pve2", 4)
        .managed(a)
        .managed(b)
        .node_rule("only", &[a], &[("pve1", 1), ("pve2", 1)], true)
        .apart("apart", &[a, b])
        .snapshot();
    let plan = planned(&snapshot, &Policy::default());
    assert!(moves_of(&plan, a).iter().all(|(_, to, _)| to != "pve3"));
    let mut at = std::collections::BTreeMap::from([(a, "pve1".to_owned()), (b, "pve2".to_owned())]);
    for step in moves(&plan) {
        let other = if step.guest == a { b } else { a };
        assert_ne!(at[&other], step.to.as_str(), "they would meet");
        at.insert(step.guest, step.to.to_string());
    }
}

#[test]
fn guests_that_are_kept_apart_on_every_node_cannot_be_drained() {
    let guests = [GuestId::vm(101), GuestId::vm(102), GuestId::vm(103)];
    let mut fixture = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4);
    for guest in guests {
        fixture = fixture.managed(guest);
    }
    let none = refused(&fixture.apart("spread", &guests).snapshot(), &Policy::default());
    assert!(none.findings[0].problem.contains("must be apart"), "{}", none.findings[0].problem);
}

#[test]
fn guests_that_are_kept_together_move_to_the_same_node_and_need_room_for_both() {
    let (a, b) = (GuestId::vm(101), GuestId::vm(102));
    let fixture = |gib| {
        let fixture =
            Fixture::cluster(3).vm(101, "pve1", gib).vm(102, "pve1", gib).vm(103, "pve2", 31).vm(104, "pve3", 31);
        fixture.managed(a).managed(b)
    };
    let plan = planned(&fixture(14).together("pair", &[a, b]).snapshot(), &Policy::default());
    let path = |guest| moves_of(&plan, guest).into_iter().map(|(_, to, _)| to).collect::<Vec<_>>();
    assert_eq!(path(a), path(b));
    let first = Policy { first: vec!["pve1".into()], ..Policy::default() };
    planned(&fixture(28).snapshot(), &first);
    refused(&fixture(28).together("pair", &[a, b]).snapshot(), &first);
}

#[test]
fn a_running_vm_never_goes_to_a_node_with_an_older_release() {
    // pve2's big guest finds room only on pve1, and only if 101 leaves that upgraded node for pve3, which is old.
    let fixture = |add: fn(Fixture) -> Fixture| {
        let fixture = add(Fixture::cluster(3).upgraded("pve1")).vm(102, "pve2", 40).vm(103, "pve3", 30);
        let bound = GuestId::vm(103);
        fixture.managed(bound).node_rule("old ones", &[bound], &[("pve2", 1), ("pve3", 1)], true).snapshot()
    };
    let policy = Policy { first: vec!["pve2".into()], ..Policy::default() };
    refused(&fixture(|fixture| fixture.vm(101, "pve1", 25)), &policy);
    planned(&fixture(|fixture| fixture.ct(101, "pve1", 25)), &policy);
}

#[test]
fn a_machine_type_that_the_targets_qemu_does_not_know_keeps_a_vm_from_it() {
    let snapshot = Fixture::cluster(3)
        .node("pve2", |node| node.qemu_version = Known("9.0.2-1".into()))
        .node("pve1", |node| node.qemu_version = Known("9.0.2-1".into()))
        .vm(101, "pve1", 4)
        .snapshot();
    // Without the rule pve2 would be taken: it is drained last.
    let policy = Policy { first: vec!["pve1".into()], last: vec!["pve2".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert_eq!(moves_of(&plan, GuestId::vm(101))[0].1, "pve3", "9.0 on pve2 does not know pc-q35-9.2");
}

#[test]
fn storage_bridge_cpu_and_pves_own_refusal_each_rule_a_target_out() {
    let base = || Fixture::cluster(3).vm(101, "pve1", 4);
    let id = GuestId::vm(101);
    let to_pve3 = |fixture: Fixture, what: &str| {
        // Without the rule pve2 would be taken: it is drained last.
        let policy = Policy { first: vec!["pve1".into()], last: vec!["pve2".into()], ..Policy::default() };
        let plan = planned(&fixture.snapshot(), &policy);
        assert_eq!(moves_of(&plan, id)[0].1, "pve3", "{what}");
    };
    to_pve3(base().node("pve2", |node| node.bridges = Known(Default::default())), "bridge");
    to_pve3(
        base().node("pve2", |node| {
            node.storages.known_mut().unwrap().values_mut().for_each(|storage| storage.active = false);
        }),
        "storage inactive",
    );
    to_pve3(
        base().change(|snapshot| {
            let storages = snapshot.storages.known_mut().unwrap();
            storages.values_mut().for_each(|storage| storage.nodes = Some(["pve1".into(), "pve3".into()].into()));
        }),
        "storage not for this node",
    );
    to_pve3(
        base().facts(id, |facts| facts.cpu_model = Some("host".to_owned())).node("pve2", |node| {
            node.cpu.known_mut().unwrap().flags.remove("avx2");
        }),
        "host CPU",
    );
    to_pve3(
        base().facts(id, |facts| {
            let refusal = crate::snapshot::TargetRefusal::Other("no".to_owned());
            facts.refused.insert("pve2".into(), vec![refusal]);
        }),
        "refused",
    );
    to_pve3(base().node("pve2", |node| node.bridges = Observed::unknown("pve2", "timeout")), "unknown");
}

#[test]
fn pves_refusal_because_of_a_guest_kept_apart_applies_now_and_not_later() {
    let (a, b) = (GuestId::vm(101), GuestId::vm(102));
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 4)
        .vm(102, "pve2", 4)
        .managed(a)
        .managed(b)
        .apart("apart", &[a, b])
        .facts(a, |facts| {
            let cause = "resource-affinity".to_owned();
            let refusal = crate::snapshot::TargetRefusal::HaRule { cause, sid: "vm:102".to_owned() };
            facts.refused.insert("pve2".into(), vec![refusal]);
        })
        .node("pve3", |node| node.bridges = Known(Default::default()))
        .snapshot();
    // With pve3 ruled out, vm:101 can only go to pve2, where vm:102 is, and that one has nowhere to go.
    let none = refused(&snapshot, &Policy::default());
    assert!(none.findings.iter().all(|finding| !finding.problem.contains("PVE:")), "{:?}", none.findings);
}

#[test]
fn a_guest_bound_to_its_node_is_refused_or_shut_down_as_the_operator_says() {
    let id = GuestId::vm(101);
    let device = || crate::snapshot::LocalResource { key: "hostpci0".to_owned(), mapping: None, live_capable: false };
    let fixture = || Fixture::cluster(3).vm(101, "pve1", 4).facts(id, |facts| facts.local_resources.push(device()));
    let none = refused(&fixture().snapshot(), &Policy::default());
    assert_eq!(none.findings[0].check, "plan-immovable");
    assert!(none.findings[0].problem.contains("hostpci0"));
    let policy = Policy { guests: [(id, GuestPolicy::Shutdown)].into(), ..Policy::default() };
    let plan = planned(&fixture().snapshot(), &policy);
    let ids = step_ids(&plan);
    let at = |id: &str| ids.iter().position(|other| *other == id).unwrap();
    assert!(at("pve1.shutdown-guest.vm:101") < at("pve1.wait-empty"));
    assert!(at("pve1.start-guest.vm:101") > at("pve1.wait-back"));
    assert_eq!(plan.consents[0].kind, ConsentKind::ShutdownGuests);
    assert!(plan.costs.downtime_s[&id] >= 300, "{:?}", plan.costs.downtime_s);
    // HA is asked to keep it stopped meanwhile, and its maintenance mode takes time as well.
    let managed = planned(&fixture().managed(id).snapshot(), &policy);
    assert!(managed.costs.downtime_s[&id] > plan.costs.downtime_s[&id], "{:?}", managed.costs.downtime_s);
    // A tag has the same effect, and the configuration takes precedence.
    let tagged = |tag: &str| {
        let tag = tag.to_owned();
        fixture().guest(id, |guest| guest.tags = [tag].into()).snapshot()
    };
    assert_eq!(planned(&tagged("quorate-shutdown"), &Policy::default()).consents, plan.consents);
    let refuse = Policy { guests: [(id, GuestPolicy::Refuse)].into(), ..Policy::default() };
    refused(&tagged("quorate-shutdown"), &refuse);
    let skip = fixture().guest(id, |guest| {
        guest.tags.insert("quorate-skip".to_owned());
    });
    let skip = skip.snapshot();
    refused(&skip, &policy);
}

#[test]
fn a_cd_image_on_local_storage_is_ejected_if_the_operator_says_so() {
    let id = GuestId::vm(101);
    let image = crate::snapshot::LocalDisk {
        volid: "local:iso/debian.iso".to_owned(),
        drive: "ide2".to_owned(),
        size_bytes: 1 << 30,
        usage: crate::snapshot::DiskUse::Cdrom,
        replicated: false,
    };
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 4).facts(id, |facts| facts.local_disks.push(image)).snapshot();
    assert!(refused(&snapshot, &Policy::default()).findings[0].problem.contains("ide2"));
    let policy = Policy { guests: [(id, GuestPolicy::Eject)].into(), ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert!(step_ids(&plan).contains(&"pve1.eject-media.vm:101.ide2"));
    assert_eq!(moves_of(&plan, id)[0].2, MoveMode::Live);
    assert_eq!(plan.consents[0].kind, ConsentKind::EjectMedia);
}

#[test]
fn a_missing_reading_that_matters_is_named_and_nothing_is_planned() {
    type Change = fn(&mut Snapshot);
    let unknown: [(&str, Change); 7] = [
        ("HA", |snapshot| snapshot.ha = Observed::unknown("x", "y")),
        ("Ceph", |snapshot| snapshot.ceph = Observed::unknown("x", "y")),
        ("all guests", |snapshot| snapshot.sees_all_guests = Known(false)),
        ("kernels", |snapshot| {
            snapshot.nodes.values_mut().for_each(|node| node.kernel = Observed::unknown("x", "y"));
        }),
        ("memory", |snapshot| {
            snapshot.nodes.values_mut().for_each(|node| node.memory = Observed::unknown("x", "y"));
        }),
        ("runs", |snapshot| {
            snapshot.guests.values_mut().for_each(|guest| guest.status = Observed::unknown("x", "y"));
        }),
        ("may go", |snapshot| {
            snapshot.guests.values_mut().for_each(|guest| guest.migration = Observed::unknown("x", "y"));
        }),
    ];
    for (word, change) in unknown {
        let none = refused(&Fixture::cluster(3).vm(101, "pve1", 4).change(change).snapshot(), &Policy::default());
        assert_eq!(none.findings[0].check, "plan-unknown", "{word}");
        assert!(none.findings[0].problem.contains(word), "{}", none.findings[0].problem);
    }
}

#[test]
fn a_node_step_that_has_begun_is_planned_in_full_and_everything_still_to_undo_is_in_the_plan() {
    let snapshot = Fixture::cluster(3)
        .upgraded("pve1")
        .vm(101, "pve1", 4)
        .stopped(GuestId::vm(101))
        .vm(102, "pve2", 4)
        .managed(GuestId::vm(102))
        .ha(|ha| {
            ha.nodes.insert("pve1".into(), crate::snapshot::HaNodeState::Maintenance);
        })
        .snapshot();
    let to_undo: Vec<Step> = vec![
        crate::steps::undo(crate::steps::Failback { guest: GuestId::vm(102) }),
        crate::steps::StartGuest { guest: GuestId::vm(101), node: "pve1".into() }.into(),
        crate::steps::undo(crate::steps::Maintenance { node: "pve1".into() }),
    ];
    let begun = Ongoing { current_node: Some("pve1".into()), to_undo: to_undo.clone(), ..ongoing() };
    let plan = plan(&snapshot, &Policy::default(), &begun).unwrap();
    let (node, node_step) = verbs(&plan).remove(0);
    assert_eq!(node, "pve1");
    let canonical = [
        "refresh-packages",
        "wait-empty",
        "enter-maintenance",
        "upgrade-packages",
        "wait-back",
        "leave-maintenance",
        "start-guest",
        "wait-ha-idle",
    ];
    assert_eq!(node_step, canonical, "no reboot: the kernel is current");
    for step in to_undo {
        assert_eq!(plan.steps().filter(|(_, planned)| planned.step == step).count(), 1, "{step:?}");
    }
}

#[test]
fn a_node_that_is_out_for_another_reason_forbids_a_plan() {
    let out = Fixture::cluster(3).node("pve2", |node| node.online = Known(false)).snapshot();
    assert_eq!(refused(&out, &Policy::default()).findings[0].check, "plan-node-out");
    let theirs = Fixture::cluster(3)
        .ha(|ha| {
            ha.nodes.insert("pve2".into(), crate::snapshot::HaNodeState::Maintenance);
        })
        .snapshot();
    assert_eq!(refused(&theirs, &Policy::default()).findings[0].check, "plan-node-out");
}

#[test]
fn a_guest_tagged_quorate_last_puts_its_node_at_the_end_but_before_those_of_the_configuration() {
    let id = GuestId::vm(101);
    let tagged = Fixture::cluster(4).vm(101, "pve1", 4).vm(102, "pve2", 4).guest(id, |guest| {
        guest.tags.insert("quorate-last".to_owned());
    });
    let order = |policy: &Policy| -> Vec<String> {
        planned(&tagged.clone().snapshot(), policy)
            .node_steps
            .iter()
            .filter_map(|node_step| node_step.node.as_ref())
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(order(&Policy::default()).last().unwrap(), "pve1");
    let policy = Policy { last: vec!["pve3".into()], ..Policy::default() };
    assert_eq!(order(&policy)[2..], ["pve1", "pve3"]);
    let plan = planned(&tagged.clone().snapshot(), &policy);
    let why = |node: &str| {
        &plan.node_steps.iter().find(|node_step| node_step.node == Some(node.into())).expect("it is upgraded").why
    };
    assert_eq!(*why("pve1"), NodeWhy::TaggedLast);
    assert_eq!(why("pve1").to_string(), "late: a guest on it has the tag quorate-last");
    assert_eq!(*why("pve3"), NodeWhy::WantedLate);
    assert_eq!(why("pve3").to_string(), "the operator wants it late");
}
