//! Quorate's files name nodes and guests and hold secrets: every one of them is readable by its owner only.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::libc;

const OWNER_ONLY: u32 = 0o600;

/// Creates a new file; an existing one is an error and stays as it is.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

/// Opens a file for appending and creates it if it does not exist; from now on only its owner can read it. Anything
/// that is not a regular file, or a link to one, is refused: another user may have put it there.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    if path.is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    // The flags: a link created in the meantime is not followed, and a pipe is not waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().append(true).create(true).mode(OWNER_ONLY).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    Ok(file)
}

/// Writes a new file; an existing one is an error and stays as it is.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// Writes a file that only its owner can read, and replaces what was there.
///
/// # Errors
/// The file cannot be written.
pub fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(text.as_bytes())
}
