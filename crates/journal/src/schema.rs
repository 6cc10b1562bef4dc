//! The file: how it is recognised, its format, its tables, its migrations.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{JournalError, Result};
use crate::files::{self, Care, FileError};
use crate::format::Format;
use crate::mode::Mode;

/// `QORT`: the header field of SQLite that distinguishes our files from others.
const APPLICATION_ID: i64 = 0x514F_5254;

/// How long to wait while another process writes; its transactions take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Every format so far, oldest first, with the statements that migrate to it from the one before.
const MIGRATIONS: &[(Format, &str)] = &[
    (
        Format { major: 1, minor: 0 },
        "CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        run TEXT NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        prev_hash TEXT NOT NULL,
        hash TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_by_run ON event (run, seq);
    CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
    CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event
        BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
    CREATE TABLE request (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        run TEXT NOT NULL,
        at INTEGER NOT NULL,
        by TEXT NOT NULL,
        body TEXT NOT NULL,
        taken_at INTEGER
    ) STRICT;
    CREATE TABLE lease (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        holder TEXT NOT NULL,
        run TEXT NOT NULL,
        renewed_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT;",
    ),
    (
        Format { major: 1, minor: 1 },
        "ALTER TABLE lease ADD COLUMN taken_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE lease ADD COLUMN lock_file TEXT NOT NULL DEFAULT '';
    UPDATE lease SET holder = json_set(holder, '$.id', '', '$.pid', 0, '$.pid_namespace', '');
    CREATE TABLE head (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        seq INTEGER NOT NULL,
        hash TEXT NOT NULL
    ) STRICT;
    INSERT INTO head SELECT 1, seq, hash FROM event ORDER BY seq DESC LIMIT 1;
    CREATE TRIGGER head_is_the_last_event AFTER INSERT ON event
        BEGIN INSERT OR REPLACE INTO head VALUES (1, NEW.seq, NEW.hash); END;",
    ),
    (
        Format { major: 1, minor: 2 },
        "CREATE TABLE progress (
        run TEXT PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;",
    ),
];

/// The oldest format that is read, and asked through, as it is: the newer ones only add what a reader can do without.
const READ_FROM: Format = Format { major: 1, minor: 1 };

/// Opens the file, checks that it is ours, and brings it to the current format if the mode allows.
pub(crate) fn open(path: &Path, mode: Mode) -> Result<Connection> {
    let refused = |reason: String| JournalError::Open { path: path.to_owned(), reason };
    match (path.try_exists(), mode) {
        (Ok(true), _) => {}
        // It names guests and stores program output, so only its owner may read it.
        (Ok(false), Mode::Drive) => drop(files::create(path).map_err(|error| refused(error.to_string()))?),
        (Ok(false), Mode::Ask | Mode::Read) => return Err(JournalError::Missing { path: path.to_owned() }),
        (Err(error), _) => return Err(refused(error.to_string())),
    }
    demand_ours(path)?;
    let access = match mode {
        Mode::Drive | Mode::Ask => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| refused(error.to_string()))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| refused(error.to_string()))?;
    let found = recognise(&connection, path)?;
    accept(found, path, mode)?;
    if mode == Mode::Drive {
        make_durable(&connection)
            .and_then(|()| migrate(&mut connection))
            .map_err(|error| refused(error.to_string()))?;
    } else if mode == Mode::Ask {
        make_durable(&connection).map_err(|error| refused(error.to_string()))?;
    }
    Ok(connection)
}

/// Used as the path of a journal in memory.
pub(crate) const IN_MEMORY: &str = ":memory:";

/// An empty journal in memory.
pub(crate) fn open_in_memory() -> Result<Connection> {
    let refused = |error: rusqlite::Error| JournalError::Open { path: IN_MEMORY.into(), reason: error.to_string() };
    let mut connection = Connection::open_in_memory().map_err(refused)?;
    migrate(&mut connection).map_err(refused)?;
    Ok(connection)
}

/// The file and those that are kept beside it, to which SQLite gives the same mode: made by another user beforehand,
/// each of them would be a way to tell the driver what to do, or to make it wait.
fn demand_ours(path: &Path) -> Result<()> {
    // Beside the file itself, even if it is opened through a link.
    let path = path.canonicalize().map_err(|error| FileError { path: path.to_owned(), trouble: error.into() })?;
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let mut name = OsString::from(&path);
        name.push(suffix);
        match files::look(Path::new(&name), Care::Journal) {
            Err(error) if error.is_missing() && !suffix.is_empty() => {}
            looked => looked?,
        }
    }
    Ok(())
}

/// The file's format; none if it is empty.
fn recognise(connection: &Connection, path: &Path) -> Result<Option<Format>> {
    let not_ours = |reason: String| JournalError::NotOurs { path: path.to_owned(), reason };
    let pragma = |name: &str| -> Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| not_ours(error.to_string()))
    };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| not_ours(error.to_string()))?;
    match pragma("application_id")? {
        APPLICATION_ID => Ok(Some(Format::of_user_version(pragma("user_version")?))),
        0 if tables == 0 => Ok(None),
        other => Err(not_ours(format!("an SQLite file with application id {other:#x}"))),
    }
}

fn accept(found: Option<Format>, path: &Path, mode: Mode) -> Result<()> {
    let path = path.to_owned();
    let known = Format::CURRENT;
    match found {
        None if mode == Mode::Drive => Ok(()),
        None => Err(JournalError::Missing { path }),
        Some(found) if found.major > known.major => Err(JournalError::Newer { path, found, known }),
        Some(found) if found > known && mode != Mode::Read => Err(JournalError::NewerReadOnly { path, found, known }),
        Some(found) if found < READ_FROM && mode != Mode::Drive => Err(JournalError::Older { path, found, known }),
        Some(_) => Ok(()),
    }
}

fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    // WAL: readers in other processes never make the driver wait. FULL: a commit that returned survives a power loss.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Read again under the write lock: another process may have created the tables meanwhile.
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = Format::of_user_version(version);
    for (format, statements) in MIGRATIONS.iter().filter(|(format, _)| *format > found) {
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", format.user_version())?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_migration_leads_to_the_current_format() {
        assert!(MIGRATIONS.is_sorted_by(|(a, _), (b, _)| a < b));
        assert_eq!(MIGRATIONS.last().map(|(format, _)| *format), Some(Format::CURRENT));
    }
}
