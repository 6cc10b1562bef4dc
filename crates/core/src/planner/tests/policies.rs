//! What is done with guests that cannot move while they run, one policy after the other.

use super::*;
use crate::forecast::verify;
use crate::snapshot::{DiskUse, LocalDisk, LocalResource};

const ID: GuestId = GuestId { vmid: crate::ids::Vmid(101), kind: crate::ids::GuestKind::Vm };

fn with(policy: GuestPolicy) -> Policy {
    Policy { guests: [(ID, policy)].into(), ..Policy::default() }
}

/// A mapped device that every node has, but that cannot be migrated with a running guest.
fn mapped() -> Fixture {
    let device = LocalResource { key: "hostpci0".into(), mapping: Some("gpu".into()), live_capable: false };
    Fixture::cluster(3).vm(101, "pve1", 4).facts(ID, |facts| facts.local_resources.push(device))
}

fn disk(volid: &str, drive: &str, usage: DiskUse) -> LocalDisk {
    LocalDisk { volid: volid.into(), drive: drive.into(), size_bytes: 32 << 30, usage, replicated: false }
}

fn at(plan: &Plan, id: &str) -> usize {
    step_ids(plan).iter().position(|other| *other == id).unwrap_or_else(|| panic!("no {id} in {:?}", step_ids(plan)))
}

#[test]
fn an_offline_move_is_stop_move_start_in_a_row_with_its_downtime_named_once() {
    refused(&mapped().snapshot(), &Policy::default());
    let policy = with(GuestPolicy::Offline);
    let plan = planned(&mapped().snapshot(), &policy);
    let stop = at(&plan, "pve1.stop-to-move.vm:101");
    assert_eq!(step_ids(&plan)[stop + 1..stop + 3], ["pve1.migrate.vm:101", "pve1.start-moved.vm:101"]);
    assert_eq!(moves_of(&plan, ID).len(), 1, "each move would be another downtime");
    assert_eq!(moves_of(&plan, ID)[0].2, MoveMode::Offline);
    assert!(at(&plan, "pve1.start-moved.vm:101") < at(&plan, "pve1.wait-empty"), "it does not wait for the node");
    assert_eq!(plan.consents[0].kind, ConsentKind::MoveOffline);
    let (_, step) = plan.steps().nth(stop).unwrap();
    assert_eq!((step.down_s, plan.costs.downtime_s[&ID]), (95, 95), "stop 60, move 20, start 15");
    verify(&plan, &mapped().snapshot(), &policy).unwrap();
    // A tag has the same effect.
    let tagged = mapped().guest(ID, |guest| guest.tags = ["quorate-offline".to_owned()].into()).snapshot();
    assert_eq!(planned(&tagged, &Policy::default()).consents, plan.consents);
    // With HA: through HA, whose rounds take time.
    let managed = mapped().managed(ID).snapshot();
    let through_ha = planned(&managed, &policy);
    assert_eq!(through_ha.costs.downtime_s[&ID], 95 + 3 * 15);
    verify(&through_ha, &managed, &policy).unwrap();
}

#[test]
fn an_offline_move_is_only_for_guests_that_cannot_move_live_and_can_move_stopped() {
    let plain = Fixture::cluster(3).vm(101, "pve1", 4).snapshot();
    assert_eq!(moves_of(&planned(&plain, &with(GuestPolicy::Offline)), ID)[0].2, MoveMode::Live);
    let raw = LocalResource { key: "hostpci0".into(), mapping: None, live_capable: false };
    let bound = mapped().facts(ID, |facts| facts.local_resources[0] = raw).snapshot();
    let finding = refused(&bound, &with(GuestPolicy::Offline)).findings.remove(0);
    assert!(finding.problem.contains("nor stopped: hostpci0 is a device of its node"), "{}", finding.problem);
    let skip = mapped().guest(ID, |guest| guest.tags = ["quorate-skip".to_owned()].into()).snapshot();
    refused(&skip, &with(GuestPolicy::Offline));
}

#[test]
fn local_disks_are_copied_or_stay_as_the_policy_says_and_the_time_follows_from_their_size() {
    let local = |fixture: Fixture| {
        let fixture = fixture.facts(ID, |facts| {
            facts.local_disks.push(disk("local-lvm:vm-101-disk-0", "scsi0", DiskUse::Attached));
            facts.storages.insert("local-lvm".into());
        });
        fixture.change(|snapshot| {
            let storage = crate::snapshot::Storage {
                id: "local-lvm".into(),
                kind: "lvmthin".into(),
                shared: false,
                nodes: None,
                disabled: false,
                content: ["images".to_owned()].into(),
            };
            snapshot.storages.known_mut().unwrap().insert("local-lvm".into(), storage);
            for node in snapshot.nodes.values_mut() {
                let state = crate::snapshot::StorageOnNode { active: true, free_bytes: 100 << 30 };
                node.storages.known_mut().unwrap().insert("local-lvm".into(), state);
            }
        })
    };
    let snapshot = local(Fixture::cluster(3).vm(101, "pve1", 4)).snapshot();
    assert_eq!(moves_of(&planned(&snapshot, &Policy::default()), ID)[0].2, MoveMode::LiveWithDisks);
    let stay = |policy: Option<GuestPolicy>| Policy {
        local_disks: crate::policy::LocalDisks::Stay,
        guests: policy.map(|policy| (ID, policy)).into_iter().collect(),
        ..Policy::default()
    };
    let finding = refused(&snapshot, &stay(None)).findings.remove(0);
    assert!(finding.problem.contains("local disks (32.0 GiB) are not to be copied"), "{}", finding.problem);
    assert_eq!(moves_of(&planned(&snapshot, &stay(Some(GuestPolicy::Copy))), ID)[0].2, MoveMode::LiveWithDisks);
    // When the guest is stopped, its disks are copied too: 32 GiB at 500 MiB/s.
    let offline = planned(&snapshot, &stay(Some(GuestPolicy::Offline)));
    assert_eq!((moves_of(&offline, ID)[0].2, offline.costs.downtime_s[&ID]), (MoveMode::Offline, 95 + 66));
    // Not where their snapshots cannot be sent.
    let with_snapshots = local(Fixture::cluster(3).vm(101, "pve1", 4)).facts(ID, |facts| facts.has_snapshots = true);
    let finding = refused(&with_snapshots.snapshot(), &with(GuestPolicy::Offline)).findings.remove(0);
    assert!(finding.problem.contains("with snapshots, which its storage cannot send"), "{}", finding.problem);
}

#[test]
fn an_image_is_put_back_at_the_end_where_it_is_available_and_named_where_it_is_not() {
    let image = "local:iso/debian.iso";
    let with_image = |lies_on: &[&str]| {
        Fixture::cluster(3)
            .vm(101, "pve1", 4)
            .facts(ID, |facts| {
                facts.local_disks.push(disk(image, "ide2", DiskUse::Cdrom));
                facts.cd_drives.insert("ide2".into(), image.into());
                facts.images_on.insert(image.into(), lies_on.iter().map(|name| (*name).into()).collect());
            })
            .snapshot()
    };
    let policy = with(GuestPolicy::Eject);
    let everywhere = with_image(&["pve1", "pve2", "pve3"]);
    let plan = planned(&everywhere, &policy);
    assert!(at(&plan, "cluster.insert-media.vm:101.ide2") > at(&plan, "pve1.migrate.vm:101"));
    assert!(plan.consents[0].what.ends_with("and put back at the end"), "{}", plan.consents[0].what);
    verify(&plan, &everywhere, &policy).unwrap();
    let here_only = with_image(&["pve1"]);
    let plan = planned(&here_only, &policy);
    assert!(plan.consents[0].what.contains("NOT put back: pve"), "{}", plan.consents[0].what);
    verify(&plan, &here_only, &policy).unwrap();
    let home = planned(&here_only, &Policy { end: crate::policy::End::Home, ..policy });
    assert!(home.consents[0].what.ends_with("and put back at the end"), "{}", home.consents[0].what);
}

#[test]
fn a_guest_that_was_stopped_half_way_is_moved_on_or_started_before_anything_else() {
    let to_undo: Vec<Step> = vec![crate::steps::StartMoved { guest: ID }.into()];
    let begun = |node: &str| Ongoing { current_node: Some(node.into()), to_undo: to_undo.clone(), ..ongoing() };
    let policy = with(GuestPolicy::Offline);
    // Still on the node that it should leave.
    let before = mapped().upgraded("pve2").upgraded("pve3").stopped(ID).snapshot();
    let plan = super::plan(&before, &policy, &begun("pve1")).unwrap();
    assert_eq!(plan.steps().filter(|(_, planned)| planned.step == to_undo[0]).count(), 1);
    assert!(at(&plan, "pve1.migrate.vm:101") < at(&plan, "pve1.start-moved.vm:101"));
    assert!(at(&plan, "pve1.start-moved.vm:101") < at(&plan, "pve1.wait-empty"));
    verify(&plan, &before, &policy).unwrap();
    // Already on a node that is upgraded.
    let after = mapped().upgraded("pve2").guest(ID, |guest| guest.node = "pve2".into()).stopped(ID).snapshot();
    let plan = super::plan(&after, &policy, &begun("pve1")).unwrap();
    assert_eq!(plan.node_steps[0].steps[1].step, to_undo[0], "{:?}", step_ids(&plan));
    assert!(moves_of(&plan, ID).is_empty());
}

#[test]
fn a_container_that_is_down_half_way_is_started_first_and_moves_as_it_would_have() {
    let guest = GuestId::ct(201);
    let to_undo: Vec<Step> = vec![crate::steps::StartMoved { guest }.into()];
    let begun = Ongoing { current_node: Some("pve1".into()), to_undo: to_undo.clone(), ..ongoing() };
    let there = Fixture::cluster(3).ct(201, "pve1", 4).upgraded("pve2").upgraded("pve3");
    let down = there.clone().stopped(guest).snapshot();
    let plan = super::plan(&down, &Policy::default(), &begun).unwrap();
    assert!(at(&plan, "pve1.start-moved.ct:201") < at(&plan, "pve1.migrate.ct:201"), "{:?}", step_ids(&plan));
    assert_eq!(moves_of(&plan, guest)[0].2, MoveMode::Restart);
    verify(&plan, &down, &Policy::default()).unwrap();
    // It runs again already: the start is still in the plan, which finds it done.
    let plan = super::plan(&there.snapshot(), &Policy::default(), &begun).unwrap();
    assert_eq!(plan.steps().filter(|(_, planned)| planned.step == to_undo[0]).count(), 1);
    // With nothing to undo it is a guest that someone else has stopped.
    let plan = super::plan(&down, &Policy::default(), &Ongoing { to_undo: Vec::new(), ..begun }).unwrap();
    assert!(!step_ids(&plan).iter().any(|id| id.contains("start-moved")), "{:?}", step_ids(&plan));
}

/// A guest whose display QEMU cannot send, nor save; one with a device that is only in the way of a move; and HA's.
#[test]
fn a_guest_hibernates_where_pve_can_and_its_downtime_is_named_once() {
    let usb = LocalResource { key: "usb0".into(), mapping: None, live_capable: false };
    let bound = || Fixture::cluster(3).vm(101, "pve1", 4).facts(ID, |facts| facts.local_resources.push(usb.clone()));
    let policy = with(GuestPolicy::Hibernate);
    let snapshot = bound().snapshot();
    refused(&snapshot, &Policy::default());
    let plan = planned(&snapshot, &policy);
    verify(&plan, &snapshot, &policy).unwrap();
    let hibernate = at(&plan, "pve1.hibernate-guest.vm:101");
    let start = at(&plan, "pve1.start-guest.vm:101");
    assert!(hibernate < at(&plan, "pve1.wait-empty") && at(&plan, "pve1.wait-back") < start);
    assert_eq!((plan.consents.len(), plan.consents[0].kind), (1, ConsentKind::HibernateGuests));
    let (_, step) = plan.steps().nth(hibernate).unwrap();
    assert_eq!(step.down_s, plan.costs.downtime_s[&ID]);
    assert!(step.step.kind().title().ends_with("its state on shared"), "{}", step.step.kind().title());
    // Once it hibernates, a plan for the rest asks for no other consent.
    let away = |guest: &mut crate::snapshot::Guest| guest.lock = Known(Some(crate::snapshot::Lock("suspended".into())));
    let started = crate::steps::StartGuest { guest: ID, node: "pve1".into() };
    let then = Ongoing { current_node: Some("pve1".into()), to_undo: vec![started.into()], ..ongoing() };
    let again = plan_from(&bound().stopped(ID).guest(ID, away).snapshot(), &policy, &then);
    assert!(again.consents.iter().all(|consent| consent.kind == ConsentKind::HibernateGuests), "{:?}", again.consents);
    let why = |fixture: Fixture| refused(&fixture.snapshot(), &policy).findings.remove(0).problem;
    assert!(why(bound().managed(ID)).contains("nor can it hibernate: PVE hibernates no guest that HA manages"));
    assert!(why(mapped()).contains("the state of hostpci0 cannot be saved"));
    let display = Fixture::cluster(3).vm(101, "pve1", 4).facts(ID, |facts| facts.display = Some("virtio-gl".into()));
    assert!(why(display).contains("the state of its display, virtio-gl, cannot be saved"));
    let elsewhere = bound().facts(ID, |facts| facts.state_storage = Some("states".into()));
    assert!(why(elsewhere).contains("its vmstatestorage states does not exist"));
    let full = |free_gib: u64| {
        bound()
            .vm(102, "pve1", 4)
            .facts(GuestId::vm(102), |facts| facts.local_resources.push(usb.clone()))
            .node("pve1", |node| {
                node.storages.known_mut().unwrap().get_mut(&"shared".into()).unwrap().free_bytes = free_gib << 30
            })
    };
    let both =
        Policy { guests: [101, 102].map(|vmid| (GuestId::vm(vmid), GuestPolicy::Hibernate)).into(), ..policy.clone() };
    planned(&full(17).snapshot(), &both);
    assert!(refused(&full(16).snapshot(), &both).findings[0].problem.contains("states of guests need 17.0"));
    let container = Fixture::cluster(3).ct(101, "pve1", 1).facts(GuestId::ct(101), |facts| {
        facts.local_mounts.push("mp0".into());
    });
    let policy = Policy { guests: [(GuestId::ct(101), GuestPolicy::Hibernate)].into(), ..Policy::default() };
    assert!(refused(&container.snapshot(), &policy).findings[0].problem.contains("PVE hibernates no containers"));
}
