//! Time between a driver and its cluster: late orders, a caller that is frozen, an endpoint that hangs.

use crate::common::{block_on, demo, policy};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use quorate_core::command::{Command, Method};
use quorate_core::ids::NodeName;
use quorate_core::run::{Event, RunOutcome};
use quorate_engine::Ended;
use quorate_journal::Journal;
use quorate_pve::ports::{Api, ApiError, ApiRequest, Clock, Shell, ShellError};
use quorate_trials::network::Order;
use quorate_trials::ports::{SimPorts, Stop, Trouble};
use quorate_trials::simulated_run::SimulatedRun;
use quorate_world::World;
use quorate_world::node::Power;

const MINUTE: Duration = Duration::from_secs(60);
const LATE: Trouble = Trouble::ArrivesLate { seconds: 600 };

fn ports() -> SimPorts {
    SimPorts::new(Arc::new(Mutex::new(demo())))
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

fn has_noout(world: &World) -> bool {
    world.ceph.as_ref().expect("the demo has Ceph").flags.contains("noout")
}

fn noout() -> ApiRequest {
    let params = vec![("value".to_owned(), "1".to_owned())];
    ApiRequest { method: Method::Put, params, ..ApiRequest::get("/cluster/ceph/flags/noout") }
}

/// At pve2 itself, as everything below `/nodes/`.
fn start_of_a_task_at_pve2() -> ApiRequest {
    ApiRequest { method: Method::Post, ..ApiRequest::get("/nodes/pve2/apt/update") }
}

#[tokio::test]
async fn a_late_order_takes_effect_late_and_a_read_is_never_late() {
    let sim = ports();
    sim.trouble(100, LATE);
    let error = sim.call(noout()).await.unwrap_err();
    assert!(matches!(error, ApiError::InDoubt { .. }), "{error}");
    sim.call(ApiRequest::get("/version")).await.expect("a read is answered");
    sim.run(&"pve1".into(), &words("uname -r"), MINUTE).await.expect("a read is answered");
    sim.pass(Duration::from_secs(540));
    assert!(!has_noout(&sim.world()), "ten minutes are not over");
    sim.pass(MINUTE);
    assert!(has_noout(&sim.world()));
}

#[tokio::test]
async fn what_was_sent_arrives_although_its_sender_is_gone() {
    let sim = ports();
    sim.trouble(1, LATE);
    sim.kill(Stop::After(1));
    let mut call = sim.call(noout());
    for _ in 0..2 {
        assert!((&mut call).now_or_never().is_none());
    }
    let next = sim.reborn();
    next.sleep(Duration::from_secs(700)).await;
    assert!(has_noout(&next.world()));
}

#[tokio::test]
async fn an_order_that_a_node_holds_dies_with_that_nodes_boot() {
    for reboots in [false, true] {
        let sim = ports();
        let pve2 = NodeName::from("pve2");
        sim.trouble(2, LATE);
        sim.call(start_of_a_task_at_pve2()).await.unwrap_err();
        let error = sim.run(&pve2, &words("ceph osd set noout"), MINUTE).await.unwrap_err();
        assert!(matches!(error, ShellError::InDoubt { .. }), "{error}");
        if reboots {
            sim.world().power_off(&pve2);
            sim.pass(MINUTE);
            sim.world().power_on(&pve2);
        }
        sim.pass(Duration::from_secs(900));
        assert_eq!(sim.world().nodes[&pve2].power, Power::On, "it is up again when the orders are due");
        let started = sim.world().tasks.all.values().any(|task| task.node == pve2 && task.kind == "aptupdate");
        assert_eq!((started, has_noout(&sim.world())), (!reboots, !reboots));
    }
}

#[tokio::test]
async fn a_frozen_caller_goes_on_exactly_where_it_was() {
    let sim = ports();
    sim.freeze(Stop::Before(1));
    let mut call = sim.call(noout());
    assert!((&mut call).now_or_never().is_none(), "it yields once");
    assert!((&mut call).now_or_never().is_none() && sim.is_frozen());
    let other = sim.reborn();
    other.sleep(Duration::from_secs(3600)).await;
    assert!((&mut call).now_or_never().is_none() && !has_noout(&sim.world()));
    sim.wake();
    assert!((&mut call).await.is_ok() && has_noout(&sim.world()), "without an expiry it is sent an hour later");
}

#[tokio::test]
async fn what_expired_while_its_caller_was_frozen_is_not_sent_unless_it_was_on_its_way() {
    for (freeze, expected) in [(Stop::Before(1), false), (Stop::After(1), true)] {
        let sim = ports();
        sim.freeze(freeze);
        if expected {
            sim.trouble(1, LATE);
        }
        let request = ApiRequest { expires: Some(sim.now().plus_s(60)), ..noout() };
        let mut call = sim.call(request);
        for _ in 0..2 {
            assert!((&mut call).now_or_never().is_none());
        }
        sim.reborn().sleep(Duration::from_secs(3600)).await;
        sim.wake();
        let error = call.await.unwrap_err();
        assert_eq!(matches!(error, ApiError::Expired { .. }), !expected, "{error}");
        assert_eq!(has_noout(&sim.world()), expected);
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_holds_what_it_takes_and_is_left_by_reads() {
    let sim = ports();
    let pve1 = NodeName::from("pve1");
    sim.hang(&pve1, 1_200);
    let begun = sim.now();
    sim.call(ApiRequest::get("/version")).await.expect("another node answers");
    assert!((45..50).contains(&sim.now().since_s(begun)), "it was waited for once");
    let begun = sim.now();
    sim.call(ApiRequest::get("/version")).await.expect("another node answers");
    assert_eq!(sim.now().since_s(begun), 0, "it is left");
    let error = sim.call(ApiRequest::get("/nodes/pve1/status")).await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { status: 596, .. }), "nobody else can ask it either: {error}");
    let error = sim.call(noout()).await.unwrap_err();
    assert!(matches!(error, ApiError::InDoubt { .. }) && !has_noout(&sim.world()), "{error}");
    sim.pass(Duration::from_secs(1_200));
    assert!(has_noout(&sim.world()), "it is answered at last");
}

/// Orders of the API, as they were sent: `POST /nodes/pve1/… at pve1`.
fn orders_that_were_sent(journal: &Arc<Journal>, full_at: u64) -> (SimPorts, Arc<Mutex<Vec<String>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (journal, keeps) = (journal.clone(), sent.clone());
    let tap = move |number, order: Option<Order>, _: &World| {
        if number == full_at {
            journal.set_full(true).unwrap();
        }
        keeps.lock().unwrap().extend(order.map(|order| order.to_string()).filter(|text| !text.starts_with("GET")));
    };
    (SimPorts::tapped(Arc::new(Mutex::new(demo())), Arc::new(tap)), sent)
}

#[test]
fn a_driver_whose_journal_is_full_sends_nothing_more_and_goes_on_once_there_is_room() {
    let journal = Arc::new(Journal::in_memory().unwrap());
    let simulated_run = SimulatedRun { policy: policy(), ..SimulatedRun::default() };
    let (sim, sent) = orders_that_were_sent(&journal, 700);
    let error = block_on(simulated_run.begin(&sim, &journal)).unwrap_err();
    assert!(error.to_string().contains("could not be written"), "{error}");
    let run = journal.latest_run().unwrap().expect("it has begun");
    let in_journal: Vec<String> = journal
        .events(&run)
        .unwrap()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::StepStarted { command: Some(Command::Api { method, path, .. }), .. } => {
                Some(format!("{} {path} at ", method.as_str()))
            }
            _ => None,
        })
        .collect();
    let is_known = |order: &&String| in_journal.iter().any(|known| order.starts_with(known.as_str()));
    let sent = sent.lock().unwrap();
    let of_steps = sent.iter().filter(|order| order.starts_with('P') && !order.contains("/apt/update"));
    let unknown: Vec<&String> = of_steps.filter(|order| !is_known(order)).collect();
    assert!(unknown.is_empty() && !in_journal.is_empty(), "sent and not in the journal: {unknown:?}");
    drop(sent);

    journal.set_full(false).unwrap();
    let outcome = block_on(simulated_run.resume(&sim.reborn(), &journal, &run)).unwrap();
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact.events);
}
