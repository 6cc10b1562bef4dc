//! The journal as a driver and other processes use it, over real files.

#![allow(clippy::disallowed_methods, reason = "these tests damage files and kill a process")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::policy::{ConsentKind, Policy};
use quorate_core::run::{Event, Request, RunKind, RunOutcome};
use quorate_journal::{Holder, Journal, JournalError, Mode};
use rusqlite::Connection;

/// A directory of its own for each test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quorate-journal-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("run.db")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run() -> RunId {
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

fn three_events(path: &Path) -> Journal {
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

/// A driver on another machine: nothing here shows whether it is alive, and it does not see this machine's lock.
fn far_away(text: &str, dir: &Dir) -> Holder {
    let _ = std::fs::remove_file(dir.0.join("run.db.lock"));
    Holder { text: text.to_owned(), machine: format!("{text}-laptop") }
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
    let (anna, ben) = (Holder::this_process("anna"), Holder::this_process("ben"));
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
fn by_another_name_it_is_the_same_journal_with_the_same_lock() {
    let dir = Dir::new("link");
    let first = three_events(&dir.file());
    first.acquire_lease(&Holder::this_process("anna"), &run(), UnixMs(0), 30).unwrap();
    std::os::unix::fs::symlink("run.db", dir.0.join("link.db")).unwrap();
    let linked = Journal::open(&dir.0.join("link.db"), Mode::Drive).unwrap();
    let refused = linked.acquire_lease(&Holder::this_process("ben"), &run(), UnixMs(1), 30);
    assert!(matches!(refused, Err(JournalError::Held { .. })), "{refused:?}");
}

#[test]
fn a_mere_reader_never_keeps_a_driver_out() {
    let dir = Dir::new("looks");
    let journal = three_events(&dir.file());
    let holder = Holder::this_process("anna");
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
    journal.acquire_lease(&Holder::this_process("child"), &run(), UnixMs(0), 3600).unwrap();
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
    let holder = Holder::this_process("next");
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
    set_version(1001);
    assert_eq!(Journal::open(&dir.file(), Mode::Read).unwrap().events(&run()).unwrap().len(), 3);
    for mode in [Mode::Drive, Mode::Ask] {
        let refused = Journal::open(&dir.file(), mode).unwrap_err();
        assert!(matches!(refused, JournalError::NewerReadOnly { .. }), "{refused}");
        assert!(refused.to_string().contains("1.1") && refused.to_string().contains("1.0"), "{refused}");
    }
    set_version(2000);
    for mode in [Mode::Drive, Mode::Ask, Mode::Read] {
        let refused = Journal::open(&dir.file(), mode).unwrap_err();
        assert!(matches!(refused, JournalError::Newer { .. }), "{refused}");
        assert!(refused.to_string().contains("2.0") && refused.to_string().contains("1.0"), "{refused}");
    }
}

#[test]
fn other_files_are_left_alone() {
    let dir = Dir::new("others");
    assert!(matches!(Journal::open(&dir.file(), Mode::Read), Err(JournalError::Missing { .. })));
    assert!(matches!(Journal::open(&dir.file(), Mode::Ask), Err(JournalError::Missing { .. })));
    assert!(!dir.file().exists());

    std::fs::write(dir.file(), "a text of some length that is not a database").unwrap();
    assert!(matches!(Journal::open(&dir.file(), Mode::Drive), Err(JournalError::NotOurs { .. })));
    std::fs::remove_file(dir.file()).unwrap();

    Connection::open(dir.file()).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
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
