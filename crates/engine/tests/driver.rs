//! What an action leads to: what is written, sent and read, and in which order. The decisions have tests of their own.

#![allow(clippy::disallowed_methods, reason = "the journal that two open needs a place")]

mod fake;

use std::future::Future;

use fake::{Cluster, Fake, Listens};
use quorate_core::ids::{DriverId, NodeName, RunId, StepId, UnixMs};
use quorate_core::plan::{Bound, Costs, NodeStep, NodeWhy, Plan, PlannedStep, Reason, StepWhy};
use quorate_core::policy::Policy;
use quorate_core::recovery::words_for;
use quorate_core::run::{Event, Pause, Request, RunKind, RunOutcome, StepOutcome};
use quorate_core::snapshot::{DriverLock, JournalHead};
use quorate_core::steps::{Rebalance, Step, set, undo};
use quorate_engine::{Beginning, DriveError, Driver, Ended, Lowered, WhenPaused};
use quorate_journal::{Holder, Journal, JournalError, Mode};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn holder() -> Holder {
    Holder::this_process("the test", DriverId::drawn(1))
}

fn run() -> RunId {
    RunId::new("r1")
}

/// Rebalancing is switched off, and on again: outside any node step of a node.
fn plan() -> Plan {
    let steps: [(&str, Step); 2] =
        [("cluster.hold-rebalance", set(Rebalance {})), ("cluster.restore-rebalance", undo(Rebalance {}))];
    let steps = steps.into_iter().zip(0..).map(|((id, step), stage)| PlannedStep {
        id: StepId::new(id),
        stage,
        step,
        why: StepWhy::Undo,
        estimate_s: 1,
        down_s: 0,
    });
    let node_step = NodeStep { node: None, why: NodeWhy::Cluster, steps: steps.collect() };
    Plan::new(None, UnixMs(0), vec![node_step], Costs::default(), Vec::new(), Bound::default())
}

/// A journal in which the run has switched rebalancing off and no process works on it; the cluster agrees.
fn half_way(fake: &Fake) -> Journal {
    half_way_in(fake, Journal::in_memory().unwrap())
}

fn half_way_in(fake: &Fake, journal: Journal) -> Journal {
    let hold = set(Rebalance {});
    let id = StepId::new("cluster.hold-rebalance");
    let (kind, policy) = (RunKind::Upgrade, Policy::default());
    let events = [
        Event::RunStarted { run: run(), kind, cluster: "fake".into(), policy, version: "0".into() },
        Event::PlanAdopted { plan: plan(), why: "first plan".into() },
        Event::StepStarted {
            id: id.clone(),
            step: hold.clone(),
            attempt: 1,
            command: None,
            undo: hold.undone_later_by(),
        },
        Event::StepEnded { id, step: hold, outcome: StepOutcome::Done },
    ];
    journal.acquire_lease(&holder(), &run(), UnixMs(0), 1).unwrap();
    for event in &events {
        journal.append(&run(), fake.cluster().now, event).unwrap();
    }
    journal.release_lease().unwrap();
    fake.cluster().rebalances = false;
    journal
}

/// Continues the run, records this, and drives until it ends or pauses.
fn drive(fake: &Fake, journal: &Journal, says: Option<Request>) -> (Result<Ended, DriveError>, Vec<Event>) {
    drive_while(fake, journal, says, |_| {})
}

fn drive_while(
    fake: &Fake,
    journal: &Journal,
    says: Option<Request>,
    meanwhile: fn(&mut Cluster),
) -> (Result<Ended, DriveError>, Vec<Event>) {
    let mut watcher = Listens::new(fake, journal);
    watcher.meanwhile = meanwhile;
    let mut driver = Driver::take_up(fake.ports(), journal, &holder(), run(), &mut watcher)
        .unwrap()
        .known_nodes(Fake::nodes())
        .when_paused(WhenPaused::Leave);
    if let Some(request) = says {
        driver.say(request, "anna").unwrap();
    }
    let ended = block_on(driver.drive());
    drop(driver);
    (ended, watcher.events)
}

#[test]
fn a_step_is_written_before_its_command_is_sent_and_the_answer_after() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    let (ended, _) = drive(&fake, &journal, Some(Request::Abort));
    assert_eq!(ended.unwrap(), Ended::Over(RunOutcome::Aborted));
    assert_eq!(fake.sent(), ["sent pvesh set /cluster/options --crs ha-auto-rebalance=1"]);
    let order = [
        "event driver-took-over",
        "event abort-begun",
        "lock taken",
        "event step-started",
        "sent pvesh",
        "event command-answered",
        "event step-ended",
        "event run-ended",
        "lock released",
    ];
    assert!(order.map(|line| fake.at(line)).is_sorted(), "{:#?}", fake.cluster().log);
    assert!(fake.cluster().rebalances);
    assert_eq!(journal.driver(UnixMs(0)).unwrap(), None, "the lease is released");
}

/// Continues the run and aborts it, telling readers or not.
fn aborted(fake: &Fake, journal: &Journal, tells: bool) -> Result<Ended, DriveError> {
    let mut watcher = Listens::new(fake, journal);
    let driver = Driver::take_up(fake.ports(), journal, &holder(), run(), &mut watcher).unwrap();
    let driver = driver.known_nodes(Fake::nodes()).when_paused(WhenPaused::Leave);
    let mut driver = if tells { driver.telling() } else { driver };
    driver.say(Request::Abort, "anna").unwrap();
    block_on(driver.drive())
}

#[test]
fn readers_are_told_how_far_the_run_is_by_a_driver_that_was_asked_to_and_by_no_other() {
    for tells in [true, false] {
        let fake = Fake::new();
        let journal = half_way(&fake);
        assert_eq!(aborted(&fake, &journal, tells).unwrap(), Ended::Over(RunOutcome::Aborted));
        assert_eq!(journal.progress(&run()).unwrap().is_some(), tells);
    }
}

#[test]
fn what_cannot_be_told_to_readers_stops_nothing() {
    let fake = Fake::new();
    let dir = std::env::temp_dir().join(format!("quorate-untold-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("run.db");
    let journal = half_way_in(&fake, Journal::open(&path, Mode::Drive).unwrap());
    let breaks = rusqlite::Connection::open(&path).unwrap();
    breaks.execute_batch("DROP TABLE progress; CREATE TABLE progress (another INTEGER)").unwrap();
    assert_eq!(aborted(&fake, &journal, true).unwrap(), Ended::Over(RunOutcome::Aborted));
    std::fs::remove_dir_all(&dir).unwrap();
}

/// It sleeps exactly between the journal and the send: what it was about to do was decided upon an old look.
#[test]
fn a_driver_that_stood_still_before_it_sent_sends_nothing_and_looks_again() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    let mut watcher = Listens::new(&fake, &journal);
    let mut sleeps_s = 1000;
    watcher.frozen = Box::new(move |cluster| cluster.now = cluster.now.plus_s(std::mem::take(&mut sleeps_s)));
    let mut driver = Driver::take_up(fake.ports(), &journal, &holder(), run(), &mut watcher)
        .unwrap()
        .known_nodes(Fake::nodes())
        .when_paused(WhenPaused::Leave);
    driver.say(Request::Abort, "anna").unwrap();
    assert_eq!(block_on(driver.drive()).unwrap(), Ended::Over(RunOutcome::Aborted));
    drop(driver);
    let order = ["event step-started", "event command-not-done", "sent pvesh", "event command-answered"];
    assert!(order.map(|line| fake.at(line)).is_sorted(), "{:#?}", fake.cluster().log);
    assert_eq!(fake.sent().len(), 1);
}

/// Another driver took the journal over while this one stood still, and knows nothing of an order that is sent now.
#[test]
fn a_driver_that_lost_its_lease_before_it_sent_sends_nothing() {
    let fake = Fake::new();
    let dir = std::env::temp_dir().join(format!("quorate-lost-lease-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let open = || Journal::open(&dir.join("quorate.db"), Mode::Drive).unwrap();
    let (journal, same) = (half_way_in(&fake, open()), open());
    let mut watcher = Listens::new(&fake, &journal);
    let lock = dir.join("quorate.db.lock");
    watcher.frozen = Box::new(move |_| {
        let _ = std::fs::remove_file(&lock);
        let other = Holder { machine: "elsewhere".to_owned(), ..Holder::this_process("another", DriverId::drawn(2)) };
        same.acquire_lease(&other, &run(), UnixMs(u64::MAX / 2), 1).unwrap();
    });
    let mut driver = Driver::take_up(fake.ports(), &journal, &holder(), run(), &mut watcher)
        .unwrap()
        .known_nodes(Fake::nodes())
        .when_paused(WhenPaused::Leave);
    driver.say(Request::Abort, "anna").unwrap();
    let ended = block_on(driver.drive());
    assert!(matches!(ended, Err(DriveError::Journal(JournalError::LeaseLost { .. }))), "{ended:?}");
    drop(driver);
    drop(watcher);
    assert!(fake.sent().is_empty(), "{:#?}", fake.cluster().log);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn while_one_driver_holds_the_lease_no_other_continues_the_run() {
    let fake = Fake::new();
    // Only a journal in a file can be opened by two.
    let dir = std::env::temp_dir().join(format!("quorate-driver-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let open = || Journal::open(&dir.join("quorate.db"), Mode::Drive).unwrap();
    let (journal, same) = (half_way_in(&fake, open()), open());
    let (mut one, mut other) = (Listens::new(&fake, &journal), Listens::new(&fake, &same));
    let first = Driver::take_up(fake.ports(), &journal, &holder(), run(), &mut one).unwrap();
    let next = Holder::this_process("another", DriverId::drawn(2));
    let second = Driver::take_up(fake.ports(), &same, &next, run(), &mut other);
    assert!(matches!(second, Err(DriveError::Journal(JournalError::Held { .. }))), "{:?}", second.err());
    drop((first, second));
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The lock of a driver with another journal, which was renewed now.
fn bens(cluster: &Cluster) -> DriverLock {
    let (run, holder, id, journal) = ("r9".to_owned(), "ben@laptop".to_owned(), DriverId::drawn(9), "b0".to_owned());
    let head = JournalHead { seq: 3, hash: "b3".to_owned() };
    DriverLock { run, holder, id, head, journal, renewed: cluster.now, released: false, ended: false }
}

fn is_taken_by(cluster: &mut Cluster, lock: &DriverLock) {
    (cluster.lock, cluster.file) = (true, Some(serde_json::to_string(lock).unwrap()));
}

fn ben_renews(cluster: &mut Cluster) {
    is_taken_by(cluster, &bens(cluster));
}

#[test]
fn a_driver_that_finds_the_lock_of_another_which_renews_it_changes_nothing() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    ben_renews(&mut fake.cluster());
    let (ended, events) = drive_while(&fake, &journal, Some(Request::Abort), ben_renews);
    assert!(matches!(&ended, Err(DriveError::OtherDriver(who)) if who == "ben@laptop"), "{ended:?}");
    assert!(fake.sent().is_empty() && !events.iter().any(|event| event.kind() == "step-started"), "{events:?}");
    let cluster = fake.cluster();
    assert!(cluster.lock && cluster.names().id == DriverId::drawn(9), "the other one's lock is left alone");
}

#[test]
fn another_driver_of_the_same_run_and_journal_is_another_driver() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    let lock = DriverLock {
        run: run().to_string(),
        head: journal.head().unwrap(),
        journal: journal.origin().unwrap().unwrap(),
        ..bens(&fake.cluster())
    };
    is_taken_by(&mut fake.cluster(), &lock);
    let begun = fake.cluster().now;
    let (ended, _) = drive(&fake, &journal, Some(Request::Abort));
    assert!(matches!(ended.unwrap(), Ended::Paused(Pause::NoLock { .. })), "it is not released here, whoever waits");
    assert!(fake.sent().is_empty() && fake.cluster().now.since_s(begun) >= 600);
}

#[test]
fn an_older_journal_is_refused_at_once_with_both_heads() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    let newer = JournalHead { seq: 9, hash: "abcdefabcdef0000".to_owned() };
    let lock = DriverLock {
        run: run().to_string(),
        head: newer.clone(),
        journal: journal.origin().unwrap().unwrap(),
        released: true,
        ..bens(&fake.cluster())
    };
    is_taken_by(&mut fake.cluster(), &lock);
    let (ended, _) = drive(&fake, &journal, Some(Request::Abort));
    let Err(DriveError::OlderJournal(older)) = ended else { panic!("{ended:?}") };
    assert_eq!((older.lock.head.clone(), older.ours.seq), (newer, journal.head().unwrap().seq));
    assert!(older.to_string().contains("event 9 (abcdefabcdef)"), "{older}");
    assert!(fake.sent().is_empty());
}

#[test]
fn the_lock_is_renewed_while_a_call_takes_200_s_and_keeps_the_last_event_when_it_is_released() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    fake.cluster().slow_s = 200;
    let mut renewals = Vec::new();
    let mut watcher = Listens::new(&fake, &journal);
    let mut driver = Driver::take_up(fake.ports(), &journal, &holder(), run(), &mut watcher).unwrap();
    driver = driver.known_nodes(Fake::nodes()).when_paused(WhenPaused::Leave);
    driver.say(Request::Abort, "anna").unwrap();
    let ended = {
        let mut drive = std::pin::pin!(driver.drive());
        block_on(std::future::poll_fn(|context| {
            let polled = drive.as_mut().poll(context);
            if let Some(text) = &fake.cluster().file {
                renewals.push(serde_json::from_str::<DriverLock>(text).unwrap().renewed);
            }
            polled
        }))
    };
    assert_eq!(ended.unwrap(), Ended::Over(RunOutcome::Aborted));
    let gap = renewals.windows(2).map(|pair| pair[1].since_s(pair[0])).max();
    assert!(fake.cluster().slow_s == 0 && gap.is_some_and(|gap| gap <= 60), "{gap:?}");
    let (cluster, head) = (fake.cluster(), journal.head().unwrap());
    let last = cluster.names();
    assert!(last.released && last.ended && !cluster.lock && last.head == head, "{last:?}, {head}");
}

#[test]
fn the_last_event_is_in_the_lock_before_a_command_is_sent_and_a_driver_that_lost_it_sends_nothing() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    let mut watcher = Listens::new(&fake, &journal);
    // Frozen there for five minutes, in which somebody else took the lock.
    watcher.frozen = Box::new(|cluster| {
        cluster.now = cluster.now.plus_s(300);
        ben_renews(cluster);
    });
    watcher.meanwhile = ben_renews;
    let mut driver = Driver::take_up(fake.ports(), &journal, &holder(), run(), &mut watcher)
        .unwrap()
        .known_nodes(Fake::nodes())
        .when_paused(WhenPaused::Leave);
    driver.say(Request::Abort, "anna").unwrap();
    let ended = block_on(driver.drive());
    drop(driver);
    assert!(fake.sent().is_empty(), "{:#?}", fake.cluster().log);
    assert!(matches!(&ended, Err(DriveError::OtherDriver(who)) if who == "ben@laptop"), "{ended:?}");
    let told = |event: &Event| matches!(event, Event::CommandNotDone { why, .. } if why.contains("not sent"));
    assert!(watcher.events.iter().any(told), "{:?}", watcher.events);
    assert_eq!(fake.cluster().names().id, DriverId::drawn(9));
}

#[test]
fn a_lock_that_is_lost_for_ten_minutes_pauses_the_run() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    fake.cluster().writable = false;
    let begun = fake.cluster().now;
    let (ended, _) = drive(&fake, &journal, Some(Request::Abort));
    let Ended::Paused(Pause::NoLock { why }) = ended.unwrap() else { panic!("{:#?}", fake.cluster().log) };
    assert!(why.contains("Permission denied"), "{why}");
    assert_eq!(fake.cluster().now.since_s(begun), 600);
    assert!(fake.sent().is_empty());
}

#[test]
fn a_request_is_handled_before_anything_else_and_only_once() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    journal.post_request(&run(), UnixMs(0), "ben", &Request::Pause).unwrap();
    let (ended, events) = drive(&fake, &journal, None);
    assert_eq!(ended.unwrap(), Ended::Paused(Pause::Operator { by: "ben".to_owned() }));
    let paused = events.iter().filter(|event| matches!(event, Event::Paused { .. })).count();
    assert_eq!((paused, journal.pending_requests(&run()).unwrap().len()), (1, 0));
    assert!(fake.sent().is_empty());
}

#[test]
fn a_pause_is_kept_by_the_driver_that_comes_next() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    drive(&fake, &journal, Some(Request::Pause)).0.unwrap();
    let (ended, events) = drive(&fake, &journal, None);
    assert_eq!(ended.unwrap(), Ended::Paused(Pause::Operator { by: "anna".to_owned() }));
    assert_eq!(events.iter().map(Event::kind).collect::<Vec<_>>(), ["driver-took-over"]);
    assert!(fake.sent().is_empty());
}

#[test]
fn where_nothing_can_be_read_the_run_looks_for_a_quarter_of_an_hour_and_pauses_without_a_plan() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    let begun = fake.cluster().now;
    let (ended, _) = drive(&fake, &journal, None);
    let Ended::Paused(Pause::NoPlan { no_plan, by_abort: None, .. }) = ended.unwrap() else { panic!("it has a plan") };
    assert!(no_plan.reasons.iter().any(|reason| matches!(reason, Reason::Unknown(_))), "{no_plan:?}");
    assert!((900..=910).contains(&fake.cluster().now.since_s(begun)));
    assert!(fake.sent().is_empty());
}

#[test]
fn a_run_starts_with_its_kind_the_agreement_and_the_plan() {
    let (fake, journal) = (Fake::new(), Journal::in_memory().unwrap());
    let mut watcher = Listens::new(&fake, &journal);
    let beginning = Beginning { run: run(), cluster: "fake".into(), policy: Policy::default(), plan: plan() };
    drop(Driver::begin(fake.ports(), &journal, &holder(), beginning, &mut watcher).unwrap());
    let kinds: Vec<&str> = watcher.events.iter().map(Event::kind).collect();
    assert_eq!(kinds, ["run-started", "driver-took-over", "downtime-agreed", "plan-adopted"]);
    assert!(matches!(&watcher.events[0], Event::RunStarted { kind: RunKind::Upgrade, .. }));
}

/// Two of three nodes are off, and a recovery begins.
fn recovery<'a>(fake: &Fake, journal: &'a Journal, watcher: &'a mut Listens<'a>) -> Driver<'a> {
    fake.cluster().off = ["pve2", "pve3"].map(str::to_owned).into();
    let policy = Policy::default();
    let driver = Driver::begin_recovery(fake.ports(), journal, &holder(), run(), policy, watcher).unwrap();
    driver.known_nodes(Fake::nodes()).when_paused(WhenPaused::Leave)
}

#[test]
fn a_recovery_lowers_the_votes_undoes_that_when_nodes_are_back_and_ends() {
    let (fake, journal) = (Fake::new(), Journal::in_memory().unwrap());
    let mut watcher = Listens::new(&fake, &journal);
    let mut driver = recovery(&fake, &journal, &mut watcher);
    let words = ["pve2", "pve3"].map(|node| words_for(&NodeName::from(node))).to_vec();
    assert_eq!(block_on(driver.lower_votes(words, "anna".to_owned())).unwrap(), Lowered::Yes);
    assert_eq!(driver.state().open_changes.len(), 1, "it is to be undone");
    assert_eq!(fake.sent(), ["sent pvecm expected 1"]);
    fake.cluster().off.clear();
    assert_eq!(block_on(driver.drive()).unwrap(), Ended::Over(RunOutcome::Recovered));
    assert_eq!((fake.cluster().expected, driver.state().open_changes.len()), (3, 0));
    drop(driver);
    let order =
        ["event run-started", "event confirmed-off", "event step-started", "sent pvecm expected 1", "event step-ended"];
    assert!(order.map(|line| fake.at(line)).is_sorted(), "{:#?}", fake.cluster().log);
    let events: Vec<Event> = journal.events(&run()).unwrap().into_iter().map(|entry| entry.event).collect();
    assert!(matches!(&events[0], Event::RunStarted { kind: RunKind::Recovery, .. }));
    assert!(!events.iter().any(|event| matches!(event, Event::AbortBegun { .. } | Event::PlanAdopted { .. })));
}

#[test]
fn votes_are_not_lowered_for_nodes_that_no_one_confirmed_off() {
    let (fake, journal) = (Fake::new(), Journal::in_memory().unwrap());
    let mut watcher = Listens::new(&fake, &journal);
    let mut driver = recovery(&fake, &journal, &mut watcher);
    let words = vec![words_for(&NodeName::from("pve2"))];
    let lowered = block_on(driver.lower_votes(words, "anna".to_owned())).unwrap();
    let Lowered::Not(why) = lowered else { panic!("{lowered:?}") };
    assert!(why.iter().any(|line| line.contains("nobody has confirmed that pve3 is off")), "{why:?}");
    assert!(fake.sent().is_empty() && driver.state().steps.is_empty());
}

#[test]
fn without_quorum_a_run_pauses_and_continues_by_itself_when_it_is_back() {
    let fake = Fake::new();
    let journal = half_way(&fake);
    fake.cluster().off = ["pve2", "pve3"].map(str::to_owned).into();
    let (ended, events) = drive(&fake, &journal, None);
    assert!(matches!(ended.unwrap(), Ended::Paused(Pause::LostQuorum { .. })), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Resumed { .. })), "{events:?}");
    let (_, events) = drive_while(&fake, &journal, None, |cluster| cluster.off.clear());
    let by_itself = |event: &Event| matches!(event, Event::Resumed { by } if by.contains("quorum is back"));
    assert!(events.iter().any(by_itself), "{events:?}");
    assert!(fake.sent().is_empty());
}
