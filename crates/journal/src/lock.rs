//! The lock that keeps a second driver on the same machine out: an exclusive lock of the operating system on a file
//! beside the journal. Its holder drives the run; when that process ends, for whatever reason, the lock is free.
//!
//! A lock that is free says that whoever held *this file on this kernel* is gone, in whichever container it ran. It says
//! nothing about a holder of a file that this one is a copy of. So a lease also names the lock file that was locked for
//! it ([`identity`]), and only where that is the same is its holder surely gone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::holder::this_boot;

/// How often to try again while another process looks at the lock, and how long to wait between. A look takes
/// microseconds.
const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// `run.db.lock` beside `run.db`. A journal has one lock, even if it is opened through a link.
fn path(journal: &Path) -> io::Result<PathBuf> {
    let mut path = journal.canonicalize()?.into_os_string();
    path.push(".lock");
    Ok(path.into())
}

/// Takes the lock, which is held until the file is dropped. None: another process has it.
#[allow(clippy::disallowed_methods, reason = "the rare wait is for another process here, not for the cluster")]
pub(crate) fn take(journal: &Path) -> io::Result<Option<File>> {
    let path = path(journal)?;
    // The file is never removed: otherwise two drivers could each lock a file of that name.
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
        }
        if is_exclusive(&file)? {
            return Ok(None);
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
    Ok(None)
}

/// Which file this is: its inode on this boot of this kernel. A copy has another inode, a snapshot of the file system
/// another device, a cloned machine another boot.
pub(crate) fn identity(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    Ok(format!("{} {}:{}", this_boot(), metadata.dev(), metadata.ino()))
}

/// The identity of the journal's lock file; none if there is no such file.
pub(crate) fn identity_beside(journal: &Path) -> io::Result<Option<String>> {
    match File::open(path(journal)?) {
        Ok(file) => identity(&file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Does any process drive a run with this journal?
pub(crate) fn is_taken(journal: &Path) -> io::Result<bool> {
    match File::open(path(journal)?) {
        Ok(file) => is_exclusive(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A driver's lock is exclusive; that of a mere look is shared.
fn is_exclusive(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
