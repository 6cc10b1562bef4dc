//! Two drivers of one cluster, with copied, older and shared journals and with journals of their own: at most one of them
//! acts, and a driver that froze and wakes up does nothing any more.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use crate::common::{self, JournalFile, block_on, demo};
use quorate_core::ids::{DriverId, NodeName, RunId, UnixMs};
use quorate_core::policy::Policy;
use quorate_core::recovery::found_set;
use quorate_core::run::{Event, RunOutcome};
use quorate_engine::{
    Beginning, DriveError, Driver, Ended, Lists, Silent, Watcher, WhenPaused, look_before_a_run, new_run_id, prepare,
};
use quorate_journal::{Holder, Journal, JournalError, Mode};
use quorate_pve::ports::{Clock, PortFuture, Ports};
use quorate_trials::ports::{SharedWorld, SimPorts, Stop};
use quorate_trials::simulated_run::{SimulatedRun, unless_it_dies};
use quorate_world::impact::{Impact, ImpactReport};

/// When something happens to the first driver: at its first step, or when it waits for the packages of the first node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    FirstMove,
    Packages,
}

impl At {
    fn is(self, event: &Event) -> bool {
        match (self, event) {
            (Self::FirstMove, Event::StepStarted { id, command: Some(_), .. }) => id.as_str().contains("migrate"),
            (Self::Packages, Event::CommandAnswered { id, .. }) => id.as_str().ends_with("upgrade-packages"),
            _ => false,
        }
    }
}

/// Who sent an order, and when by the world's clock.
type Orders = Arc<Mutex<Vec<(u64, u64)>>>;

/// Watches one driver, and copies its journal, kills it or stops it at a moment.
struct Stage {
    number: u64,
    sim: SimPorts,
    orders: Orders,
    copies: Option<(At, PathBuf, PathBuf)>,
    dies: Option<At>,
    freezes: Option<At>,
    happened: Arc<AtomicBool>,
}

impl Stage {
    fn new(number: u64, sim: &SimPorts, orders: &Orders) -> Self {
        let (sim, orders) = (sim.clone(), orders.clone());
        Self { number, sim, orders, copies: None, dies: None, freezes: None, happened: Arc::default() }
    }
}

impl Watcher for Stage {
    fn event(&mut self, _: u64, _: UnixMs, event: &Event) {
        if matches!(event, Event::StepStarted { command: Some(_), .. }) {
            let now_ms = self.sim.world().now_ms;
            self.orders.lock().unwrap().push((self.number, now_ms));
        }
        if let Some((_, from, to)) = self.copies.take_if(|(at, ..)| at.is(event)) {
            copy(&from, &to);
            self.happened.store(true, Ordering::Relaxed);
        }
        if self.dies.take_if(|at| at.is(event)).is_some() {
            self.sim.kill(Stop::Before(self.sim.calls() + 1));
        }
        if self.freezes.take_if(|at| at.is(event)).is_some() {
            self.happened.store(true, Ordering::Relaxed);
        }
    }

    fn waiting(&mut self, _: UnixMs, _: &[String]) {}
}

/// Between two transactions: as `cp` does it.
fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::copy(with(from), with(to)).unwrap();
    }
}

/// Two drivers side by side cost each other time: guests may be down for longer than planned.
fn policy() -> Policy {
    Policy { downtime_margin_percent: 2000, ..common::policy() }
}

fn holder(number: u64) -> Holder {
    Holder::this_process(format!("driver {number}"), DriverId::drawn(number))
}

fn nodes(sim: &SimPorts) -> Vec<NodeName> {
    sim.world().nodes.keys().cloned().collect()
}

fn open(path: &Path) -> Journal {
    Journal::open(path, Mode::Drive).unwrap()
}

async fn begun<'a>(sim: &SimPorts, journal: &'a Journal, watcher: &'a mut dyn Watcher) -> Driver<'a> {
    let (ports, policy) = (beside(sim), policy());
    let run = new_run_id(ports.clock.now(), "one-driver");
    let prepared = prepare(&ports, nodes(sim), &policy, &run, Lists::Refresh).await;
    let (plan, _) = prepared.plan.expect("the demo has a plan");
    for (guest, seconds) in plan.downtime_allowed_s(&policy) {
        // A driver that has to wait for the other one's lock leaves a guest down for as long.
        sim.world().impact.consent(guest, seconds + 600);
    }
    let beginning = Beginning { run, cluster: "demo".to_owned(), policy, plan };
    let driver = Driver::begin(ports, journal, &holder(1), beginning, watcher).unwrap();
    driver.known_nodes(nodes(sim)).when_paused(WhenPaused::Leave)
}

/// The second driver, from its start to its end.
async fn second(sim: &SimPorts, journal: &Journal, stage: &mut Stage) -> Result<Ended, DriveError> {
    let run = journal.latest_run()?.expect("the journal has a run");
    let mut driver = Driver::take_up(beside(sim), journal, &holder(2), run, stage)?
        .known_nodes(nodes(sim))
        .when_paused(WhenPaused::Leave);
    driver.drive().await
}

async fn until(happened: &AtomicBool) {
    while !happened.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
}

/// A clock that waits for the time that the other driver's calls take; it moves time on itself only where nobody else
/// does. Two that both moved it on would leave neither of them the time for a look.
struct Beside(SimPorts);

/// So often in a row time stood still: whoever else is there only waits as well.
const NOBODY_MOVES_IT: u32 = 2000;

impl Clock for Beside {
    fn now(&self) -> UnixMs {
        self.0.ports().clock.now()
    }

    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        let until = UnixMs(self.now().0 + duration.as_millis() as u64);
        Box::pin(async move {
            let (mut seen, mut still) = (self.now(), 0);
            while self.now() < until && still < NOBODY_MOVES_IT {
                tokio::task::yield_now().await;
                still = if self.now() == seen { still + 1 } else { 0 };
                seen = self.now();
            }
            let left = until.0.saturating_sub(self.now().0);
            if left > 0 {
                self.0.ports().clock.sleep(Duration::from_millis(left)).await;
            }
        })
    }
}

/// The ports of a driver beside another one.
fn beside(sim: &SimPorts) -> Ports {
    Ports { clock: Arc::new(Beside(sim.clone())), ..sim.ports() }
}

fn world() -> SharedWorld {
    let mut world = demo();
    Impact::begin(&mut world);
    Arc::new(Mutex::new(world))
}

/// Seconds between the last order of the one and the first of the other; none if only one of them sent any.
fn handed_over_after_s(orders: &Orders) -> Option<u64> {
    let orders = orders.lock().unwrap();
    let last = orders.iter().rposition(|(number, _)| *number == 1)?;
    let first = orders.iter().position(|(number, _)| *number == 2)?;
    assert!(last < first, "both act: {orders:?}");
    Some((orders[first].1 - orders[last].1) / 1000)
}

fn clean(world: &SharedWorld) -> ImpactReport {
    let world = world.lock().unwrap();
    let impact = Impact::report(&world, 0, 0.0);
    assert!(impact.clean && impact.still_to_undo == 0, "{impact:#?}");
    assert!(world.nodes.values().all(|node| node.boots <= 2), "no node is rebooted twice");
    impact
}

/// The first driver works on; a copy of its journal is made, and another driver comes with it.
fn with_a_copy_while_the_first_lives(copied: At) -> DriveError {
    let (file, other, world, orders) = (JournalFile::new(), JournalFile::new(), world(), Orders::default());
    let (one, two) = (SimPorts::new(world.clone()), SimPorts::new(world.clone()));
    let journal = open(&file.0);
    let mut stage = Stage::new(1, &one, &orders);
    stage.copies = Some((copied, file.0.clone(), other.0.clone()));
    let happened = stage.happened.clone();
    let (first, refused) = block_on(async {
        let mut first = begun(&one, &journal, &mut stage).await;
        let comes = async {
            until(&happened).await;
            // Some time after the copy was made: what the first does meanwhile is missing in it.
            beside(&two).clock.sleep(Duration::from_secs(15)).await;
            let journal = open(&other.0);
            let mut stage = Stage::new(2, &two, &orders);
            second(&two, &journal, &mut stage).await
        };
        tokio::join!(first.drive(), comes)
    });
    assert_eq!(first.unwrap(), Ended::Over(RunOutcome::Completed), "the first is not disturbed");
    assert_eq!(handed_over_after_s(&orders), None, "the second sends nothing");
    clean(&world);
    refused.unwrap_err()
}

#[test]
fn a_driver_with_a_copied_journal_gives_way_to_the_one_that_renews_the_lock() {
    let refused = with_a_copy_while_the_first_lives(At::Packages);
    assert!(matches!(&refused, DriveError::OtherDriver(who) if who == "driver 1"), "{refused}");
}

#[test]
fn a_driver_with_an_older_copy_is_refused_with_both_heads_while_the_first_lives() {
    let refused = with_a_copy_while_the_first_lives(At::FirstMove);
    let DriveError::OlderJournal(older) = &refused else { panic!("{refused}") };
    assert!(older.lock.head.seq > older.ours.seq, "{older}");
    assert!(refused.to_string().contains(&older.lock.head.to_string()), "{refused}");
    assert!(refused.to_string().contains(&older.ours.to_string()), "{refused}");
}

/// The first driver is killed; another one comes with a copy of its journal.
fn with_a_copy_when_the_first_is_gone(copied: At, dies: At) -> (Result<Ended, DriveError>, Option<u64>, SharedWorld) {
    let (file, other, world, orders) = (JournalFile::new(), JournalFile::new(), world(), Orders::default());
    let (one, two) = (SimPorts::new(world.clone()), SimPorts::new(world.clone()));
    let journal = open(&file.0);
    let mut stage = Stage::new(1, &one, &orders);
    stage.copies = Some((copied, file.0.clone(), other.0.clone()));
    stage.dies = Some(dies);
    block_on(async {
        let mut first = begun(&one, &journal, &mut stage).await;
        assert!(unless_it_dies(&one, first.drive()).await.is_none(), "it was killed");
    });
    drop(journal);
    let journal = open(&other.0);
    let ended = block_on(second(&two, &journal, &mut Stage::new(2, &two, &orders)));
    let after_s = handed_over_after_s(&orders);
    (ended, after_s, world)
}

#[test]
fn with_a_copy_the_lock_of_a_dead_driver_is_waited_for_and_then_taken() {
    let (ended, after_s, world) = with_a_copy_when_the_first_is_gone(At::FirstMove, At::FirstMove);
    assert_eq!(ended.unwrap(), Ended::Over(RunOutcome::Completed));
    assert!(after_s.is_some_and(|after_s| after_s >= 100), "{after_s:?}");
    assert_eq!(clean(&world).nodes_upgraded, 3);
}

#[test]
fn an_older_copy_is_refused_also_when_nobody_drives_any_more() {
    let (ended, after_s, world) = with_a_copy_when_the_first_is_gone(At::FirstMove, At::Packages);
    let Err(DriveError::OlderJournal(older)) = ended else { panic!("{ended:?}") };
    assert!(older.lock.head.seq > older.ours.seq && !older.lock.released, "{older}");
    assert_eq!(after_s, None);
    // What it would have forgotten is found in the cluster.
    let sim = SimPorts::new(world.clone());
    let seen = block_on(look_before_a_run(&sim.ports(), nodes(&sim)));
    let items: Vec<String> = found_set(&seen).0.into_iter().map(|found| found.item).collect();
    assert!(
        items.iter().any(|item| item == "noout:pve2") && items.iter().any(|item| item == "maintenance:pve2"),
        "{items:?}"
    );
}

#[test]
fn what_a_lost_journal_left_is_undone_from_the_cluster() {
    let (ended, _, world) = with_a_copy_when_the_first_is_gone(At::FirstMove, At::Packages);
    assert!(ended.is_err());
    let until_ms = world.lock().unwrap().now_ms + 600_000;
    world.lock().unwrap().advance_to(until_ms);
    let (file, sim) = (JournalFile::new(), SimPorts::new(world.clone()));
    let journal = open(&file.0);
    let ended = block_on(async {
        let seen = look_before_a_run(&sim.ports(), nodes(&sim)).await;
        let steps = found_set(&seen).0.into_iter().map(|found| found.undo).collect();
        let run = (RunId::new("again"), "demo".to_owned(), policy());
        let mut silent = Silent;
        let mut driver = Driver::begin_undoing(sim.ports(), &journal, &holder(3), run, steps, &mut silent)?;
        driver = driver.known_nodes(nodes(&sim)).when_paused(WhenPaused::Leave);
        driver.drive().await
    });
    assert_eq!(ended.unwrap(), Ended::Over(RunOutcome::Recovered));
    let seen = block_on(look_before_a_run(&sim.ports(), nodes(&sim)));
    assert_eq!(found_set(&seen), (Vec::new(), Vec::new()));
}

#[test]
fn when_the_run_has_ended_a_copy_of_its_journal_is_an_older_one() {
    let (file, other, world, orders) = (JournalFile::new(), JournalFile::new(), world(), Orders::default());
    let (one, two) = (SimPorts::new(world.clone()), SimPorts::new(world.clone()));
    let journal = open(&file.0);
    let mut stage = Stage::new(1, &one, &orders);
    stage.copies = Some((At::Packages, file.0.clone(), other.0.clone()));
    let ended = block_on(async { begun(&one, &journal, &mut stage).await.drive().await });
    assert_eq!(ended.unwrap(), Ended::Over(RunOutcome::Completed));
    let journal = open(&other.0);
    let refused = block_on(second(&two, &journal, &mut Stage::new(2, &two, &orders)));
    let Err(DriveError::OlderJournal(older)) = refused else { panic!("{refused:?}") };
    assert!(older.lock.released && older.lock.ended, "{older:?}");
    assert_eq!(handed_over_after_s(&orders), None);
    clean(&world);
}

#[test]
fn a_run_with_a_journal_of_its_own_gives_way_to_a_driver_that_lives() {
    let (file, other, world, orders) = (JournalFile::new(), JournalFile::new(), world(), Orders::default());
    let (one, two) = (SimPorts::new(world.clone()), SimPorts::new(world.clone()));
    let (journal, fresh) = (open(&file.0), open(&other.0));
    let mut stage = Stage::new(1, &one, &orders);
    stage.copies = Some((At::Packages, file.0.clone(), PathBuf::from(format!("{}-copy", other.0.display()))));
    let happened = stage.happened.clone();
    let (first, refused) = block_on(async {
        let mut first = begun(&one, &journal, &mut stage).await;
        let comes = async {
            until(&happened).await;
            let run = SimulatedRun { policy: policy(), ..SimulatedRun::default() };
            run.begin_within(&two, &fresh).await
        };
        tokio::join!(first.drive(), comes)
    });
    assert_eq!(first.unwrap(), Ended::Over(RunOutcome::Completed));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("driver 1 is already upgrading this cluster"), "{refused}");
    let events = fresh.events(&fresh.latest_run().unwrap().unwrap()).unwrap();
    let did = |event: &Event| matches!(event, Event::ListsRefreshBegun { .. } | Event::StepStarted { .. });
    assert!(!events.iter().any(|entry| did(&entry.event)), "it did nothing, not even refresh package lists");
    clean(&world);
}

/// A journal on shared storage, and a driver on another machine that freezes there: it keeps what it had in memory.
fn frozen_with_a_shared_journal(at: At) {
    let (file, world, orders) = (JournalFile::new(), world(), Orders::default());
    let (one, two) = (SimPorts::new(world.clone()), SimPorts::new(world.clone()));
    let journal = open(&file.0);
    let mut stage = Stage::new(1, &one, &orders);
    stage.freezes = Some(at);
    let happened = stage.happened.clone();
    block_on(async {
        let mut first = Box::pin(async { begun(&one, &journal, &mut stage).await.drive().await });
        std::future::poll_fn(|context| match first.as_mut().poll(context) {
            Poll::Ready(ended) => panic!("{ended:?}"),
            Poll::Pending if happened.load(Ordering::Relaxed) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
        let before = orders.lock().unwrap().len();
        // The other machine does not see this one's lock on the file.
        #[allow(clippy::disallowed_methods, reason = "a test plays the other machine")]
        std::fs::remove_file(format!("{}.lock", file.0.display())).unwrap();
        let same = open(&file.0);
        let far = Holder { machine: "another".to_owned(), ..holder(2) };
        let run = same.latest_run().unwrap().unwrap();
        let now = journal.last_lease().unwrap().unwrap().renewed;
        let early = same.acquire_lease(&far, &run, now.plus_s(119), 120);
        assert!(matches!(early, Err(JournalError::Held { .. })), "{early:?}");
        assert_eq!(same.acquire_lease(&far, &run, now.plus_s(121), 120).unwrap(), None);
        let ended = second(&two, &same, &mut Stage::new(2, &two, &orders)).await;
        assert_eq!(ended.unwrap(), Ended::Over(RunOutcome::Completed));
        let calls = orders.lock().unwrap().len();
        assert!(handed_over_after_s(&orders).is_some_and(|after_s| after_s >= 100) && calls > before);

        let (events, lock) = (same.head().unwrap(), world.lock().unwrap().files.get(LOCK_FILE).cloned());
        let woken = first.await;
        let lost = |error: &DriveError| matches!(error, DriveError::Journal(JournalError::LeaseLost { .. }));
        assert!(woken.as_ref().is_err_and(lost), "{woken:?}");
        assert_eq!(
            (same.head().unwrap(), orders.lock().unwrap().len()),
            (events, calls),
            "it writes and sends nothing"
        );
        assert_eq!(world.lock().unwrap().files.get(LOCK_FILE).cloned(), lock, "not even the lock");
    });
    assert_eq!(clean(&world).nodes_upgraded, 3);
}

const LOCK_FILE: &str = "/etc/pve/priv/quorate-driver.json";

#[test]
fn a_driver_that_froze_before_it_sent_an_order_sends_nothing_when_it_wakes() {
    frozen_with_a_shared_journal(At::FirstMove);
}

#[test]
fn a_driver_that_froze_while_it_waited_writes_nothing_when_it_wakes() {
    frozen_with_a_shared_journal(At::Packages);
}
