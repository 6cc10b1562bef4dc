//! Files are looked at before they are used: of which kind, whose, and who else may read or write them.
//!
//! A file that someone else may write decides what Quorate does, and one that someone else may read shows them what it
//! knows. What is refused is refused with the command that mends it. Nothing here waits: a pipe in the place of a file
//! is refused, not opened and read for ever.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;
use quorate_core::command::quote_all;

/// Mode of every file that we make: it names nodes and guests.
const OWNER_ONLY: u32 = 0o600;

/// No configuration, secret or key is longer.
const MOST_BYTES: u64 = 1 << 20;

/// What a file is for, and so who else may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// It says what to do, so nobody else may write it: the configuration, known host keys.
    Trusted,
    /// It holds a secret, so nobody else may read it: the token's secret, a private key.
    Secret,
    /// It is the record of a run, and the way to tell its driver what to do: nobody else may read or write it.
    Journal,
}

impl Care {
    fn forbidden(self) -> u32 {
        match self {
            Self::Trusted => 0o022,
            Self::Secret | Self::Journal => 0o077,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Trusted => "what is in it decides what is done",
            Self::Secret => "it holds a secret",
            Self::Journal => "whoever writes it tells the driver of a run what to do",
        }
    }
}

/// A file that is not used.
#[derive(Debug, thiserror::Error)]
#[error("{} {trouble}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: Trouble,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A pipe, a device, a folder, a socket.
    #[error("is not a regular file, but {0}")]
    Kind(&'static str),
    /// Neither ours nor root's.
    #[error("belongs to another user (uid {uid}), who can change it at any time; {}", care.why())]
    Owner {
        /// Whose it is.
        uid: u32,
        /// What it is for.
        care: Care,
    },
    /// Others may read or write it.
    #[error("is open to other users (mode {mode:03o}), and {}", care.why())]
    Mode {
        /// Its permissions.
        mode: u32,
        /// What it is for.
        care: Care,
    },
    /// More than any such file has.
    #[error("is longer than {} KiB", MOST_BYTES >> 10)]
    Long,
}

impl FileError {
    /// The command that mends it, where one does.
    pub fn mend(&self) -> Option<String> {
        let path = self.path.to_string_lossy().into_owned();
        let words = match &self.trouble {
            Trouble::Owner { .. } => ["chown".to_owned(), geteuid().to_string(), path],
            Trouble::Mode { care: Care::Trusted, .. } => ["chmod".to_owned(), "go-w".to_owned(), path],
            Trouble::Mode { .. } => ["chmod".to_owned(), "600".to_owned(), path],
            Trouble::Io(_) | Trouble::Kind(_) | Trouble::Long => return None,
        };
        Some(quote_all(&words))
    }

    /// Is there no such file?
    pub fn is_missing(&self) -> bool {
        matches!(&self.trouble, Trouble::Io(error) if error.kind() == ErrorKind::NotFound)
    }
}

/// Is this a file that may be used so?
fn judge(there: &Metadata, care: Care) -> Result<(), Trouble> {
    if !there.is_file() {
        return Err(Trouble::Kind(kind(there)));
    }
    if ![0, geteuid().as_raw()].contains(&there.uid()) {
        return Err(Trouble::Owner { uid: there.uid(), care });
    }
    let mode = there.mode() & 0o777;
    if mode & care.forbidden() != 0 { Err(Trouble::Mode { mode, care }) } else { Ok(()) }
}

fn kind(there: &Metadata) -> &'static str {
    let kind = there.file_type();
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else {
        "a device"
    }
}

/// Looks at a file that something else will open by its name; a link is refused.
///
/// For the journal: to open it here and to close it again would end the locks that SQLite has on it.
///
/// # Errors
/// It is missing, or not to be used so.
pub fn look(path: &Path, care: Care) -> Result<(), FileError> {
    let there = path.symlink_metadata().map_err(Trouble::Io);
    there.and_then(|there| judge(&there, care)).map_err(|trouble| FileError { path: path.to_owned(), trouble })
}

/// Reads a file that may be a link to one; what is judged is the file that was opened.
///
/// # Errors
/// It is missing, or not to be used so.
pub fn read(path: &Path, care: Care) -> Result<String, FileError> {
    let read = || {
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
        judge(&file.metadata()?, care)?;
        let mut text = String::new();
        file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MOST_BYTES { Err(Trouble::Long) } else { Ok(text) }
    };
    read().map_err(|trouble| FileError { path: path.to_owned(), trouble })
}

/// Makes a new file that only its owner can read; whatever has the name already is an error and stays as it is.
///
/// # Errors
/// The file exists, or cannot be made.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

/// Makes a new file with this text; an existing one is an error and stays as it is.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// Opens a file for adding to it and makes it if there is none; from now on only its owner can read it.
///
/// # Errors
/// It is not a regular file of ours, or cannot be written.
pub fn append(path: &Path) -> io::Result<File> {
    demand_regular(path)?;
    // The flags: a link made in the meantime is not followed, and a pipe is not waited for.
    let flags = O_NOFOLLOW | O_NONBLOCK;
    let file = OpenOptions::new().append(true).create(true).mode(OWNER_ONLY).custom_flags(flags).open(path)?;
    let there = file.metadata()?;
    if !there.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if there.uid() != geteuid().as_raw() {
        return Err(io::Error::other(format!("it belongs to another user (uid {})", there.uid())));
    }
    file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    Ok(file)
}

/// Writes a file that only its owner can read in the place of what was there: under another name first, so that nobody
/// ever sees half of it, and so that nothing is written through a link.
///
/// # Errors
/// What was there is not a regular file, or the file cannot be written.
#[allow(clippy::disallowed_methods, reason = "the file that is renamed or removed is the one that was just made")]
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    demand_regular(path)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or_else(|| io::Error::other("it is not the name of a file"))?);
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = create(&new)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(&new, path)).inspect_err(|_| drop(std::fs::remove_file(&new)))
}

/// What has this name, if anything, is a regular file and not a link.
fn demand_regular(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(there) if there.is_symlink() => Err(io::Error::other("it is a symbolic link")),
        Ok(there) if !there.is_file() => Err(io::Error::other("it is not a regular file")),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
