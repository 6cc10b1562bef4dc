//! How far a run is: one row for each run, which is no part of the record.

use quorate_core::ids::{DriverId, RunId, UnixMs};
use quorate_core::progress::Progress;
use quorate_journal::{Holder, Journal, JournalError, Mode};
use rusqlite::Connection;

use crate::journal::{Dir, run, three_events};

fn waits_for(what: &str) -> Progress {
    Progress { at: UnixMs(7), waiting: vec![what.to_owned()], ..Progress::default() }
}

#[test]
fn the_last_one_is_told_to_every_reader_and_the_record_is_as_it_was() {
    let dir = Dir::new("progress");
    let journal = three_events(&dir.file());
    let head = journal.head().unwrap();
    assert_eq!(journal.progress(&run()).unwrap(), None);
    for what in ["pve1", "pve2"] {
        journal.write_progress(&run(), &waits_for(what)).unwrap();
    }
    let reader = Journal::open(&dir.file(), Mode::Read).unwrap();
    assert_eq!(reader.progress(&run()).unwrap(), Some(waits_for("pve2")));
    assert_eq!(reader.progress(&RunId::new("another")).unwrap(), None);
    assert_eq!((journal.head().unwrap(), journal.verify_chain().unwrap()), (head, 3));
}

#[test]
fn one_that_cannot_be_read_or_is_very_long_is_none() {
    let dir = Dir::new("progress-other");
    let journal = three_events(&dir.file());
    journal.write_progress(&run(), &waits_for(&"x".repeat(1 << 20))).unwrap();
    assert_eq!(journal.progress(&run()).unwrap(), None);
    for body in ["{\"at\": \"later\"}", "", "7"] {
        let connection = Connection::open(dir.file()).unwrap();
        connection.execute("INSERT OR REPLACE INTO progress VALUES ('r1', ?1)", [body]).unwrap();
        assert_eq!(journal.progress(&run()).unwrap(), None, "{body}");
    }
    let connection = Connection::open(dir.file()).unwrap();
    connection.execute("UPDATE progress SET body = '{\"at\": 7, \"of a later version\": 1}'", []).unwrap();
    assert_eq!(journal.progress(&run()).unwrap(), Some(Progress { at: UnixMs(7), ..Progress::default() }));
}

#[test]
fn a_driver_that_lost_the_lease_tells_nothing_any_more() {
    let dir = Dir::new("progress-lease");
    let journal = three_events(&dir.file());
    journal.acquire_lease(&Holder::this_process("anna", DriverId::drawn(1)), &run(), UnixMs(1), 30).unwrap();
    journal.write_progress(&run(), &waits_for("pve1")).unwrap();
    Connection::open(dir.file()).unwrap().execute("DELETE FROM lease", []).unwrap();
    let refused = journal.write_progress(&run(), &waits_for("pve2")).unwrap_err();
    assert!(matches!(refused, JournalError::LeaseLost { .. }), "{refused}");
    assert_eq!(journal.progress(&run()).unwrap(), Some(waits_for("pve1")));
}

#[test]
fn a_journal_from_before_there_was_such_a_row_is_read_and_asked_through_as_it_is() {
    let dir = Dir::new("progress-older");
    drop(three_events(&dir.file()));
    let connection = Connection::open(dir.file()).unwrap();
    connection.execute_batch("DROP TABLE progress; PRAGMA user_version = 1001").unwrap();
    drop(connection);
    for mode in [Mode::Read, Mode::Ask] {
        let journal = Journal::open(&dir.file(), mode).unwrap();
        assert_eq!((journal.events(&run()).unwrap().len(), journal.progress(&run()).unwrap()), (3, None));
    }
    let journal = Journal::open(&dir.file(), Mode::Drive).unwrap();
    journal.write_progress(&run(), &waits_for("pve1")).unwrap();
    assert_eq!(journal.verify_chain().unwrap(), 3);
}
