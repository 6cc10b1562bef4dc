//! Scenarios with three nodes or a few more: each rule of the planner by the test that goes red without it.

use crate::fixture::Fixture;
use crate::ids::GuestId;
use crate::observed::Observed::{self, Known};
use crate::plan::{NoPlan, Plan};
use crate::policy::{ConsentKind, GuestPolicy, Policy, RebootWhen, StoppedGuests};
use crate::snapshot::Snapshot;
use crate::steps::{Migrate, Step, Travel};

use super::{Ongoing, plan};

fn ongoing() -> Ongoing {
    Ongoing::fresh("quorate-upgrade-test".into())
}

fn planned(snapshot: &Snapshot, policy: &Policy) -> Plan {
    plan(snapshot, policy, &ongoing()).unwrap_or_else(|none| panic!("no plan: {:#?}", none.findings))
}

fn refused(snapshot: &Snapshot, policy: &Policy) -> NoPlan {
    match plan(snapshot, policy, &ongoing()) {
        Ok(plan) => panic!("there is a plan, and none was to be: {:#?}", verbs(&plan)),
        Err(none) => none,
    }
}

/// Node and verbs of each wave, in order.
fn verbs(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let name = |node: Option<&crate::ids::NodeName>| node.map_or("cluster".to_owned(), ToString::to_string);
    plan.waves
        .iter()
        .map(|wave| {
            (name(wave.node.as_ref()), wave.steps.iter().map(|step| step.step.kind().verb().to_owned()).collect())
        })
        .collect()
}

fn order(plan: &Plan) -> Vec<String> {
    plan.waves.iter().filter_map(|wave| wave.node.as_ref().map(ToString::to_string)).collect()
}

fn moves(plan: &Plan) -> Vec<&Migrate> {
    plan.steps()
        .filter_map(|(_, planned)| if let Step::Migrate(step) = &planned.step { Some(step) } else { None })
        .collect()
}

fn moves_of(plan: &Plan, guest: GuestId) -> Vec<(String, String, Travel)> {
    let of = moves(plan).into_iter().filter(|step| step.guest == guest);
    of.map(|step| (step.from.to_string(), step.to.to_string(), step.travel)).collect()
}

fn step_ids(plan: &Plan) -> Vec<&str> {
    plan.steps().map(|(_, planned)| planned.id.as_str()).collect()
}

#[test]
fn three_nodes_with_a_guest_each_are_planned_node_by_node_in_the_canonical_order() {
    let snapshot = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4).snapshot();
    let plan = planned(&snapshot, &Policy::default());
    let waves = verbs(&plan);
    assert_eq!(waves.len(), 4);
    for (_, verbs) in &waves[..3] {
        let rest = ["prove-empty", "upgrade-packages", "reboot", "prove-back"];
        assert_eq!(verbs[0], "refresh-packages");
        assert_eq!(verbs[verbs.len() - 4..], rest);
        assert!(verbs[1..verbs.len() - 4].iter().all(|verb| verb == "migrate"));
    }
    assert_eq!(waves[3], ("cluster".to_owned(), vec!["final-check".to_owned()]));
    assert_eq!((plan.costs.moves, plan.bound.moves, plan.costs.reboots), (4, 4, 3));
    assert!(plan.bound.why.contains("proven optimal"), "{}", plan.bound.why);
    assert!(plan.consents.is_empty());
    let mut ids = step_ids(&plan);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids are unique");
}

#[test]
fn a_node_with_nothing_to_do_gets_no_wave_and_takes_the_others_guests() {
    let snapshot = Fixture::cluster(3).upgraded("pve2").vm(101, "pve1", 4).vm(103, "pve3", 4).snapshot();
    let plan = planned(&snapshot, &Policy::default());
    assert_eq!(order(&plan).len(), 2);
    assert!(!order(&plan).contains(&"pve2".to_owned()));
    assert_eq!(plan.costs.moves, 2);
    assert!(moves(&plan).iter().all(|step| step.to.as_str() == "pve2"));
}

#[test]
fn the_operators_first_and_last_and_the_node_under_work_decide_the_order() {
    let snapshot = Fixture::cluster(4).vm(101, "pve1", 4).snapshot();
    let policy = Policy { first: vec!["pve3".into()], last: vec!["pve4".into(), "pve2".into()], ..Policy::default() };
    assert_eq!(order(&planned(&snapshot, &policy)), ["pve3", "pve1", "pve4", "pve2"]);
    let begun = Ongoing { under_work: Some("pve2".into()), ..ongoing() };
    let plan = plan(&snapshot, &policy, &begun).unwrap();
    assert_eq!(order(&plan), ["pve2", "pve3", "pve1", "pve4"]);
}

#[test]
fn memory_with_overhead_and_headroom_must_fit_on_the_target() {
    // 64 GiB less 5 % is 60.8: two guests of 30 GiB with their overhead fit beside nothing else of that size.
    let fits = Fixture::cluster(3).vm(101, "pve1", 30).vm(102, "pve2", 30).vm(103, "pve3", 30).snapshot();
    planned(&fits, &Policy::default());
    let tight = Policy { headroom_percent: 6, ..Policy::default() };
    let none = refused(&fits, &tight);
    assert_eq!(none.findings[0].check, "plan-no-room");
    let problem = &none.findings[0].problem;
    assert!(problem.contains("short") && problem.contains("Largest hole"), "{problem}");
}

#[test]
fn the_stages_of_a_wave_keep_to_the_limit_of_parallel_migrations() {
    let mut fixture = Fixture::cluster(3);
    for vmid in 101..106 {
        fixture = fixture.vm(vmid, "pve1", 2);
    }
    let snapshot = fixture.snapshot();
    for parallel in [1, 2, 4] {
        let plan = planned(&snapshot, &Policy { parallel_migrations: parallel, ..Policy::default() });
        for wave in &plan.waves {
            let mut stages: std::collections::BTreeMap<u32, u8> = std::collections::BTreeMap::new();
            for step in wave.steps.iter().filter(|step| matches!(step.step, Step::Migrate(_))) {
                *stages.entry(step.stage).or_default() += 1;
            }
            assert!(stages.values().all(|count| *count <= parallel), "{stages:?}");
            assert!(wave.steps.windows(2).all(|pair| pair[0].stage <= pair[1].stage), "stages rise");
        }
    }
}

#[test]
fn guests_travel_as_their_kind_disks_and_ha_demand() {
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
    let travel = |guest| moves_of(&plan, guest)[0].2;
    assert_eq!(travel(GuestId::vm(101)), Travel::Live);
    assert_eq!(travel(GuestId::vm(102)), Travel::LiveWithDisks);
    assert_eq!(travel(GuestId::ct(103)), Travel::Restart);
    assert_eq!(travel(GuestId::vm(104)), Travel::Ha);
    assert_eq!(travel(GuestId::ct(105)), Travel::Ha);
    assert_eq!(travel(GuestId::vm(106)), Travel::Live);
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
    assert_eq!(moves_of(&plan, GuestId::vm(101))[0].2, Travel::Offline);
}

#[test]
fn ha_maintenance_frames_the_upgrade_only_where_ha_is_in_use() {
    let without = planned(&Fixture::cluster(3).vm(101, "pve1", 4).snapshot(), &Policy::default());
    assert!(!step_ids(&without).iter().any(|id| id.contains("maintenance") || id.contains("settle-ha")));
    let with = Fixture::cluster(3).vm(101, "pve1", 4).managed(GuestId::vm(101)).snapshot();
    let plan = planned(&with, &Policy::default());
    let (_, wave) = verbs(&plan).into_iter().find(|(node, _)| node == "pve2").unwrap();
    let rest: Vec<&str> = wave.iter().map(String::as_str).filter(|verb| *verb != "migrate").collect();
    let canonical = [
        "refresh-packages",
        "prove-empty",
        "enter-maintenance",
        "upgrade-packages",
        "reboot",
        "prove-back",
        "leave-maintenance",
        "settle-ha",
    ];
    assert_eq!(rest, canonical);
}

#[test]
fn noout_is_set_only_for_a_node_with_osds_and_only_if_nobody_has() {
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

#[test]
fn failback_is_held_for_a_guest_that_ha_would_take_back_and_given_back_at_the_end() {
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
fn guests_that_are_kept_together_travel_to_the_same_node_and_need_room_for_both() {
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
    let policy = Policy { first: vec!["pve1".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert_eq!(moves_of(&plan, GuestId::vm(101))[0].1, "pve3", "9.0 on pve2 does not know pc-q35-9.2");
}

#[test]
fn storage_bridge_cpu_and_pves_own_refusal_each_rule_a_target_out() {
    let base = || Fixture::cluster(3).vm(101, "pve1", 4);
    let id = GuestId::vm(101);
    let to_pve3 = |fixture: Fixture, what: &str| {
        let policy = Policy { first: vec!["pve1".into()], ..Policy::default() };
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
            node.cpu.known_mut().unwrap().flags.insert("avx512f".to_owned());
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
fn pves_word_on_guests_that_are_apart_is_about_now_and_not_about_later() {
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
    // With pve3 ruled out, vm:101 has only pve2, where vm:102 is: and that one has nowhere to go.
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
    assert!(at("pve1.shutdown-guest.vm:101") < at("pve1.prove-empty"));
    assert!(at("pve1.start-guest.vm:101") > at("pve1.prove-back"));
    assert_eq!(plan.consents[0].kind, ConsentKind::ShutdownGuests);
    assert!(plan.costs.downtime_s[&id] >= 300, "{:?}", plan.costs.downtime_s);
    refused(&fixture().managed(id).snapshot(), &policy);
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
    assert_eq!(moves_of(&plan, id)[0].2, Travel::Live);
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
fn a_turn_that_has_begun_is_written_in_full_and_everything_owed_is_in_the_plan() {
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
    let owed: Vec<Step> = vec![
        crate::steps::RestoreFailback { guest: GuestId::vm(102) }.into(),
        crate::steps::StartGuest { guest: GuestId::vm(101), node: "pve1".into() }.into(),
        crate::steps::LeaveMaintenance { node: "pve1".into() }.into(),
    ];
    let begun = Ongoing { under_work: Some("pve1".into()), owed: owed.clone(), ..ongoing() };
    let plan = plan(&snapshot, &Policy::default(), &begun).unwrap();
    let (node, wave) = verbs(&plan).remove(0);
    assert_eq!(node, "pve1");
    let canonical = [
        "refresh-packages",
        "prove-empty",
        "enter-maintenance",
        "upgrade-packages",
        "prove-back",
        "leave-maintenance",
        "start-guest",
        "settle-ha",
    ];
    assert_eq!(wave, canonical, "no reboot: the kernel is current");
    for step in owed {
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
fn where_there_is_no_plan_the_smallest_concession_of_each_kind_is_named_and_makes_one_possible() {
    // 60.8 of 64 GiB are usable; beside 40.3 GiB there is no room for 22.3.
    let base = || Fixture::cluster(3).upgraded("pve1").upgraded("pve2").vm(101, "pve1", 40).vm(102, "pve2", 40);
    let fixture = base().vm(103, "pve3", 22);
    let remedy = refused(&fixture.clone().snapshot(), &Policy::default()).findings[0].remedy.clone();
    assert!(remedy.starts_with("any one of these"), "{remedy}");
    assert!(remedy.contains("free 2.0 GiB on "), "{remedy}");
    let node = remedy.split("GiB on ").nth(1).and_then(|rest| rest.split(';').next()).expect("a node is named");
    planned(&fixture.clone().memory(node, 67).snapshot(), &Policy::default());
    refused(&fixture.clone().memory(node, 65).snapshot(), &Policy::default());
    assert!(remedy.contains("headroom-percent from 5 to 2"), "{remedy}");
    planned(&fixture.clone().snapshot(), &Policy { headroom_percent: 2, ..Policy::default() });
    refused(&fixture.clone().snapshot(), &Policy { headroom_percent: 3, ..Policy::default() });
    // Three guests of which no two fit together: nothing that is done once helps.
    let hopeless = Fixture::cluster(3).vm(101, "pve1", 40).vm(102, "pve2", 40).vm(103, "pve3", 40).snapshot();
    let remedy = refused(&hopeless, &Policy::default()).findings[0].remedy.clone();
    assert!(remedy.starts_with("no single concession"), "{remedy}");
    // One small guest too many, which may be shut down.
    let small = base().vm(103, "pve3", 20).vm(104, "pve3", 20).vm(105, "pve3", 1);
    let remedy = refused(&small.snapshot(), &Policy::default()).findings[0].remedy.clone();
    assert!(remedy.contains("shut vm:105"), "{remedy}");
}

#[test]
fn a_rule_or_a_node_that_would_have_to_give_way_is_named() {
    let (a, b) = (GuestId::vm(101), GuestId::vm(102));
    let fixture = Fixture::cluster(2).vm(101, "pve1", 4).vm(102, "pve2", 4).managed(a).managed(b);
    let remedy = refused(&fixture.apart("apart", &[a, b]).snapshot(), &Policy::default()).findings[0].remedy.clone();
    assert!(remedy.contains("lift the rule that keeps vm:101 and vm:102 apart"), "{remedy}");
    let base = || Fixture::cluster(3).vm(101, "pve1", 50).vm(102, "pve2", 50);
    let bound = base().managed(a).node_rule("only", &[a], &[("pve1", 1), ("pve2", 1)], true).snapshot();
    let policy = Policy { first: vec!["pve1".into()], ..Policy::default() };
    planned(&base().snapshot(), &policy);
    let fixed = GuestId::vm(102);
    let stay = base().managed(a).node_rule("only", &[a], &[("pve1", 1), ("pve2", 1)], true).managed(fixed);
    let stay = stay.node_rule("there", &[fixed], &[("pve1", 1), ("pve2", 1)], true).snapshot();
    planned(&bound, &policy);
    let remedy = refused(&stay, &policy).findings[0].remedy.clone();
    assert!(remedy.contains("run on pve3"), "{remedy}");
}

fn disk(volid: &str, drive: &str, gib: u64, replicated: bool) -> crate::snapshot::LocalDisk {
    crate::snapshot::LocalDisk {
        volid: volid.to_owned(),
        drive: drive.to_owned(),
        size_bytes: gib << 30,
        usage: crate::snapshot::DiskUse::Attached,
        replicated,
    }
}

#[test]
fn what_exists_on_one_node_only_keeps_a_guest_there() {
    let id = GuestId::ct(101);
    let mount = Fixture::cluster(3).ct(101, "pve1", 4).facts(id, |facts| facts.local_mounts.push("mp0".to_owned()));
    assert!(refused(&mount.snapshot(), &Policy::default()).findings[0].problem.contains("mp0"));
    let id = GuestId::vm(101);
    let base = || Fixture::cluster(3).vm(101, "pve1", 4);
    let with_disk = |snapshots: bool, replicated: bool| {
        base().facts(id, |facts| {
            facts.local_disks.push(disk("shared:vm-101-disk-0", "scsi0", 1, replicated));
            facts.has_snapshots = snapshots;
        })
    };
    planned(&with_disk(false, false).snapshot(), &Policy::default());
    let problem = &refused(&with_disk(true, false).snapshot(), &Policy::default()).findings[0].problem;
    assert!(problem.contains("snapshots"), "{problem}");
}

#[test]
fn local_disks_travel_only_where_they_fit_and_replicated_ones_only_to_their_replica() {
    let id = GuestId::vm(101);
    let policy = Policy { first: vec!["pve1".into()], ..Policy::default() };
    let base = |replicated| {
        let fixture = Fixture::cluster(3).vm(101, "pve1", 4);
        fixture.facts(id, |facts| facts.local_disks.push(disk("shared:vm-101-disk-0", "scsi0", 20, replicated)))
    };
    let full = base(false).node("pve2", |node| {
        node.storages.known_mut().unwrap().values_mut().for_each(|storage| storage.free_bytes = 19 << 30);
    });
    assert_eq!(moves_of(&planned(&full.snapshot(), &policy), id)[0].1, "pve3");
    // Room for one of two on pve2, and none is given away twice.
    let second = GuestId::vm(102);
    let two = base(false)
        .vm(102, "pve1", 4)
        .facts(second, |facts| facts.local_disks.push(disk("shared:vm-102-disk-0", "scsi0", 20, false)))
        .change(|snapshot| {
            for node in snapshot.nodes.values_mut() {
                node.storages.known_mut().unwrap().values_mut().for_each(|storage| storage.free_bytes = 30 << 30);
            }
        })
        .snapshot();
    let plan = planned(&two, &Policy { parallel_migrations: 8, ..policy.clone() });
    let to = |id| moves_of(&plan, id)[0].1.clone();
    assert_ne!(to(id), to(second), "30 GiB are free on each, and two disks of 20 would come");
    let replica = base(true).change(|snapshot| {
        snapshot.replication.known_mut().unwrap().push(crate::snapshot::ReplicationJob {
            id: "101-0".to_owned(),
            vmid: id.vmid,
            source: "pve1".into(),
            target: "pve3".into(),
            fail_count: 0,
            error: None,
            last_sync: None,
            disabled: false,
        });
    });
    assert_eq!(moves_of(&planned(&replica.snapshot(), &policy), id)[0].1, "pve3");
}

#[test]
fn memory_of_a_guest_that_stays_or_is_to_be_started_again_is_not_given_away() {
    let (fixed, moving) = (GuestId::vm(101), GuestId::vm(102));
    let device = || crate::snapshot::LocalResource { key: "hostpci0".to_owned(), mapping: None, live_capable: false };
    let pinned = Fixture::cluster(3)
        .upgraded("pve1")
        .vm(101, "pve1", 30)
        .vm(102, "pve2", 35)
        .facts(fixed, |facts| facts.local_resources.push(device()))
        .snapshot();
    let policy = Policy { first: vec!["pve2".into()], ..Policy::default() };
    assert_eq!(moves_of(&planned(&pinned, &policy), moving)[0].1, "pve3");
    let down = Fixture::cluster(3).upgraded("pve1").vm(101, "pve1", 30).stopped(fixed).vm(102, "pve2", 35).snapshot();
    let owed: Vec<Step> = vec![crate::steps::StartGuest { guest: fixed, node: "pve1".into() }.into()];
    let begun = Ongoing { under_work: Some("pve1".into()), owed, ..ongoing() };
    assert_eq!(moves_of(&plan(&down, &policy, &begun).unwrap(), moving)[0].1, "pve3");
    assert_eq!(moves_of(&planned(&down, &policy), moving)[0].1, "pve1", "stopped by others, it needs no memory");
}

#[test]
fn a_guest_that_stays_binds_those_that_must_be_apart_from_it_or_with_it() {
    let (fixed, other) = (GuestId::vm(101), GuestId::vm(102));
    let device = || crate::snapshot::LocalResource { key: "hostpci0".to_owned(), mapping: None, live_capable: false };
    let base = |home: &str| {
        let fixture = Fixture::cluster(3).upgraded("pve1").vm(101, "pve1", 4).vm(102, home, 4);
        fixture.managed(fixed).managed(other).facts(fixed, |facts| facts.local_resources.push(device()))
    };
    let policy = Policy { first: vec!["pve2".into()], ..Policy::default() };
    let apart = planned(&base("pve2").apart("apart", &[fixed, other]).snapshot(), &policy);
    assert!(moves_of(&apart, other).iter().all(|(_, to, _)| to != "pve1"));
    let free = planned(&base("pve2").snapshot(), &policy);
    assert_eq!(moves_of(&free, other)[0].1, "pve1");
    let together = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve1", 4).managed(fixed).managed(other);
    let together =
        together.together("pair", &[fixed, other]).facts(fixed, |facts| facts.local_resources.push(device()));
    let none = refused(&together.snapshot(), &Policy::default());
    let subjects: Vec<String> = none.findings.iter().map(|finding| finding.subject.to_string()).collect();
    assert_eq!(subjects, ["vm:101", "vm:102"]);
}

#[test]
fn a_guest_that_ha_has_not_settled_is_not_planned_for() {
    let id = GuestId::vm(101);
    let fixture = Fixture::cluster(3).vm(101, "pve1", 4).managed(id).ha(|ha| {
        ha.services.get_mut(&id).unwrap().state = Some(crate::snapshot::HaServiceState::Error);
    });
    assert!(refused(&fixture.snapshot(), &Policy::default()).findings[0].problem.contains("Error"));
}

#[test]
fn guests_that_change_places_do_not_count_on_each_others_memory_within_a_stage() {
    // 102 makes room for 101 on pve2: they must not travel at the same time.
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 40)
        .vm(102, "pve2", 25)
        .vm(103, "pve3", 30)
        .managed(GuestId::vm(101))
        .node_rule("two", &[GuestId::vm(101)], &[("pve1", 1), ("pve2", 1)], true)
        .snapshot();
    let plan = planned(&snapshot, &Policy { first: vec!["pve1".into()], parallel_migrations: 8, ..Policy::default() });
    let stage = |guest: u32| {
        let of = |step: &&crate::plan::PlannedStep| matches!(&step.step, Step::Migrate(step) if step.guest == GuestId::vm(guest));
        plan.waves[0].steps.iter().find(of).map(|step| step.stage)
    };
    assert!(stage(102) < stage(101), "{:?} before {:?}", stage(102), stage(101));
    assert!(stage(102).is_some());
}

#[test]
fn a_node_on_which_something_is_owed_comes_first_in_full_or_with_what_is_owed_alone() {
    let base = || {
        let fixture = Fixture::cluster(3).vm(101, "pve1", 4).managed(GuestId::vm(101));
        fixture.ha(|ha| {
            ha.nodes.insert("pve3".into(), crate::snapshot::HaNodeState::Maintenance);
        })
    };
    let owed: Vec<Step> = vec![crate::steps::LeaveMaintenance { node: "pve3".into() }.into()];
    let again = Ongoing { owed, ..ongoing() };
    let full = plan(&base().snapshot(), &Policy::default(), &again).unwrap();
    assert_eq!(order(&full)[0], "pve3");
    assert!(step_ids(&full).contains(&"pve3.upgrade-packages"));
    let alone = plan(&base().upgraded("pve3").snapshot(), &Policy::default(), &again).unwrap();
    assert_eq!(verbs(&alone)[0].1, ["prove-back", "leave-maintenance", "settle-ha"]);
    assert_eq!(order(&alone)[0], "pve3");
}

#[test]
fn a_guest_outside_its_strict_rule_leaves_and_does_not_come_back() {
    let id = GuestId::vm(101);
    let fixture = Fixture::cluster(3).vm(101, "pve3", 4).managed(id);
    let fixture = fixture.node_rule("only", &[id], &[("pve1", 1), ("pve2", 1)], true);
    let policy = Policy { first: vec!["pve3".into(), "pve1".into(), "pve2".into()], ..Policy::default() };
    let plan = planned(&fixture.snapshot(), &policy);
    assert!(moves_of(&plan, id).iter().all(|(_, to, _)| to != "pve3"), "{:?}", moves_of(&plan, id));
}
