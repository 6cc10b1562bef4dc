//! The one error type shown to the user: what happened, what it means for the cluster now, what to do next.
//!
//! Errors of the libraries become a [`Failure`] here and nowhere else, so that each kind has one message and one exit
//! code.

use quorate_engine::DriveError;
use quorate_journal::JournalError;
use quorate_journal::files::FileError;
use quorate_pve::ports::{ApiError, ShellError};
use serde_json::json;

use crate::exit::Exit;
use crate::render::page::Page;
use crate::render::units::moment;

/// Why a command could not do what was asked.
#[derive(Debug)]
pub struct Failure {
    pub(crate) exit: Exit,
    happened: String,
    means: String,
    next: Vec<String>,
}

const UNTOUCHED: &str = "Nothing was changed on the cluster.";

/// Lines of a message; none of ours has as many.
const MOST_LINES: usize = 200;

impl Failure {
    /// What happened, what it means, and what to do next, a line each.
    pub fn new(exit: Exit, happened: impl Into<String>, means: impl Into<String>, next: &[&str]) -> Self {
        let next = next.iter().map(|line| (*line).to_owned()).collect();
        Self { exit, happened: happened.into(), means: means.into(), next }
    }

    /// Something is wrong with the operator's input; found before anything was sent.
    pub(crate) fn usage(happened: impl Into<String>, next: &str) -> Self {
        Self::new(Exit::Usage, happened, UNTOUCHED, &[next])
    }

    /// Found while reading the cluster; nothing but reads was sent.
    pub(crate) fn cluster(happened: impl Into<String>, next: &[&str]) -> Self {
        Self::new(Exit::Cluster, happened, UNTOUCHED, next)
    }

    /// The page for standard error; it begins with the name `program`.
    pub(crate) fn page(&self, program: &str) -> Page {
        let mut page = Page::default();
        // `happened` may be a message of several lines, with a snippet; each becomes a line here.
        for (index, line) in self.happened.lines().take(MOST_LINES).enumerate() {
            page.line(if index == 0 { format!("{program}: {line}") } else { line.to_owned() });
        }
        page.line(format!("  what it means: {}", self.means));
        for next in &self.next {
            page.line(format!("  what to do:    {next}"));
        }
        page
    }

    /// The JSON object for scripts.
    pub(crate) fn json(&self) -> serde_json::Value {
        let Self { exit, happened, means, next } = self;
        json!({ "kind": "error", "exit": exit.code(), "happened": happened, "means": means, "next": next })
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let happened = error.to_string();
        match error {
            ApiError::Unreachable(_) => Self::cluster(
                happened,
                &["Check the addresses in [cluster] nodes, the network, and `systemctl status pveproxy` on a node."],
            ),
            ApiError::Fingerprint { node, .. } => Self::cluster(
                happened,
                &[
                    &format!(
                        "On {node} itself, compare: openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256"
                    ),
                    "(with your own certificate: /etc/pve/local/pveproxy-ssl.pem). If the node prints the new one, put \
                     it into the configuration; if not, someone is intercepting the connection.",
                ],
            ),
            ApiError::Unauthorized { .. } => Self::cluster(
                happened,
                &["Check [auth] token-id (user@realm!name) and its secret; `pveum user token list USER` on a node \
                   shows the tokens and whether they have expired."],
            ),
            ApiError::Forbidden { .. } => Self::cluster(
                happened,
                &["Give the token the role shown in the README; `pveum user token permissions USER TOKEN` lists what \
                   it has."],
            ),
            ApiError::Refused { .. } => {
                Self::cluster(happened, &["Read the message above; `quorate inspect` shows the cluster's state."])
            }
            ApiError::InDoubt { .. } | ApiError::Expired { .. } => {
                Self::cluster(happened, &["Try again; if it persists, check pveproxy on that node."])
            }
        }
    }
}

impl From<ShellError> for Failure {
    fn from(error: ShellError) -> Self {
        let happened = error.to_string();
        match error {
            ShellError::Unreachable { node, .. } => Self::cluster(
                happened,
                &[&format!("Check `ssh` of {node} in the configuration, the network, and its sshd.")],
            ),
            ShellError::HostKey { node, .. } => Self::cluster(
                happened,
                &[
                    &format!("On {node} itself, compare: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"),
                    "If the node was reinstalled, put the new key into the configuration; if not, someone is \
                     intercepting the connection.",
                ],
            ),
            ShellError::Unauthorized { node, .. } => Self::cluster(
                happened,
                &[&format!(
                    "Check [auth] ssh-key, and that its public half is in /root/.ssh/authorized_keys on {node}."
                )],
            ),
            ShellError::TooLong { node, .. } => {
                Self::cluster(happened, &[&format!("Run the same command on {node} and look at what it prints.")])
            }
            ShellError::InDoubt { .. } => Self::cluster(happened, &["Try again; if it persists, check the network."]),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::usage(error.to_string(), &error.mend().unwrap_or_else(|| "Name another file.".to_owned()))
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let means = match &error {
            JournalError::Write { .. } | JournalError::LeaseLost { .. } => {
                "This process stopped. Whatever is in progress on the cluster continues by itself."
            }
            _ => UNTOUCHED,
        };
        let (exit, happened, next) = match &error {
            JournalError::Held { lease, .. } => (
                Exit::Driver,
                match lease {
                    Some(lease) => format!(
                        "{} works on run {} already; its last sign of life was at {}",
                        lease.holder.text,
                        lease.run,
                        moment(lease.renewed)
                    ),
                    None => error.to_string(),
                },
                "`quorate status` shows what it does; `quorate pause` and `quorate abort` send it a request. If it \
                 hangs, end that process: then `quorate resume` continues the run.",
            ),
            JournalError::LeaseLost { .. } => {
                (Exit::Driver, error.to_string(), "`quorate status` shows what the other process does.")
            }
            JournalError::Missing { .. } => {
                (Exit::Journal, error.to_string(), "Check [journal] path, or start a run with `quorate run`.")
            }
            JournalError::Open { .. } | JournalError::Read { .. } => {
                (Exit::Journal, error.to_string(), "Check the file, its directory and their permissions.")
            }
            JournalError::File(file) => {
                let mend = file.mend();
                let next = mend.as_deref().unwrap_or("Set [journal] path to another file.");
                return Self::new(Exit::Journal, error.to_string(), means, &[next]);
            }
            JournalError::NotOurs { .. } => (Exit::Journal, error.to_string(), "Set [journal] path to another file."),
            JournalError::Newer { .. } | JournalError::NewerReadOnly { .. } => {
                (Exit::Journal, error.to_string(), "Install the newer Quorate here, or run the command where it is.")
            }
            JournalError::Older { .. } => (Exit::Journal, error.to_string(), "Run `quorate resume` first."),
            JournalError::Write { .. } => {
                (Exit::Journal, error.to_string(), "Make room or repair the disk, then `quorate resume`.")
            }
            JournalError::Unreadable { .. } => {
                (Exit::Journal, error.to_string(), "Use the version of Quorate that wrote it; do not change the file.")
            }
            JournalError::ChainBroken { .. } => (
                Exit::Journal,
                error.to_string(),
                "Find out who changed it. Restore it from a copy, or start again with another file: \
                 `quorate inspect` shows what is still set (noout, maintenance).",
            ),
        };
        Self::new(exit, happened, means, &[next])
    }
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Journal(error) => error.into(),
            DriveError::OtherDriver(_) => Self::new(
                Exit::Driver,
                error.to_string(),
                UNTOUCHED,
                &["Ask its operator; on the machine where it runs, `quorate status` shows what it does."],
            ),
            DriveError::OlderJournal(_) => Self::new(
                Exit::Journal,
                error.to_string(),
                "Nothing was changed on the cluster. What this journal does not know of may still be set there.",
                &[
                    "Use the journal of that driver: run the command where it is, or name it with --journal.",
                    "If it is lost: `quorate recover --from-cluster` lists what is set in the cluster and offers to undo it.",
                ],
            ),
            DriveError::NoRun(_) => {
                Self::new(Exit::Journal, error.to_string(), UNTOUCHED, &["`quorate run` starts one."])
            }
        }
    }
}
