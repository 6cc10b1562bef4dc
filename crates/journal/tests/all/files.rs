//! Which files are used, which are refused and with what command, and how files are written.

#![allow(clippy::disallowed_methods, reason = "these tests make files of all kinds")]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use quorate_journal::files::{self, Care, FileError, Trouble};
use quorate_journal::{Journal, JournalError, Mode};

/// A folder of its own for each test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quorate-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, "text").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn pipe(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        assert!(Command::new("mkfifo").arg("-m").arg("600").arg(&path).status().unwrap().success());
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Why a file is refused, and the command that mends it.
fn refusal(path: &Path, care: Care) -> (String, Option<String>) {
    let error: FileError = files::read(path, care).unwrap_err();
    (error.to_string(), error.mend())
}

/// Gives a file to another user; only root can.
fn given_away(path: &Path) -> bool {
    Command::new("chown").arg("4242").arg(path).status().unwrap().success()
}

#[test]
fn a_secret_is_read_only_where_nobody_else_can() {
    let dir = Dir::new("secret");
    for mode in [0o600, 0o400] {
        assert_eq!(files::read(&dir.file("good", mode), Care::Secret).unwrap(), "text");
        std::fs::remove_file(dir.0.join("good")).unwrap();
    }
    for mode in [0o640, 0o604, 0o660, 0o602] {
        let path = dir.file("to see", mode);
        let (happened, mend) = refusal(&path, Care::Secret);
        assert!(happened.contains(&format!("mode {mode:o}")) && happened.contains("it holds a secret"), "{happened}");
        assert_eq!(mend, Some(format!("chmod 600 '{}'", path.display())));
    }
}

#[test]
fn a_configuration_may_be_seen_by_others_and_changed_by_nobody_else() {
    let dir = Dir::new("trusted");
    assert_eq!(files::read(&dir.file("seen", 0o644), Care::Trusted).unwrap(), "text");
    for mode in [0o664, 0o646] {
        let path = dir.file("shared", mode);
        assert_eq!(refusal(&path, Care::Trusted).1, Some(format!("chmod go-w {}", path.display())));
    }
}

#[test]
fn a_link_is_judged_by_what_it_leads_to() {
    let dir = Dir::new("link");
    symlink("real", dir.0.join("link")).unwrap();
    dir.file("real", 0o644);
    assert_eq!(files::read(&dir.0.join("link"), Care::Trusted).unwrap(), "text");
    assert!(refusal(&dir.0.join("link"), Care::Secret).0.contains("mode 644"));
}

#[test]
fn whatever_is_not_a_regular_file_is_refused_at_once() {
    let dir = Dir::new("kinds");
    let _socket = UnixListener::bind(dir.0.join("socket")).unwrap();
    let cases = [(dir.pipe("pipe"), "a named pipe"), (dir.0.clone(), "a folder"), ("/dev/null".into(), "a device")];
    for (path, kind) in cases {
        let (happened, mend) = refusal(&path, Care::Trusted);
        assert!(happened.ends_with(kind) && mend.is_none(), "{happened}");
    }
    assert!(files::read(&dir.0.join("socket"), Care::Trusted).is_err());
}

#[test]
fn a_file_of_another_user_is_refused_with_the_command_that_makes_it_ours() {
    let dir = Dir::new("owner");
    let path = dir.file("foreign", 0o600);
    if !given_away(&path) {
        return;
    }
    let (happened, mend) = refusal(&path, Care::Secret);
    assert!(happened.contains("another user (uid 4242)"), "{happened}");
    assert_eq!(mend, Some(format!("chown 0 {}", path.display())));
    assert!(files::append(&path).unwrap_err().to_string().contains("another user"));
}

#[test]
fn no_more_than_a_configuration_can_have_is_read() {
    let dir = Dir::new("long");
    let path = dir.file("long", 0o600);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(files::read(&path, Care::Secret).unwrap_err().trouble, Trouble::Long));
}

#[test]
fn a_journal_that_others_can_write_and_one_that_is_no_file_is_not_used() {
    let dir = Dir::new("journal");
    let path = dir.0.join("run.db");
    drop(Journal::open(&path, Mode::Drive).unwrap());
    assert_eq!(mode(&path), 0o600);
    let refused = |path: &Path| match Journal::open(path, Mode::Drive) {
        Err(JournalError::File(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    for beside in ["run.db", "run.db-wal", "run.db-shm", "run.db.lock"] {
        let other = dir.file(if beside == "run.db" { "x" } else { beside }, 0o666);
        let other = if beside == "run.db" { path.clone() } else { other };
        std::fs::set_permissions(&other, Permissions::from_mode(0o666)).unwrap();
        assert!(refused(&path).contains("tells the driver of a run what to do"), "{beside}");
        std::fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
        if beside != "run.db" {
            std::fs::remove_file(&other).unwrap();
        }
    }
    drop(Journal::open(&path, Mode::Drive).unwrap());
    assert!(refused(&dir.pipe("pipe.db")).contains("a named pipe"));
    dir.pipe("run.db.lock");
    assert!(refused(&path).contains("a named pipe"));
}

#[test]
fn a_file_is_written_whole_for_its_owner_alone_and_never_through_a_link() {
    let dir = Dir::new("replace");
    let page = dir.file("page", 0o644);
    files::replace(&page, "new").unwrap();
    assert_eq!((std::fs::read_to_string(&page).unwrap().as_str(), mode(&page)), ("new", 0o600));
    let victim = dir.file("victim", 0o644);
    symlink("victim", dir.0.join("link")).unwrap();
    symlink("nothing", dir.0.join("dangling")).unwrap();
    for (name, why) in [("link", "a symbolic link"), ("dangling", "a symbolic link"), ("pipe", "not a regular file")] {
        if name == "pipe" {
            dir.pipe(name);
        }
        let path = dir.0.join(name);
        assert!(files::replace(&path, "new").unwrap_err().to_string().contains(why), "{name}");
        assert!(files::append(&path).unwrap_err().to_string().contains(why), "{name}");
        assert!(files::write_new(&path, "new").is_err(), "{name}");
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "text");
    assert!(!dir.0.join("nothing").exists());
    let left = std::fs::read_dir(&dir.0).unwrap().flatten().filter(|entry| entry.path().extension().is_some());
    assert_eq!(left.count(), 0, "nothing half written is left");
}
