//! Stopped guests and templates that can be started and cloned while their node is out.

use std::sync::{Arc, Mutex};

use quorate_core::ids::GuestId;
use quorate_core::policy::{Policy, RebootWhen, StoppedGuests};
use quorate_core::run::{Event, RunOutcome};
use quorate_core::steps::Step;
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::SimulatedRun;
use quorate_world::cluster_file::world_from_toml;

use crate::common::{JournalFile, block_on, tell};

const CLUSTER: &str = r#"
node = [
  { name = "pve1", memory_gib = 32, cpus = 8, links = ["10.10.1.1", "10.10.2.1"] },
  { name = "pve2", memory_gib = 32, cpus = 8, links = ["10.10.1.2", "10.10.2.2"] },
  { name = "pve3", memory_gib = 32, cpus = 8, links = ["10.10.1.3", "10.10.2.3"] },
]
storage = [
  { id = "local-lvm", kind = "lvmthin", content = ["images", "rootdir"], total_gib = 200 },
  { id = "nfs", kind = "nfs", shared = true, content = ["images", "rootdir"], total_gib = 3400 },
]
guest = [
  { id = "vm:900", name = "golden", node = "pve1", memory_mib = 2048, storage = "nfs", state = "template" },
  { id = "ct:901", name = "golden-ct", node = "pve2", memory_mib = 512, storage = "nfs", state = "template" },
  { id = "vm:101", name = "spare", node = "pve2", memory_mib = 2048, storage = "nfs", state = "stopped" },
  { id = "vm:102", name = "own", node = "pve1", memory_mib = 2048, storage = "local-lvm", state = "stopped" },
]
[cluster]
name = "three"
"#;

#[test]
fn what_does_not_run_leaves_before_its_node_is_out_and_is_home_at_the_end() {
    let world = Arc::new(Mutex::new(world_from_toml(CLUSTER, 1).unwrap()));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let policy = Policy { stopped_guests: StoppedGuests::Usable, reboot: RebootWhen::Always, ..Policy::default() };
    let run = SimulatedRun { policy, ..SimulatedRun::default() };
    let outcome = block_on(run.begin(&SimPorts::new(world.clone()), &journal)).unwrap();
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    let begun = |event: &Event| match event {
        Event::StepStarted { step, .. } => Some(step.clone()),
        _ => None,
    };
    let steps: Vec<Step> = outcome.events.iter().filter_map(|(_, event)| begun(event)).collect();
    let homes = [(GuestId::vm(900), "pve1"), (GuestId::ct(901), "pve2"), (GuestId::vm(101), "pve2")];
    for (guest, home) in homes {
        let mut at = home.to_owned();
        for step in &steps {
            match step {
                Step::Migrate(step) if step.guest == guest => at = step.to.to_string(),
                Step::Reboot(step) => assert_ne!(step.node.as_str(), at, "{guest} is on the node that reboots"),
                _ => {}
            }
        }
        assert_eq!(at, home);
        assert_eq!(world.lock().unwrap().guests[&guest].node.as_str(), home);
    }
    let moved = |step: &Step| step.is_move() && step.guest() == Some(GuestId::vm(102));
    assert!(!steps.iter().any(moved), "its disk is its node's own");
}
