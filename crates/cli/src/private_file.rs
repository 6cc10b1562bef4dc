//! Files of ours name nodes, guests and secrets: they are for their owner's eyes only, each of them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const OWNER_ONLY: u32 = 0o600;

/// A new file; one that is there already is an error, and stays as it is.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

/// Writes a new file; one that is there already is an error, and stays as it is.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// Writes a file for its owner's eyes only, over what was there.
///
/// # Errors
/// The file cannot be written.
pub fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(text.as_bytes())
}
