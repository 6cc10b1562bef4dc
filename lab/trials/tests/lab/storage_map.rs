//! Local storages that are named after their node: guests with disks there move with a map, and come home.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use quorate_core::ids::{GuestId, NodeName, StorageId};
use quorate_core::policy::{ConsentKind, End, Policy, RebootWhen};
use quorate_core::run::{Event, RunOutcome};
use quorate_core::steps::Step;
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_pve::observe::{least_role, role_for_volumes};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{Outcome, SimulatedRun};
use quorate_wire::Credentials;
use quorate_world::World;
use quorate_world::access::{AclEntry, Token, User};
use quorate_world::cluster_file::world_from_toml;
use quorate_world::migration::MigrateRequest;
use quorate_world::target_storage::TargetStorage;

use crate::common::{JournalFile, block_on, tell};

const CLUSTER: &str = r#"
node = [
  { name = "pve1", memory_gib = 32, cpus = 8, links = ["10.10.1.1", "10.10.2.1"] },
  { name = "pve2", memory_gib = 32, cpus = 8, links = ["10.10.1.2", "10.10.2.2"] },
  { name = "pve3", memory_gib = 32, cpus = 8, links = ["10.10.1.3", "10.10.2.3"] },
]
storage = [
  { id = "nvme-pve1", kind = "lvmthin", content = ["images", "rootdir"], total_gib = 200, nodes = ["pve1"] },
  { id = "nvme-pve2", kind = "lvmthin", content = ["images", "rootdir"], total_gib = 200, nodes = ["pve2"] },
  { id = "nvme-pve3", kind = "lvmthin", content = ["images", "rootdir"], total_gib = 200, nodes = ["pve3"] },
  { id = "nfs", kind = "nfs", shared = true, content = ["images", "rootdir"], total_gib = 3400 },
]
guest = [
  { id = "vm:101", name = "mail", node = "pve1", memory_mib = 2048, storage = "nvme-pve1", disk_gib = 8 },
  { id = "vm:102", name = "web", node = "pve2", memory_mib = 2048, storage = "nvme-pve2", disk_gib = 8 },
  { id = "ct:201", name = "dns", node = "pve3", memory_mib = 512, storage = "nvme-pve3", disk_gib = 4 },
]
[cluster]
name = "three"
"#;

fn policy() -> Policy {
    Policy {
        storage_map: vec![["nvme-pve1", "nvme-pve2", "nvme-pve3"].map(StorageId::new).into()],
        end: End::Home,
        reboot: RebootWhen::Always,
        consents: [ConsentKind::RestartContainers].into(),
        ..Policy::default()
    }
}

/// A run with a token whose role has these privileges.
fn run(role: &BTreeSet<&str>, policy: Policy) -> (Outcome, Arc<Mutex<World>>) {
    const USER: &str = "quorate@pve";
    const TOKEN: &str = "quorate@pve!run";
    let mut world = world_from_toml(CLUSTER, 1).unwrap();
    let access = &mut world.access;
    access.roles.insert("Quorate".into(), role.iter().map(|privilege| (*privilege).to_owned()).collect());
    access.users.insert(USER.into(), User { password: "secret".into(), enabled: true });
    access.tokens.insert(TOKEN.into(), Token { user: USER.into(), secret: "secret".into(), privsep: false });
    access.acl.push(AclEntry { path: "/".into(), who: USER.into(), role: "Quorate".into(), propagate: true });
    let world = Arc::new(Mutex::new(world));
    let sim = SimPorts::with_credentials(world.clone(), Credentials::token(TOKEN, "secret"));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let run = SimulatedRun { policy, ..SimulatedRun::default() };
    (block_on(run.begin(&sim, &journal)).unwrap(), world)
}

#[test]
fn disks_go_to_the_storage_of_the_other_node_and_come_home() {
    let role = least_role().union(&role_for_volumes()).copied().collect();
    let (outcome, world) = run(&role, policy());
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    let world = world.lock().unwrap();
    for (guest, node) in [(GuestId::vm(101), "pve1"), (GuestId::vm(102), "pve2"), (GuestId::ct(201), "pve3")] {
        let guest = &world.guests[&guest];
        assert_eq!((guest.node.as_str(), guest.serves()), (node, true), "{}", guest.id);
        assert_eq!(guest.disks[0].storage, Some(StorageId::new(format!("nvme-{node}"))), "{}", guest.id);
    }
    let mapped = |event: &Event| match event {
        Event::StepStarted { step: Step::Migrate(step), .. } => Some((step.guest, step.storages.clone())),
        _ => None,
    };
    let moves: Vec<_> = outcome.events.iter().filter_map(|(_, event)| mapped(event)).collect();
    let ways: BTreeSet<_> = moves.iter().map(|(guest, _)| *guest).collect();
    assert!(ways.len() == 3 && moves.iter().all(|(_, storages)| storages.len() == 1), "{moves:?}");
}

#[test]
fn without_the_map_or_the_privileges_for_it_the_run_is_refused() {
    let (outcome, _) = run(&least_role(), policy());
    for privilege in role_for_volumes() {
        let named = outcome.refused.iter().any(|why| why.contains("the token lacks") && why.contains(privilege));
        assert!(named, "{privilege}: {:?}", outcome.refused);
    }
    let (outcome, _) = run(&least_role(), Policy { storage_map: Vec::new(), ..policy() });
    assert!(outcome.refused.iter().any(|why| why.contains("storage nvme-pve1")), "{:?}", outcome.refused);
    assert!(!outcome.refused.iter().any(|why| why.contains("the token lacks")), "{:?}", outcome.refused);
}

/// What PVE says to a move of vm:101 to pve2 with this map.
fn sent(change: impl FnOnce(&mut World), storages: Option<TargetStorage>) -> String {
    let mut world = world_from_toml(CLUSTER, 1).unwrap();
    change(&mut world);
    let id = GuestId::vm(101);
    let request = MigrateRequest {
        target: "pve2".to_owned(),
        online: true,
        restart: false,
        with_local_disks: true,
        with_conntrack_state: false,
        storages,
        user: "root@pam".to_owned(),
    };
    match world.migrate(&NodeName::from("pve1"), id, request) {
        Err(refused) => refused.to_string(),
        Ok(upid) => {
            world.advance_to(world.now_ms + 300_000);
            world.tasks.all[&upid].log.join("\n")
        }
    }
}

#[test]
fn pve_itself_refuses_what_no_map_covers() {
    let map = |text: &str| TargetStorage::parse(text, |_| Ok(())).ok();
    assert_eq!(sent(|_| {}, None), "storage 'nvme-pve1' is not available on node 'pve2'");
    assert_eq!(sent(|_| {}, map("1")), "storage 'nvme-pve1' is not available on node 'pve2'");
    assert!(sent(|_| {}, map("other:nvme-pve2")).contains("storage 'nvme-pve1' is not available on node 'pve2'"));
    assert!(sent(|_| {}, map("nvme-pve1:nvme-pve2")).contains("migration finished successfully"));
    assert!(sent(|_| {}, map("nfs")).contains("migration finished successfully"));
    // A stopped guest's volume goes as a stream, which other kinds of storages do not take.
    let stopped = |world: &mut World| {
        world.guest_stop(&NodeName::from("pve1"), GuestId::vm(101), "root@pam").unwrap();
        world.advance_to(world.now_ms + 60_000);
        "zfspool".clone_into(&mut world.storages.get_mut(&StorageId::new("nvme-pve2")).unwrap().kind);
    };
    assert!(sent(stopped, map("nvme-pve2")).contains("cannot migrate from storage type 'lvmthin' to 'zfspool'"));
}
