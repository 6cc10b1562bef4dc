//! What keeps guests on their node, and what would let them move: disks, devices, reserved memory, relaxations.

use super::*;

#[test]
fn where_there_is_no_plan_the_smallest_relaxation_of_each_kind_is_named_and_makes_one_possible() {
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
    // Three guests of which no two fit together: no single relaxation helps.
    let hopeless = Fixture::cluster(3).vm(101, "pve1", 40).vm(102, "pve2", 40).vm(103, "pve3", 40).snapshot();
    let remedy = refused(&hopeless, &Policy::default()).findings[0].remedy.clone();
    assert!(remedy.starts_with("no single relaxation"), "{remedy}");
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
fn local_disks_are_copied_only_where_they_fit_and_replicated_ones_only_to_their_replica() {
    let id = GuestId::vm(101);
    let policy = Policy { first: vec!["pve1".into()], last: vec!["pve2".into()], ..Policy::default() };
    let base = |replicated| {
        let fixture = Fixture::cluster(3).vm(101, "pve1", 4);
        fixture.facts(id, |facts| facts.local_disks.push(disk("shared:vm-101-disk-0", "scsi0", 20, replicated)))
    };
    let full = base(false).node("pve2", |node| {
        node.storages.known_mut().unwrap().values_mut().for_each(|storage| storage.free_bytes = 19 << 30);
    });
    assert_eq!(moves_of(&planned(&full.snapshot(), &policy), id)[0].1, "pve3");
    // Room for one of the two disks on each node, and the same room is not used twice.
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
    let plan = planned(&two, &Policy { parallel_migrations: Some(8), ..policy.clone() });
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
    let to_undo: Vec<Step> = vec![crate::steps::StartGuest { guest: fixed, node: "pve1".into() }.into()];
    let begun = Ongoing { current_node: Some("pve1".into()), to_undo, ..ongoing() };
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
fn a_stopped_guest_of_ha_binds_those_that_a_rule_keeps_apart_from_it() {
    // `GET migrate` of PVE and HA's answer to a requested move agree: a stopped guest counts on its node as well.
    let (stopped, also, other) = (GuestId::vm(101), GuestId::vm(103), GuestId::vm(102));
    let base = || {
        let fixture = Fixture::cluster(3).upgraded("pve1").vm(101, "pve1", 4).vm(102, "pve2", 4).vm(103, "pve3", 4);
        fixture.managed(other).stopped(stopped).stopped(also)
    };
    let policy = Policy { first: vec!["pve2".into()], ..Policy::default() };
    let target = |fixture: Fixture| moves_of(&planned(&fixture.snapshot(), &policy), other)[0].1.clone();
    let apart = |fixture: Fixture| fixture.apart("apart", &[stopped, also, other]);
    assert_eq!(target(apart(base().managed(stopped))), "pve3");
    assert_eq!(target(apart(base())), "pve1", "HA does not know the stopped ones");
    let none = refused(&apart(base().managed(stopped).managed(also)).snapshot(), &policy);
    let problem = &none.findings[0].problem;
    assert!(problem.contains("vm:101 is there, stopped, and the rule apart keeps them apart"), "{problem}");
}

#[test]
fn a_guest_that_ha_has_not_settled_is_not_planned_for() {
    let id = GuestId::vm(101);
    let fixture = Fixture::cluster(3).vm(101, "pve1", 4).managed(id).ha(|ha| {
        ha.services.get_mut(&id).unwrap().state = Some(crate::snapshot::HaServiceState::Error);
    });
    assert!(refused(&fixture.snapshot(), &Policy::default()).findings[0].problem.contains("in state error"));
}

#[test]
fn guests_that_change_places_do_not_count_on_each_others_memory_within_a_stage() {
    // 102 makes room for 101 on pve2: they must not be migrated at the same time.
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 40)
        .vm(102, "pve2", 25)
        .vm(103, "pve3", 30)
        .managed(GuestId::vm(101))
        .node_rule("two", &[GuestId::vm(101)], &[("pve1", 1), ("pve2", 1)], true)
        .snapshot();
    let plan =
        planned(&snapshot, &Policy { first: vec!["pve1".into()], parallel_migrations: Some(8), ..Policy::default() });
    let stage = |guest: u32| {
        let of = |step: &&crate::plan::PlannedStep| matches!(&step.step, Step::Migrate(step) if step.guest == GuestId::vm(guest));
        plan.node_steps[0].steps.iter().find(of).map(|step| step.stage)
    };
    assert!(stage(102) < stage(101), "{:?} before {:?}", stage(102), stage(101));
    assert!(stage(102).is_some());
}

#[test]
fn a_node_with_something_to_undo_comes_first_in_full_or_with_the_undo_alone() {
    let base = || {
        let fixture = Fixture::cluster(3).vm(101, "pve1", 4).managed(GuestId::vm(101));
        fixture.ha(|ha| {
            ha.nodes.insert("pve3".into(), crate::snapshot::HaNodeState::Maintenance);
        })
    };
    let to_undo: Vec<Step> = vec![crate::steps::undo(crate::steps::Maintenance { node: "pve3".into() })];
    let again = Ongoing { to_undo, ..ongoing() };
    let full = plan(&base().snapshot(), &Policy::default(), &again).unwrap();
    assert_eq!(order(&full)[0], "pve3");
    assert!(step_ids(&full).contains(&"pve3.upgrade-packages"));
    let alone = plan(&base().upgraded("pve3").snapshot(), &Policy::default(), &again).unwrap();
    assert_eq!(verbs(&alone)[0].1, ["wait-back", "leave-maintenance", "wait-ha-idle"]);
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

#[test]
fn a_running_vm_does_not_even_wait_on_a_node_that_is_older_than_its_own() {
    let snapshot = Fixture::cluster(3)
        .node("pve2", |node| node.pve_version = Known("9.0.1".into()))
        .vm(101, "pve1", 4)
        .ct(102, "pve1", 4)
        .snapshot();
    let policy = Policy { first: vec!["pve1".into()], last: vec!["pve2".into()], ..Policy::default() };
    let plan = planned(&snapshot, &policy);
    assert_eq!(moves_of(&plan, GuestId::vm(101))[0].1, "pve3");
    assert_eq!(moves_of(&plan, GuestId::ct(102))[0].1, "pve2", "a container is started again there");
}

#[test]
fn a_guest_with_the_skip_tag_is_left_alone_and_prevents_the_upgrade_of_its_node() {
    let tagged = Fixture::cluster(3).vm(101, "pve1", 4).guest(GuestId::vm(101), |guest| {
        guest.tags.insert("quorate-skip".to_owned());
    });
    assert!(refused(&tagged.clone().snapshot(), &Policy::default()).findings[0].problem.contains("quorate-skip"));
    assert!(moves(&planned(&tagged.upgraded("pve1").snapshot(), &Policy::default())).is_empty());
}

#[test]
fn rules_that_contradict_each_other_are_named() {
    let pair = [GuestId::vm(101), GuestId::vm(102)];
    let fixture = Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve1", 4).managed(pair[0]).managed(pair[1]);
    let none = refused(&fixture.together("pair", &pair).apart("spread", &pair).snapshot(), &Policy::default());
    assert_eq!(none.findings.len(), 1);
    assert!(none.findings[0].problem.contains("spread"), "{}", none.findings[0].problem);
}

#[test]
fn a_nodes_return_is_planned_without_what_was_away_before_its_turn_and_a_begun_turn_keeps_to_that() {
    let away_on = |gone: &str| {
        let media = crate::snapshot::Storage {
            id: "media".into(),
            kind: "nfs".to_owned(),
            shared: true,
            nodes: None,
            disabled: false,
            content: ["iso".to_owned()].into(),
        };
        Fixture::cluster(3).vm(101, "pve1", 4).change(|world| {
            world.storages.known_mut().unwrap().insert("media".into(), media);
            for (name, node) in &mut world.nodes {
                let state = crate::snapshot::StorageOnNode { active: name.as_str() != gone, free_bytes: 1 };
                node.storages.known_mut().unwrap().insert("media".into(), state);
            }
        })
    };
    let without = |snapshot: &crate::snapshot::Snapshot, ongoing: &Ongoing| -> Vec<(String, usize)> {
        let plan = super::plan(snapshot, &Policy::default(), ongoing).unwrap();
        let returns = plan
            .steps()
            .filter_map(|(_, planned)| Some((planned.step.node()?.to_string(), planned.step.returns_without()?.len())));
        let mut returns: Vec<(String, usize)> = returns.collect();
        returns.sort();
        returns
    };
    let each =
        |pve1: usize, pve2: usize| vec![("pve1".to_owned(), pve1), ("pve2".to_owned(), pve2), ("pve3".to_owned(), 0)];
    assert_eq!(without(&away_on("pve2").snapshot(), &ongoing()), each(0, 1));
    // Away since its turn has begun: that is what its return has to bring.
    let begun = |without| Ongoing { current_node: Some("pve1".into()), without, ..ongoing() };
    let away = away_on("pve1").snapshot();
    assert_eq!(without(&away, &begun(Default::default())), each(0, 0));
    assert_eq!(without(&away, &begun(["media".into()].into())), each(1, 0));
}
