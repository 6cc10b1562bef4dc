//! Local storages that take each other's place.

use super::*;
use crate::command::Command;
use crate::forecast::verify;
use crate::ids::{NodeName, StorageId};
use crate::plan::Reason;
use crate::policy::End;
use crate::snapshot::{DiskUse, LocalDisk, ReplicationJob, Storage, StorageOnNode, TargetRefusal};

const ID: GuestId = GuestId { vmid: crate::ids::Vmid(101), kind: crate::ids::GuestKind::Vm };
const CT: GuestId = GuestId { vmid: crate::ids::Vmid(201), kind: crate::ids::GuestKind::Ct };

fn id(name: &str) -> StorageId {
    StorageId::new(name)
}

/// A local storage of one node.
fn storage(name: &str, node: &str, kind: &str, free_gib: u64) -> impl FnOnce(&mut Snapshot) {
    let storage = Storage {
        id: id(name),
        kind: kind.into(),
        shared: false,
        nodes: Some([node.into()].into()),
        disabled: false,
        content: ["images", "rootdir"].map(str::to_owned).into(),
    };
    let node = NodeName::new(node);
    move |snapshot| {
        let state = StorageOnNode { active: true, free_bytes: free_gib << 30 };
        snapshot.nodes.get_mut(&node).unwrap().storages.known_mut().unwrap().insert(storage.id.clone(), state);
        snapshot.storages.known_mut().unwrap().insert(storage.id.clone(), storage);
    }
}

/// A disk of 32 GiB on its node's own storage, as PVE says it.
fn on_nvme(fixture: Fixture, guest: GuestId, node: &str) -> Fixture {
    let volid = format!("nvme-{node}:vm-{}-disk-0", guest.vmid);
    let here = id(&format!("nvme-{node}"));
    let others = ["pve1", "pve2", "pve3"].into_iter().filter(|other| *other != node);
    let lacks = |other: &str| (NodeName::new(other), vec![TargetRefusal::Storages(vec![here.clone()])]);
    let refused = others.map(lacks).collect();
    fixture.facts(guest, |facts| {
        let (drive, usage) = ("scsi0".into(), DiskUse::Attached);
        facts.local_disks.push(LocalDisk { volid, drive, size_bytes: 32 << 30, usage, replicated: false });
        facts.storages = [here].into();
        facts.refused = refused;
    })
}

/// Three nodes with a storage each, and one VM on the first.
fn cluster(free_gib: u64) -> Fixture {
    let fixture = Fixture::cluster(3)
        .change(storage("nvme-pve1", "pve1", "lvmthin", free_gib))
        .change(storage("nvme-pve2", "pve2", "lvmthin", free_gib))
        .change(storage("nvme-pve3", "pve3", "lvmthin", free_gib));
    on_nvme(fixture.vm(101, "pve1", 4), ID, "pve1")
}

fn mapped() -> Policy {
    Policy { storage_map: vec![["nvme-pve1", "nvme-pve2", "nvme-pve3"].map(id).into()], ..Policy::default() }
}

fn why_not(snapshot: &Snapshot, policy: &Policy) -> String {
    let findings = refused(snapshot, policy).findings;
    findings.iter().map(|finding| finding.problem.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_disk_goes_to_the_storage_that_stands_for_its_own_and_back() {
    let snapshot = cluster(100).snapshot();
    assert!(why_not(&snapshot, &Policy::default()).contains("it lacks storage nvme-pve1"));
    let policy = Policy { end: End::Home, ..mapped() };
    let plan = planned(&snapshot, &policy);
    verify(&plan, &snapshot, &policy).unwrap();
    let moves = moves(&plan);
    assert_eq!((moves.len(), moves[0].mode), (2, MoveMode::LiveWithDisks));
    let there = &moves[0].to;
    assert_eq!(moves[0].storages, [(id("nvme-pve1"), id(&format!("nvme-{there}")))].into());
    assert_eq!(moves[1].storages, [(id(&format!("nvme-{there}")), id("nvme-pve1"))].into());
    let Some(Command::Api { params, .. }) = Step::from(moves[0].clone()).kind().command(&snapshot) else { panic!() };
    let sent = ("targetstorage".to_owned(), format!("nvme-pve1:nvme-{there}"));
    assert!(params.contains(&sent), "{params:?}");
    assert!(Step::from(moves[0].clone()).kind().title().ends_with(&format!(", nvme-pve1 → nvme-{there}")));
    // A container takes the parameter under another name.
    let container = Migrate { guest: CT, mode: MoveMode::Restart, ..moves[0].clone() };
    let Some(Command::Api { params, .. }) = Step::from(container).kind().command(&snapshot) else { panic!() };
    assert!(params.iter().any(|(key, _)| key == "target-storage"), "{params:?}");
}

#[test]
fn room_is_counted_on_the_storage_that_stands_for_another() {
    assert!(why_not(&cluster(30).snapshot(), &mapped()).contains("nvme-pve2 on pve2 has 30.0 GiB free"));
    // Two guests with disks on storages of two names share the room of the one that stands for both.
    let only_pve3 = |free_gib: u64| {
        let only_one = |snapshot: &mut Snapshot| {
            for (node, active, free_bytes) in [("pve1", false, 0), ("pve2", false, 0), ("pve3", true, free_gib << 30)] {
                let here = snapshot.nodes.get_mut(&NodeName::new(node)).unwrap().storages.known_mut().unwrap();
                here.insert(id(&format!("nvme-{node}")), StorageOnNode { active, free_bytes });
            }
        };
        on_nvme(cluster(0).vm(102, "pve2", 4), GuestId::vm(102), "pve2").upgraded("pve3").change(only_one).snapshot()
    };
    assert_eq!(moves(&planned(&only_pve3(64), &mapped())).len(), 2);
    assert_eq!(moves(&planned(&only_pve3(40), &mapped())).len(), 3, "the first has to go home before the second comes");
}

#[test]
fn what_the_map_cannot_do_is_said() {
    // HA passes no map on.
    let managed = cluster(100).managed(ID).snapshot();
    assert!(why_not(&managed, &mapped()).contains("HA moves it and cannot be told that nvme-pve1 is nvme-pve2 there"));
    let ignored = cluster(100).managed(ID).ha(|ha| {
        ha.services.get_mut(&ID).unwrap().request = crate::snapshot::HaRequest::Ignored;
    });
    planned(&ignored.snapshot(), &mapped());
    // A replica is on a storage of the same name.
    let replicated = cluster(100).facts(ID, |facts| facts.local_disks[0].replicated = true).change(|snapshot| {
        let jobs = ["pve2", "pve3"].map(|target| ReplicationJob {
            id: "101-0".into(),
            vmid: ID.vmid,
            source: "pve1".into(),
            target: target.into(),
            disabled: false,
            fail_count: 0,
            error: None,
            last_sync: None,
        });
        snapshot.replication = Known(jobs.into());
    });
    assert!(
        why_not(&replicated.snapshot(), &mapped()).contains("is replicated, and so moves to no storage of another")
    );
    // Content types of the other storage.
    let other_content = |snapshot: &mut Snapshot| {
        for name in ["nvme-pve2", "nvme-pve3"] {
            snapshot.storages.known_mut().unwrap().get_mut(&id(name)).unwrap().content = ["rootdir".to_owned()].into();
        }
    };
    let no_images = cluster(100).change(other_content).snapshot();
    assert!(why_not(&no_images, &mapped()).contains("storage nvme-pve2 is not for images"));
}

#[test]
fn between_kinds_of_storages_only_a_running_vm_moves() {
    let kinds = |fixture: Fixture| {
        fixture
            .change(storage("nvme-pve2", "pve2", "zfspool", 100))
            .change(storage("nvme-pve3", "pve3", "zfspool", 100))
            .snapshot()
    };
    planned(&kinds(cluster(100)), &mapped());
    let container = kinds(on_nvme(cluster(100).ct(201, "pve1", 1), CT, "pve1"));
    let why = why_not(&container, &mapped());
    assert!(
        why.contains("no way to copy nvme-pve1:vm-201-disk-0 from nvme-pve1 (lvmthin) to nvme-pve2 (zfspool)"),
        "{why}"
    );
    let unused = kinds(cluster(100).facts(ID, |facts| facts.local_disks[0].usage = DiskUse::Unused));
    assert!(why_not(&unused, &mapped()).contains("no way to copy"));
    planned(&on_nvme(cluster(100).ct(201, "pve1", 1), CT, "pve1").snapshot(), &mapped());
}

#[test]
fn a_map_that_does_not_fit_the_cluster_is_no_plan() {
    let both = cluster(100).change(storage("nvme-pve1", "pve1", "lvmthin", 100));
    let both = both.change(|snapshot| {
        let storages = snapshot.storages.known_mut().unwrap();
        storages.get_mut(&id("nvme-pve2")).unwrap().nodes = None;
    });
    let why = why_not(&both.snapshot(), &mapped());
    assert!(why.contains("nvme-pve1 and nvme-pve2 in one group, and pve1 has both"), "{why}");
    let shared = Policy { storage_map: vec![["nvme-pve1", "shared"].map(id).into()], ..Policy::default() };
    assert!(why_not(&cluster(100).snapshot(), &shared).contains("shared, which is shared"));
    let unknown = Policy { storage_map: vec![["nvme-pve1", "nmve-pve2"].map(id).into()], ..Policy::default() };
    let none = refused(&cluster(100).snapshot(), &unknown);
    assert!(none.reasons.iter().any(|reason| matches!(reason, Reason::StorageMap(_))), "{none:?}");
    assert!(none.findings.iter().any(|it| it.problem.contains("nmve-pve2, which is no storage")), "{none:?}");
}

#[test]
fn a_guest_whose_disks_are_on_the_other_nodes_storage_is_the_same_guest() {
    let (snapshot, policy) = (cluster(100).snapshot(), mapped());
    let first = moves(&planned(&snapshot, &policy))[0].clone();
    let mut moved = snapshot.clone();
    Step::from(first).after(&mut moved);
    let digest = |snapshot: &Snapshot| super::super::problem::world::digest(snapshot, &policy);
    assert_eq!(digest(&moved), digest(&snapshot), "no reason to plan again");
    assert_ne!(super::super::problem::world::digest(&moved, &Policy::default()), digest(&snapshot));
}
