//! The power goes while the journal is written: what is on disk may end anywhere, and its last page may be torn.

#![allow(clippy::disallowed_methods, reason = "these tests damage files")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::run::Event;
use quorate_journal::{Journal, Mode};

const EVENTS: u64 = 12;

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quorate-power-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
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

fn event(number: u64) -> Event {
    Event::Resumed { by: format!("anna {number} {}", "x".repeat(300)) }
}

/// A journal with some events, as its two files are while its driver still has it open.
fn written(dir: &Path) -> (Vec<u8>, Vec<u8>) {
    let path = dir.join("run.db");
    let journal = Journal::open(&path, Mode::Drive).unwrap();
    for number in 1..=EVENTS {
        journal.append(&run(), UnixMs(number), &event(number)).unwrap();
    }
    (std::fs::read(&path).unwrap(), std::fs::read(dir.join("run.db-wal")).unwrap())
}

/// Checks what a new driver finds in these files: the events are the first ones of those written, the chain is intact,
/// and the journal can be continued from there.
fn is_a_whole_beginning(dir: &Path, database: &[u8], log: &[u8], what: &str) -> usize {
    let path = dir.join("found.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("found.db{suffix}")));
    }
    for (path, bytes) in [(&path, database), (&dir.join("found.db-wal"), log)] {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
    let journal = Journal::open(&path, Mode::Drive).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = journal.events(&run()).unwrap();
    for (entry, number) in found.iter().zip(1..) {
        assert_eq!((entry.seq, &entry.event), (number, &event(number)), "{what}");
    }
    assert_eq!(journal.verify_chain().unwrap(), found.len() as u64, "{what}");
    assert_eq!(journal.append(&run(), UnixMs(99), &event(99)).unwrap(), found.len() as u64 + 1, "{what}");
    found.len()
}

#[test]
fn wherever_the_file_ends_the_events_before_that_are_complete_and_in_order() {
    let dir = Dir::new("cut");
    let (database, log) = written(&dir.0);
    let mut most = 0;
    for eighth in 0..=80 {
        let end = log.len() * eighth / 80;
        let found = is_a_whole_beginning(&dir.0, &database, &log[..end], &format!("cut after {end} bytes"));
        assert!(found >= most, "a longer file has fewer events: {found} after {most}");
        most = found;
    }
    assert_eq!(most as u64, EVENTS);
}

#[test]
fn a_torn_page_loses_the_events_from_there_on_and_none_before() {
    let dir = Dir::new("torn");
    let (database, log) = written(&dir.0);
    for eighth in 1..40 {
        let from = log.len() * eighth / 40;
        let mut torn = log.clone();
        // Half a sector of what was on the disk before.
        let end = (from + 256).min(torn.len());
        torn[from..end].fill(0xA5);
        let found = is_a_whole_beginning(&dir.0, &database, &torn, &format!("torn at {from}"));
        assert!((found as u64) < EVENTS, "the page torn at {from} went unnoticed");
    }
}
