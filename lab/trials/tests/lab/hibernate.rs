//! Guests that hibernate while their node is upgraded.

use std::sync::{Arc, Mutex};

use quorate_core::ids::{GuestId, NodeName, StorageId};
use quorate_core::policy::{ConsentKind, GuestPolicy, Policy, RebootWhen};
use quorate_core::run::{Request, RunOutcome};
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{DiesAt, OperatorAt, Outcome, SimulatedRun, unless_it_dies};
use quorate_world::World;
use quorate_world::cluster_file::world_from_toml;
use quorate_world::impact::Impact;

use crate::common::{JournalFile, block_on, tell};

const CLUSTER: &str = r#"
node = [
  { name = "pve1", memory_gib = 32, cpus = 8, links = ["10.10.1.1", "10.10.2.1"] },
  { name = "pve2", memory_gib = 32, cpus = 8, links = ["10.10.1.2", "10.10.2.2"] },
  { name = "pve3", memory_gib = 32, cpus = 8, links = ["10.10.1.3", "10.10.2.3"] },
]
storage = [
  { id = "own", kind = "lvmthin", content = ["images", "rootdir"], total_gib = 200, nodes = ["pve1"] },
  { id = "nfs", kind = "nfs", shared = true, content = ["images", "rootdir"], total_gib = 3400 },
]
guest = [
  { id = "vm:101", name = "desktop", node = "pve1", memory_mib = 8192, storage = "own", disk_gib = 8, onboot = false },
  { id = "vm:102", name = "web", node = "pve2", memory_mib = 2048, storage = "nfs", disk_gib = 8 },
]
[cluster]
name = "three"
"#;

const VM: GuestId = GuestId { vmid: quorate_core::ids::Vmid(101), kind: quorate_core::ids::GuestKind::Vm };

fn policy() -> Policy {
    Policy {
        guests: [(VM, GuestPolicy::Hibernate)].into(),
        reboot: RebootWhen::Always,
        consents: [ConsentKind::HibernateGuests].into(),
        ..Policy::default()
    }
}

struct Stage {
    world: Arc<Mutex<World>>,
    sim: SimPorts,
    journal: Journal,
    file: JournalFile,
}

fn stage(cluster: &str) -> Stage {
    let world = Arc::new(Mutex::new(world_from_toml(cluster, 1).unwrap()));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    Stage { sim: SimPorts::new(world.clone()), world, journal, file }
}

fn begin(stage: &Stage, run: &SimulatedRun) -> Outcome {
    block_on(run.begin(&stage.sim, &stage.journal)).unwrap()
}

/// It runs on its node, with the same machine as before, and nothing is left of its state.
fn goes_on(world: &World) -> bool {
    let guest = &world.guests[&VM];
    guest.serves() && guest.node.as_str() == "pve1" && guest.lock.is_none() && !guest.extra.contains_key("vmstate")
}

#[test]
fn a_guest_hibernates_while_its_node_is_upgraded_and_goes_on_from_there() {
    // PVE starts it by itself when its node has booted, if that is what it does at all boots.
    for cluster in [CLUSTER, &CLUSTER.replace("onboot = false", "onboot = true")] {
        hibernates_and_goes_on(cluster);
    }
}

fn hibernates_and_goes_on(cluster: &str) {
    let stage = stage(cluster);
    let outcome = begin(&stage, &SimulatedRun { policy: policy(), ..SimulatedRun::default() });
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    let world = stage.world.lock().unwrap();
    assert!(goes_on(&world), "{:?}", world.guests[&VM]);
    assert!(world.tasks.all.keys().any(|upid| upid.as_str().contains(":qmsuspend:101:")));
    let agreed = outcome.plan.as_ref().unwrap().downtime_allowed_s(&policy());
    let was = Impact::downtime_by_guest(&world);
    assert_eq!(was.keys().collect::<Vec<_>>(), [&VM]);
    assert!(was[&VM] > 0 && was[&VM] <= agreed[&VM], "{was:?} of {agreed:?}");
}

#[test]
fn without_consent_under_ha_or_with_a_pci_device_nothing_hibernates() {
    let refused = |cluster: &str, policy: Policy| {
        let stage = stage(cluster);
        let outcome = begin(&stage, &SimulatedRun { policy, ..SimulatedRun::default() });
        assert_eq!(outcome.ended, None, "{}", tell(&outcome));
        outcome.refused.join("\n")
    };
    let why = refused(CLUSTER, Policy { consents: [ConsentKind::ShutdownGuests].into(), ..policy() });
    assert!(why.contains("HibernateGuests") || why.contains("hibernate"), "{why}");
    let managed = CLUSTER.replace("onboot = false", "ha = \"started\"");
    assert_ne!(managed, CLUSTER);
    assert!(refused(&managed, policy()).contains("PVE hibernates no guest that HA manages"));
    let device = CLUSTER
        .replace("storage = \"own\", disk", "storage = \"own\", devices = { hostpci0 = \"0000:01:00.0\" }, disk");
    assert!(refused(&device, policy()).contains("the state of hostpci0 cannot be saved"));
    let full = CLUSTER.replace("total_gib = 200", "total_gib = 20");
    assert!(refused(&full, policy()).contains("states of guests need 16.5"), "twice its memory and 500 MiB");
}

#[test]
fn a_driver_that_dies_in_between_is_followed_by_one_that_starts_it() {
    for (step, after_calls) in [("hibernate-guest", 0), ("hibernate-guest", 1), ("start-guest", 0)] {
        let Stage { world, sim, journal, file } = stage(CLUSTER);
        let dies = DiesAt { step: format!("pve1.{step}.vm:101").as_str().into(), after_calls };
        let patient = Policy { downtime_margin_percent: 10_000, ..policy() };
        let run = SimulatedRun { policy: patient, dies: Some(dies), ..SimulatedRun::default() };
        assert!(block_on(unless_it_dies(&sim, run.begin(&sim, &journal))).is_none(), "{step} {after_calls}");
        drop(journal);
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let id = journal.latest_run().unwrap().unwrap();
        let again = SimulatedRun { dies: None, ..run };
        let outcome = block_on(again.resume(&SimPorts::new(world.clone()), &journal, &id)).unwrap();
        assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{step} {after_calls}\n{}", tell(&outcome));
        assert!(goes_on(&world.lock().unwrap()), "{step} {after_calls}");
    }
}

#[test]
fn an_abort_starts_it_again() {
    for step in ["pve1.hibernate-guest.vm:101", "pve1.reboot"] {
        let stage = stage(CLUSTER);
        let operator = vec![OperatorAt { step: step.into(), request: Request::Abort }];
        let outcome = begin(&stage, &SimulatedRun { policy: policy(), operator, ..SimulatedRun::default() });
        assert!(matches!(outcome.ended, Some(Ended::Over(_))), "{step}: {}", tell(&outcome));
        assert!(goes_on(&stage.world.lock().unwrap()), "{step}");
    }
}

#[test]
fn a_state_that_cannot_be_written_leaves_the_guest_running_and_says_what_to_do() {
    let stage = stage(CLUSTER);
    let world = stage.world.clone();
    // As QEMU says it of a display that it cannot save, when nobody knew.
    world.lock().unwrap().guests.get_mut(&VM).unwrap().extra.insert("vga".into(), "virtio-gl".into());
    let outcome = begin(&stage, &SimulatedRun { policy: policy(), ..SimulatedRun::default() });
    assert!(outcome.refused.join("\n").contains("virtio-gl, cannot be saved"), "{:?}", outcome.refused);
    let upid =
        world.lock().unwrap().guest_hibernate(&NodeName::from("pve1"), VM, &StorageId::new("nfs"), "root@pam").unwrap();
    let mut world = world.lock().unwrap();
    let later = world.now_ms + 60_000;
    world.advance_to(later);
    assert!(world.tasks.all[&upid].end.as_ref().unwrap().exitstatus.contains("virgl is not yet migratable"));
    assert!(world.guests[&VM].serves());
    assert_eq!(world.guests[&VM].lock.as_deref(), Some("suspending"));
}
