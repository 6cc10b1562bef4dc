//! After its reboot a node is back without what it cannot bring: a storage that a guest serves which is down with it.

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use common::{demo, hold, policy, tell};
use quorate_core::ids::{GuestId, NodeName};
use quorate_core::run::{Event, RunOutcome, StepOutcome};
use quorate_core::steps::Step;
use quorate_engine::Ended;
use quorate_trials::simulated_run::SimulatedRun;
use quorate_world::World;
use quorate_world::store::Storage;

/// vm:116 of the demo, which is shut down while its node is upgraded, serves a storage of the whole cluster.
fn with_a_nas() -> World {
    let mut world = demo();
    let local = world.storages.values().find(|storage| storage.kind == "nfs").cloned();
    let any = local.or_else(|| world.storages.values().next().cloned()).expect("the demo has storages");
    let media = Storage {
        id: "media".into(),
        kind: "nfs".to_owned(),
        shared: true,
        content: vec!["backup".to_owned(), "iso".to_owned()],
        nodes: Default::default(),
        pool: None,
        served_by: GuestId::parse("vm:116"),
        ..any
    };
    world.storages.insert("media".into(), media);
    world.guests.get_mut(&GuestId::vm(116)).unwrap().onboot = false;
    world
}

#[test]
fn the_guest_that_serves_a_storage_is_started_first_and_the_storage_is_not_waited_for() {
    let outcome = hold(&SimulatedRun { policy: policy(), ..SimulatedRun::default() }, with_a_nas());
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    let told = outcome.events.iter().find_map(|(_, event)| match event {
        Event::StepEnded { step: Step::WaitBack(back), outcome: StepOutcome::DoneWithout(why), .. } => {
            Some((back.node.clone(), why.clone()))
        }
        _ => None,
    });
    let (_, why) = told.unwrap_or_else(|| panic!("nothing was told\n{}", tell(&outcome)));
    assert!(why.iter().any(|why| why.to_string().contains("media")), "{why:?}");
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
}

#[test]
fn a_certificate_that_is_taken_over_in_a_run_is_in_its_journal() {
    let mut world = demo();
    world.nodes.get_mut(&NodeName::from("pve1")).unwrap().renewed_certificate = Some("22:22".to_owned());
    let outcome = hold(&SimulatedRun { policy: policy(), ..SimulatedRun::default() }, world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    let taken: Vec<&Event> = outcome
        .events
        .iter()
        .map(|(_, event)| event)
        .filter(|event| matches!(event, Event::CertificateTakenOver { .. }))
        .collect();
    let [Event::CertificateTakenOver { node, shown, by, .. }] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((node.as_str(), shown.as_str()), ("pve1", "22:22"));
    assert_ne!(by, node);
}
