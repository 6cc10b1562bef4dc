//! What happened: the append-only event log in one SQLite file, and the only channel between processes.
//!
//! Promises:
//! - An event that [`Journal::append`] has acknowledged is on disk: WAL with `synchronous=FULL`.
//! - Events are never changed or removed: triggers refuse it, and each event carries the hash of the one before, so
//!   that [`Journal::verify_chain`] finds a row that was changed behind SQLite's back.
//! - One driver at a time: [`Journal::acquire_lease`]. On one machine a lock ensures it, between machines a lease. A
//!   driver whose lease was taken over cannot append any more.
//! - A file in a newer major format is refused, one in a newer minor format can be read but not written.
//!
//! - Rows that are missing at the end are noticed: which event was written last is noted in a table of its own.
//!
//! Not promised: someone with access to the file who changes the note as well, or puts an older copy in its place, goes
//! unnoticed here. The lock in the cluster names the journal's last event, and shows that. The journal is a record for
//! its owner, not evidence against them.
//!
//! The state of a run is always a fold over [`Journal::events`]; nothing else about a run is stored, but how far it is at
//! this moment ([`Journal::progress`]), for readers only.

mod chain;
mod error;
pub mod files;
mod format;
#[cfg(feature = "full-disk")]
mod full_disk;
mod holder;
mod lease;
mod lock;
mod log;
mod mode;
mod progress;
mod requests;
mod schema;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use error::{JournalError, Result};
pub use format::Format;
pub use holder::{Holder, Lease};
pub use log::Entry;
pub use mode::Mode;
pub use requests::PostedRequest;

/// An open journal. May be shared between threads; calls are short and synchronous.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// The holder with which this handle acquired the lease: from then on it appends only while it holds the lease.
    held_by: Mutex<Option<Holder>>,
    /// The lock that keeps other drivers on this machine out, while this handle has it.
    lock: Mutex<Option<File>>,
}

impl Journal {
    /// Opens the journal at `path`.
    ///
    /// # Errors
    /// See [`JournalError`]; in every case the file is as it was.
    pub fn open(path: &Path, mode: Mode) -> Result<Self> {
        Ok(Self::new(path.to_owned(), schema::open(path, mode)?))
    }

    /// A journal in memory: the same tables and the same rules, without the disk. For thousands of simulated runs; a
    /// real run always writes a file.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn in_memory() -> Result<Self> {
        Ok(Self::new(PathBuf::from(schema::IN_MEMORY), schema::open_in_memory()?))
    }

    fn new(path: PathBuf, connection: Connection) -> Self {
        Self { path, connection: Mutex::new(connection), held_by: Mutex::new(None), lock: Mutex::new(None) }
    }

    /// Is it in memory, so that no other process can open it?
    fn is_in_memory(&self) -> bool {
        self.path == Path::new(schema::IN_MEMORY)
    }

    /// Path of the journal file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic while the lock was held leaves the database intact: its transaction was rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holder(&self) -> MutexGuard<'_, Option<Holder>> {
        self.held_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction that holds the write lock from the start.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let failed = |source| JournalError::Write { path: self.path.clone(), source };
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(value)
    }

    fn write_failed(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Write { path: self.path.clone(), source }
    }

    fn read_failed(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Read { path: self.path.clone(), source }
    }
}

/// SQLite stores signed 64-bit integers; ours are never negative and far below the limit.
fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The inverse; a negative value cannot come from us and counts as 0.
fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
