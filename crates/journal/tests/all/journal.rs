//! The journal as a driver and other processes use it, over real files.

#![allow(clippy::disallowed_methods, reason = "these tests damage files and kill a process")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use quorate_core::ids::{DriverId, RunId, UnixMs};
use quorate_core::policy::{ConsentKind, Policy};
use quorate_core::run::{Event, Request, RunKind, RunOutcome};
use quorate_journal::{Holder, Journal, JournalError, Mode};
use rusqlite::Connection;

/// A directory of its own for each test, removed at the end.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quorate-journal-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("run.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run() -> RunId {
    RunId::new("r1")
}

fn resumed(by: &str) -> Event {
    Event::Resumed { by: by.to_owned() }
}

fn started() -> Event {
    let policy = Policy::default();
    Event::RunStarted {
        run: run(),
        kind: RunKind::Upgrade,
        cluster: "lab".to_owned(),
        policy,
        version: "0.1.0".to_owned(),
    }
}

pub(crate) fn three_events(path: &Path) -> Journal {
    let journal = Journal::open(path, Mode::Drive).unwrap();
    for (n, event) in
        [started(), resumed("anna"), Event::RunEnded { outcome: RunOutcome::Completed }].iter().enumerate()
    {
        let seq = journal.append(&run(), UnixMs(1000 + n as u64), event).unwrap();
        assert_eq!(seq, n as u64 + 1);
    }
    journal
}

#[test]
fn what_is_appended_is_read_back_in_order_by_another_process() {
    let dir = Dir::new("read-back");
    let journal = three_events(&dir.file());
    let reader = Journal::open(&dir.file(), Mode::Read).unwrap();
    let entries = reader.events(&run()).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].event, started());
    assert_eq!((entries[1].seq, entries[1].at, &entries[1].event), (2, UnixMs(1001), &resumed("anna")));
    assert_eq!(reader.events_after(&run(), 2).unwrap(), entries[2..]);
    assert_eq!(reader.latest_run().unwrap(), Some(run()));
    assert_eq!(reader.verify_chain().unwrap(), 3);

    // The driver keeps writing while the reader is open, and the reader sees it.
    let later = RunId::new("r0");
    journal.append(&later, UnixMs(5000), &resumed("ben")).unwrap();
    assert_eq!(reader.runs().unwrap(), [run(), later.clone()]);
    assert_eq!(reader.latest_run().unwrap(), Some(later));
}

#[test]
fn the_file_can_be_read_by_its_owner_only() {
    let dir = Dir::new("private");
    let _journal = three_events(&dir.file());
    for file in std::fs::read_dir(&dir.0).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}

#[test]
fn an_event_can_be_neither_changed_nor_removed() {
    let dir = Dir::new("refused");
    drop(three_events(&dir.file()));
    let raw = Connection::open(dir.file()).unwrap();
    let changed = raw.execute("UPDATE event SET at = 0", []).unwrap_err();
    assert!(changed.to_string().contains("never changed"), "{changed}");
    let removed = raw.execute("DELETE FROM event WHERE seq = 3", []).unwrap_err();
    assert!(removed.to_string().contains("never removed"), "{removed}");
}

#[test]
fn a_row_that_was_changed_behind_the_triggers_breaks_the_chain_at_that_row() {
    let tamperings = [
        ("UPDATE event SET body = replace(body, 'anna', 'otto') WHERE seq = 2", 2, "does not match its hash"),
        ("DELETE FROM event WHERE seq = 2", 3, "event 2 is missing"),
        ("UPDATE event SET prev_hash = hash WHERE seq = 3", 3, "does not follow"),
    ];
    for (statement, at, expected) in tamperings {
        let dir = Dir::new(&format!("tampered-{at}-{}", expected.len()));
        drop(three_events(&dir.file()));
        let raw = Connection::open(dir.file()).unwrap();
        raw.execute_batch("DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_removed").unwrap();
        assert_eq!(raw.execute(statement, []).unwrap(), 1);
        drop(raw);
        match Journal::open(&dir.file(), Mode::Read).unwrap().verify_chain() {
            Err(JournalError::ChainBroken { seq, why, .. }) => {
                assert_eq!(seq, at);
                assert!(why.contains(expected), "{why}");
            }
            other => panic!("{statement}: {other:?}"),
        }
    }
}

#[test]
fn rows_that_were_cut_off_at_the_end_are_noticed_before_anything_is_appended() {
    let dir = Dir::new("cut");
    drop(three_events(&dir.file()));
    let raw = Connection::open(dir.file()).unwrap();
    raw.execute_batch("DROP TRIGGER event_is_never_removed; DELETE FROM event WHERE seq > 1").unwrap();
    drop(raw);
    let journal = Journal::open(&dir.file(), Mode::Drive).unwrap();
    let refused = journal.acquire_lease(&here("anna", 1), &run(), UnixMs(0), 30).unwrap_err();
    for error in [refused, journal.verify_chain().unwrap_err()] {
        assert!(matches!(&error, JournalError::ChainBroken { seq: 1, .. }), "{error}");
        assert!(error.to_string().contains("event 3 (") && error.to_string().contains("event 1 ("), "{error}");
    }
}

#[test]
fn a_journal_has_the_events_that_came_before_and_knows_the_journal_it_is_a_copy_of() {
    let dir = Dir::new("heads");
    let journal = three_events(&dir.file());
    let old = journal.head().unwrap();
    journal.append(&run(), UnixMs(9), &resumed("anna")).unwrap();
    let new = journal.head().unwrap();
    assert!(journal.has(&old).unwrap() && journal.has(&new).unwrap());
    let other = Journal::in_memory().unwrap();
    assert_eq!((other.head().unwrap().seq, other.origin().unwrap()), (0, None));
    for _ in 0..4 {
        other.append(&run(), UnixMs(7), &resumed("ben")).unwrap();
    }
    assert!(!other.has(&new).unwrap(), "an event of that number, and another one");
    assert_ne!(other.origin().unwrap(), journal.origin().unwrap());
}

#[test]
fn a_request_is_pending_until_it_was_handled_and_only_for_its_run() {
    let dir = Dir::new("requests");
    let driver = three_events(&dir.file());
    let other = Journal::open(&dir.file(), Mode::Ask).unwrap();
    let approve = Request::Approve { kinds: BTreeSet::from([ConsentKind::RestartContainers]) };
    other.post_request(&run(), UnixMs(1), "anna", &Request::Pause).unwrap();
    other.post_request(&run(), UnixMs(2), "ben", &approve).unwrap();
    assert_eq!(driver.pending_requests(&RunId::new("r2")).unwrap(), []);
    let pending = driver.pending_requests(&run()).unwrap();
    let words: Vec<_> = pending.iter().map(|posted| (&posted.request, posted.by.as_str())).collect();
    assert_eq!(words, [(&Request::Pause, "anna"), (&approve, "ben")]);
    assert_eq!(driver.pending_requests(&run()).unwrap(), pending, "a driver that died has not handled them");
    driver.request_heard(pending[0].seq, UnixMs(3)).unwrap();
    assert_eq!(driver.pending_requests(&run()).unwrap(), pending[1..]);
    driver.request_heard(pending[1].seq, UnixMs(4)).unwrap();
    assert_eq!(driver.pending_requests(&run()).unwrap(), []);
}

/// A driver on this machine.
fn here(text: &str, id: u64) -> Holder {
    Holder::this_process(text, DriverId::drawn(id))
}

/// A driver on another machine: nothing here shows whether it is alive, and it does not see this machine's lock.
fn far_away(text: &str, dir: &Dir) -> Holder {
    let _ = std::fs::remove_file(dir.0.join("run.db.lock"));
    Holder { machine: format!("{text}-laptop"), ..Holder::this_process(text, text.into()) }
}

#[test]
fn a_second_driver_is_refused_until_the_firsts_lease_expires_and_the_first_cannot_append_after_that() {
    let dir = Dir::new("lease");
    let first = three_events(&dir.file());
    let second = Journal::open(&dir.file(), Mode::Drive).unwrap();
    first.acquire_lease(&far_away("anna", &dir), &run(), UnixMs(0), 30).unwrap();
    first.renew_lease(UnixMs(10_000), 30).unwrap();
    match second.acquire_lease(&far_away("ben", &dir), &run(), UnixMs(39_999), 30) {
        Err(JournalError::Held { lease: Some(lease), .. }) => {
            assert_eq!((lease.holder.text.as_str(), lease.renewed), ("anna", UnixMs(10_000)));
        }
        other => panic!("{other:?}"),
    }
    first.append(&run(), UnixMs(1), &resumed("anna")).unwrap();

    assert_eq!(second.driver(UnixMs(39_999)).unwrap().map(|lease| lease.holder.text).as_deref(), Some("anna"));
    assert_eq!(second.driver(UnixMs(40_000)).unwrap(), None);
    second.acquire_lease(&far_away("ben", &dir), &run(), UnixMs(40_000), 30).unwrap();
    let lost = first.append(&run(), UnixMs(1), &resumed("anna")).unwrap_err();
    assert!(matches!(&lost, JournalError::LeaseLost { now, .. } if now.contains("ben")), "{lost}");
    assert!(matches!(first.renew_lease(UnixMs(40_001), 30), Err(JournalError::LeaseLost { .. })));
    first.release_lease().unwrap();
    second.append(&run(), UnixMs(1), &resumed("ben")).unwrap();

    second.release_lease().unwrap();
    assert_eq!(first.driver(UnixMs(0)).unwrap(), None);
}

#[test]
fn on_one_machine_a_second_driver_is_refused_exactly_as_long_as_the_first_exists() {
    let dir = Dir::new("lock");
    let first = three_events(&dir.file());
    let (anna, ben) = (here("anna", 1), here("ben", 2));
    first.acquire_lease(&anna, &run(), UnixMs(0), 30).unwrap();
    let second = Journal::open(&dir.file(), Mode::Drive).unwrap();
    // Its lease has expired, but the process exists: a driver that was suspended and continues is still the driver.
    for now in [1, 29_999, 1_000_000] {
        match second.acquire_lease(&ben, &run(), UnixMs(now), 30) {
            Err(JournalError::Held { lease: Some(lease), .. }) => assert_eq!(lease.holder, anna),
            other => panic!("{other:?}"),
        }
        assert_eq!(second.driver(UnixMs(now)).unwrap().map(|lease| lease.holder), Some(anna.clone()));
    }
    first.append(&run(), UnixMs(1), &resumed("anna")).unwrap();

    // Gone without releasing it, as after kill -9: its lease no longer counts.
    drop(first);
    assert_eq!(second.driver(UnixMs(1)).unwrap(), None);
    second.acquire_lease(&ben, &run(), UnixMs(1), 30).unwrap();

    // Released, but the process still exists.
    second.release_lease().unwrap();
    let third = Journal::open(&dir.file(), Mode::Drive).unwrap();
    assert_eq!(third.driver(UnixMs(1)).unwrap(), None);
    third.acquire_lease(&anna, &run(), UnixMs(1), 30).unwrap();
}

#[test]
fn a_driver_is_surely_gone_only_if_it_had_the_very_lock_that_is_ours_now() {
    let dir = Dir::new("gone");
    let first = three_events(&dir.file());
    assert_eq!(first.acquire_lease(&here("anna", 1), &run(), UnixMs(0), 30).unwrap(), None, "nobody came before");
    drop(first);
    // A container on the same kernel: another host name, and the same lock file.
    let container = Holder { machine: "container".to_owned(), ..here("ben", 2) };
    let second = Journal::open(&dir.file(), Mode::Drive).unwrap();
    assert_eq!(second.driver(UnixMs(1)).unwrap(), None);
    assert_eq!(second.acquire_lease(&container, &run(), UnixMs(1), 30).unwrap(), Some(DriverId::drawn(1)));
    drop(second);

    // A copy of the journal: its lease names a driver that this lock says nothing about.
    let copy = dir.0.join("copy.db");
    for suffix in ["", "-wal"] {
        let _ = std::fs::copy(dir.0.join(format!("run.db{suffix}")), dir.0.join(format!("copy.db{suffix}")));
    }
    let copied = Journal::open(&copy, Mode::Drive).unwrap();
    assert_eq!(copied.driver(UnixMs(2)).unwrap().map(|lease| lease.holder.text).as_deref(), Some("ben"));
    assert!(matches!(copied.acquire_lease(&here("anna", 3), &run(), UnixMs(2), 30), Err(JournalError::Held { .. })));
    assert_eq!(copied.acquire_lease(&here("anna", 3), &run(), UnixMs(30_001), 30).unwrap(), None, "it has expired");
}

#[test]
fn another_handle_renews_the_lease_until_it_is_lost_and_then_says_so() {
    let dir = Dir::new("renewals");
    let first = three_events(&dir.file());
    first.acquire_lease(&far_away("anna", &dir), &run(), UnixMs(0), 30).unwrap();
    let renewals = first.for_renewals().unwrap().expect("it is in a file");
    renewals.renew_lease(UnixMs(200_000), 30).unwrap();
    let lease = first.driver(UnixMs(229_999)).unwrap().expect("after a call of 200 s it is still held");
    assert_eq!((lease.since, lease.renewed), (UnixMs(0), UnixMs(200_000)));
    let second = Journal::open(&dir.file(), Mode::Drive).unwrap();
    second.acquire_lease(&far_away("ben", &dir), &run(), UnixMs(230_000), 30).unwrap();
    assert!(matches!(renewals.renew_lease(UnixMs(230_001), 30), Err(JournalError::LeaseLost { .. })));
    assert!(matches!(first.check_lease(), Err(JournalError::LeaseLost { .. })));
    first.release_lease().unwrap();
    assert!(second.check_lease().is_ok() && Journal::in_memory().unwrap().for_renewals().unwrap().is_none());
}

#[test]
fn a_driver_that_is_stopped_keeps_the_lock_and_is_seen_to_be_stopped() {
    let dir = Dir::new("stopped");
    let journal = three_events(&dir.file());
    let mut child = child("journal::child_that_drives_until_it_is_killed", &dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("drives")));
    let lease = journal.driver(UnixMs(1)).unwrap().unwrap();
    assert!(!lease.is_stopped());
    let send = |signal: &str| Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    send("-STOP");
    // The signal is delivered a moment later.
    assert!((0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        lease.is_stopped()
    }));
    // Its number means another process elsewhere.
    let elsewhere = |change: fn(&mut Holder)| {
        let mut lease = lease.clone();
        change(&mut lease.holder);
        lease.is_stopped()
    };
    assert!(!elsewhere(|holder| holder.machine.push('2')) && !elsewhere(|holder| holder.pid_namespace.push('2')));
    assert!(matches!(journal.acquire_lease(&here("next", 4), &run(), UnixMs(1), 30), Err(JournalError::Held { .. })));
    send("-KILL");
    child.wait().unwrap();
}

#[test]
fn by_another_name_it_is_the_same_journal_with_the_same_lock() {
    let dir = Dir::new("link");
    let first = three_events(&dir.file());
    first.acquire_lease(&here("anna", 1), &run(), UnixMs(0), 30).unwrap();
    std::os::unix::fs::symlink("run.db", dir.0.join("link.db")).unwrap();
    let linked = Journal::open(&dir.0.join("link.db"), Mode::Drive).unwrap();
    let refused = linked.acquire_lease(&here("ben", 2), &run(), UnixMs(1), 30);
    assert!(matches!(refused, Err(JournalError::Held { .. })), "{refused:?}");
}

#[test]
fn a_mere_reader_never_keeps_a_driver_out() {
    let dir = Dir::new("looks");
    let journal = three_events(&dir.file());
    let holder = here("anna", 1);
    // A lease without a lock, as a crash leaves it: each look tries the lock.
    journal.acquire_lease(&holder, &run(), UnixMs(0), 30).unwrap();
    drop(journal);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = || {
            let reader = Journal::open(&dir.file(), Mode::Read).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                reader.driver(UnixMs(1)).unwrap();
            }
        };
        scope.spawn(looks);
        scope.spawn(looks);
        for _ in 0..50 {
            let driver = Journal::open(&dir.file(), Mode::Drive).unwrap();
            let taken = driver.acquire_lease(&holder, &run(), UnixMs(1), 30);
            done.store(taken.is_err(), std::sync::atomic::Ordering::Relaxed);
            taken.unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Not a test: the driver that the next test kills.
#[test]
#[ignore = "started by the test below"]
fn child_that_drives_until_it_is_killed() {
    let path = std::env::var_os(CHILD_FILE).expect("only the test below starts this");
    let journal = Journal::open(Path::new(&path), Mode::Drive).unwrap();
    journal.acquire_lease(&here("child", 3), &run(), UnixMs(0), 3600).unwrap();
    println!("drives");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_driver_in_another_process_is_refused_until_the_first_was_killed_with_kill_9() {
    let dir = Dir::new("killed");
    let journal = three_events(&dir.file());
    let mut child = child("journal::child_that_drives_until_it_is_killed", &dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("drives")));
    let holder = here("next", 4);
    let refused = journal.acquire_lease(&holder, &run(), UnixMs(1), 30).unwrap_err();
    assert!(refused.to_string().starts_with("child drives run r1"), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    journal.acquire_lease(&holder, &run(), UnixMs(2), 30).unwrap();
}

#[test]
fn a_newer_major_format_is_refused_and_a_newer_minor_one_is_read_only() {
    let dir = Dir::new("newer");
    drop(three_events(&dir.file()));
    let set_version = |version: u32| {
        Connection::open(dir.file()).unwrap().pragma_update(None, "user_version", version).unwrap();
    };
    set_version(1003);
    assert_eq!(Journal::open(&dir.file(), Mode::Read).unwrap().events(&run()).unwrap().len(), 3);
    for mode in [Mode::Drive, Mode::Ask] {
        let refused = Journal::open(&dir.file(), mode).unwrap_err();
        assert!(matches!(refused, JournalError::NewerReadOnly { .. }), "{refused}");
        assert!(refused.to_string().contains("1.3") && refused.to_string().contains("1.2"), "{refused}");
    }
    set_version(2000);
    for mode in [Mode::Drive, Mode::Ask, Mode::Read] {
        let refused = Journal::open(&dir.file(), mode).unwrap_err();
        assert!(matches!(refused, JournalError::Newer { .. }), "{refused}");
        assert!(refused.to_string().contains("2.0") && refused.to_string().contains("1.2"), "{refused}");
    }
}

fn make_private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn other_files_are_left_alone() {
    let dir = Dir::new("others");
    assert!(matches!(Journal::open(&dir.file(), Mode::Read), Err(JournalError::Missing { .. })));
    assert!(matches!(Journal::open(&dir.file(), Mode::Ask), Err(JournalError::Missing { .. })));
    assert!(!dir.file().exists());

    std::fs::write(dir.file(), "a text of some length that is not a database").unwrap();
    make_private(&dir.file());
    assert!(matches!(Journal::open(&dir.file(), Mode::Drive), Err(JournalError::NotOurs { .. })));
    std::fs::remove_file(dir.file()).unwrap();

    Connection::open(dir.file()).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    make_private(&dir.file());
    let before = std::fs::read(dir.file()).unwrap();
    assert!(matches!(Journal::open(&dir.file(), Mode::Drive), Err(JournalError::NotOurs { .. })));
    assert_eq!(std::fs::read(dir.file()).unwrap(), before);
}

#[test]
fn a_failed_write_names_the_file_and_says_that_the_run_stops() {
    let dir = Dir::new("failed");
    drop(three_events(&dir.file()));
    let reader = Journal::open(&dir.file(), Mode::Read).unwrap();
    let failed = reader.append(&run(), UnixMs(1), &resumed("anna")).unwrap_err().to_string();
    assert!(failed.contains("run.db") && failed.contains("the run stops"), "{failed}");
}

const CHILD_FILE: &str = "QUORATE_JOURNAL_TEST_FILE";

/// A process that runs one of the functions that are not tests.
fn child(test: &str, dir: &Dir) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(CHILD_FILE, dir.file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test: the process that the next test kills.
#[test]
#[ignore = "started by the test below"]
fn child_that_appends_until_it_is_killed() {
    let path = std::env::var_os(CHILD_FILE).expect("only the test below starts this");
    let journal = Journal::open(Path::new(&path), Mode::Drive).unwrap();
    let mut out = std::io::stdout().lock();
    for n in 0..100_000_u64 {
        let seq = journal.append(&run(), UnixMs(n), &resumed(&"x".repeat(500))).unwrap();
        writeln!(out, "acknowledged {seq}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn every_event_that_was_acknowledged_survives_kill_9() {
    for acknowledged in [1, 7, 40] {
        let dir = Dir::new(&format!("kill-{acknowledged}"));
        let mut child = child("journal::child_that_appends_until_it_is_killed", &dir);
        // libtest prints its own text before the first line, without a line break.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let last = lines.filter(|line| line.contains("acknowledged")).nth(acknowledged - 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(last.unwrap().ends_with(&format!("acknowledged {acknowledged}")));

        let journal = Journal::open(&dir.file(), Mode::Drive).unwrap();
        let found = journal.events(&run()).unwrap().len();
        assert!(found >= acknowledged, "{acknowledged} were acknowledged, {found} are there");
        assert_eq!(journal.verify_chain().unwrap(), found as u64);
        // And the journal can be continued from there.
        assert_eq!(journal.append(&run(), UnixMs(1), &resumed("anna")).unwrap(), found as u64 + 1);
    }
}
