//! What can go wrong with a journal: what happened, what it means for the run, what to do.

use std::path::PathBuf;

use crate::files::FileError;
use crate::format::Format;
use crate::holder::Lease;

/// Short for results of this crate.
pub type Result<T> = std::result::Result<T, JournalError>;

/// A journal that could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no such file, and the mode does not make one.
    #[error("there is no journal at {path}: no run was ever started with it")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error("the journal {path} cannot be opened: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not to be used: of another kind, or open to other users.
    #[error("the journal is not used: {0}")]
    File(#[from] FileError),
    /// The file is not a journal of Quorate.
    #[error("{path} is not a journal of Quorate: {reason}")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A newer Quorate wrote it, in a format that this one does not know.
    #[error(
        "the journal {path} has format {found}, and this Quorate knows formats up to {known}; use the Quorate that \
         wrote it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: Format,
        /// The newest format that this Quorate knows.
        known: Format,
    },
    /// A newer Quorate wrote it; this one can read it and must not write it.
    #[error(
        "the journal {path} has format {found}, and this Quorate writes {known}: it can be read (status, log, report) \
         but not written; use the Quorate that wrote it"
    )]
    NewerReadOnly {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: Format,
        /// The newest format that this Quorate knows.
        known: Format,
    },
    /// The file is of an older format, and reading does not migrate it.
    #[error(
        "the journal {path} has the older format {found}, this Quorate reads {known}; `quorate resume` migrates it"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: Format,
        /// The newest format that this Quorate knows.
        known: Format,
    },
    /// A write failed: nothing of it is in the file.
    #[error(
        "the journal {path} could not be written: {source}. Nothing is done without a record of it, so the run stops \
         here; whatever is in progress on the cluster continues. Fix the file (space, permissions, disk), then resume"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The error as SQLite words it.
        source: rusqlite::Error,
    },
    /// A read failed.
    #[error("the journal {path} could not be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error as SQLite words it.
        source: rusqlite::Error,
    },
    /// A row has content that this Quorate cannot read.
    #[error("row {seq} of the journal {path} cannot be understood: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The row.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// The hash chain is broken: the file was changed by something other than Quorate.
    #[error("the journal {path} was tampered with: at event {seq}, {why}. Do not resume from it")]
    ChainBroken {
        /// The file.
        path: PathBuf,
        /// The first event that does not match.
        seq: u64,
        /// What does not match.
        why: String,
    },
    /// Another process drives the run already.
    #[error("{} with the journal {path}", who_drives(.lease.as_deref()))]
    Held {
        /// The file.
        path: PathBuf,
        /// Which process, which run, since when; none while a driver on this machine has only just started.
        lease: Option<Box<Lease>>,
    },
    /// The lease that this process held is gone: another driver took over, so this one must stop.
    #[error(
        "this process does not hold the lease in the journal {path} any more: {now}. It stops; the other one continues"
    )]
    LeaseLost {
        /// The file.
        path: PathBuf,
        /// Which process holds it now, in words.
        now: String,
    },
}

fn who_drives(lease: Option<&Lease>) -> String {
    match lease {
        Some(Lease { holder, run, renewed, .. }) => {
            format!("{} drives run {run} (last sign of life at {} ms since 1970)", holder.text, renewed.0)
        }
        None => "another process on this machine starts to drive a run".to_owned(),
    }
}
