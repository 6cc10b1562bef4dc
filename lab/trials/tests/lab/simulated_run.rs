//! Whole runs of the real engine over the demo cluster, in virtual time, checked by the impact report.

use crate::common;

use std::sync::{Arc, Mutex};

use common::{JournalFile, block_on, demo, hold, policy, tell};
use quorate_core::run::{Request, RunOutcome};
use quorate_engine::Ended;
use quorate_journal::{Journal, Mode};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{DiesAt, OperatorAt, SimulatedRun, unless_it_dies};
use quorate_world::cluster_file::{DEMO, world_from_toml};
use quorate_world::impact::{Impact, ImpactReport};

#[test]
fn the_demo_cluster_is_upgraded_and_the_impact_report_is_clean() {
    let outcome = hold(&SimulatedRun { policy: policy(), ..SimulatedRun::default() }, demo());
    assert!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert_eq!((outcome.impact.nodes_upgraded, outcome.impact.moves), (3, outcome.impact.moves_bound));
    assert!(outcome.impact.consented_downtime_s > 0, "the PCI guest was down");
}

/// A point release of Ceph and nothing else: no kernel asks for a reboot, and Ceph's packages restart nothing.
#[test]
fn where_only_ceph_is_renewed_its_daemons_run_the_new_version_in_the_end() {
    let mut world = demo();
    world.archive.versions.retain(|name, _| name.starts_with("ceph"));
    world.archive.kernels.clear();
    let outcome = hold(&SimulatedRun { policy: policy(), ..SimulatedRun::default() }, world);
    assert!(outcome.impact.clean, "{:#?}\n{}", outcome.impact, tell(&outcome));
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    assert_eq!(outcome.impact.nodes_upgraded, 3, "its daemons count: {}", tell(&outcome));
}

#[test]
fn a_bound_guest_that_ha_manages_is_stopped_and_started_through_ha() {
    let bound = DEMO.replacen("id = \"vm:116\"", "id = \"vm:116\"\nha = \"started\"", 1);
    let outcome =
        hold(&SimulatedRun { policy: policy(), ..SimulatedRun::default() }, world_from_toml(&bound, 1).unwrap());
    assert!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    // Had HA answered the shutdown with a restart, the guest would have run on a node that goes down.
    assert!(outcome.impact.clean && outcome.impact.consented_downtime_s > 300, "{:#?}", outcome.impact);
}

#[test]
fn a_run_without_consent_is_refused_and_changes_nothing() {
    let mut policy = policy();
    policy.consents.clear();
    let outcome = hold(&SimulatedRun { policy, ..SimulatedRun::default() }, demo());
    assert_eq!(outcome.ended, None);
    assert!(outcome.refused.iter().any(|line| line.contains("ct:201")), "{:#?}", outcome.refused);
    assert!(outcome.impact.clean && outcome.impact.moves == 0, "{:#?}", outcome.impact);
}

/// The tool dies at a step, then a new process resumes the run: the end is as if nothing had happened.
fn dies_and_resumes(step: &str, after_calls: u64) {
    let dies = DiesAt { step: step.into(), after_calls };
    let simulated_run = SimulatedRun { policy: policy(), dies: Some(dies), ..SimulatedRun::default() };
    let world = Arc::new(Mutex::new(demo()));
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let sim = SimPorts::new(world.clone());
    let ended = block_on(unless_it_dies(&sim, simulated_run.begin(&sim, &journal)));
    assert!(ended.is_none(), "it did not die at {step}: {:?}", ended.map(|outcome| outcome.unwrap().ended));
    drop(journal);

    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let run = journal.latest_run().unwrap().unwrap();
    let again = SimulatedRun { dies: None, ..simulated_run };
    let outcome = block_on(again.resume(&SimPorts::new(world.clone()), &journal, &run)).unwrap();
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&outcome));
    let impact: ImpactReport = Impact::report(&world.lock().unwrap(), 28, 0.0);
    assert!(impact.clean, "{impact:#?}");
    assert_eq!((impact.nodes_upgraded, impact.moves), (3, 28), "nothing twice");
    journal.verify_chain().unwrap();
}

#[test]
fn killed_before_a_migration_is_sent() {
    dies_and_resumes("pve2.migrate.vm:120", 0);
}

#[test]
fn killed_after_a_migration_was_sent_and_before_the_answer() {
    dies_and_resumes("pve2.migrate.vm:120", 1);
}

#[test]
fn killed_while_ha_moves_a_guest() {
    dies_and_resumes("pve2.migrate.vm:105", 9);
}

#[test]
fn killed_before_the_package_upgrade_is_sent() {
    dies_and_resumes("pve3.upgrade-packages", 0);
}

#[test]
fn killed_during_the_package_upgrade() {
    dies_and_resumes("pve3.upgrade-packages", 40);
}

#[test]
fn killed_as_the_reboot_is_sent() {
    dies_and_resumes("pve1.reboot", 1);
}

#[test]
fn killed_during_the_reboot() {
    dies_and_resumes("pve1.reboot", 300);
}

#[test]
fn an_abort_in_the_middle_leaves_nothing_of_ours() {
    for step in ["pve2.migrate.vm:120", "pve2.set-noout", "pve2.upgrade-packages", "pve2.reboot"] {
        let operator = vec![OperatorAt { step: step.into(), request: Request::Abort }];
        let outcome = hold(&SimulatedRun { policy: policy(), operator, ..SimulatedRun::default() }, demo());
        assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Aborted)), "{step}: {}", tell(&outcome));
        assert!(outcome.impact.clean, "{step}: {:#?}", outcome.impact);
    }
}
