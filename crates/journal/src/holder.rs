//! The process that drives a run, and how long it holds the lease.

use std::fs;

use quorate_core::ids::{DriverId, RunId, UnixMs};
use serde::{Deserialize, Serialize};

/// A process that drives a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// User, host and process, for people: `root@admin, process 4711`.
    pub text: String,
    /// Its machine: host name and machine id. Cloned machines may share both, and a container has another host name:
    /// so this alone never says that a process is gone.
    pub machine: String,
    /// Its id, which no other driver has.
    pub id: DriverId,
    /// The process, as a number that means something in its PID namespace only.
    pub pid: u32,
    /// That namespace, `pid:[4026531836]`: a container has one of its own.
    pub pid_namespace: String,
}

/// A lease as stored in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The process that holds it.
    pub holder: Holder,
    /// The run that this process drives.
    pub run: RunId,
    /// Since when it has held it, by the wall clock.
    pub since: UnixMs,
    /// When the holder last renewed it, by the wall clock.
    pub renewed: UnixMs,
    /// When it expires unless renewed, by the wall clock.
    pub expires: UnixMs,
    /// The lock file that the holder has locked, on the kernel on which it did.
    pub(crate) lock_file: String,
}

impl Holder {
    /// This process, by an id that was drawn for it.
    pub fn this_process(text: impl Into<String>, id: DriverId) -> Self {
        let (machine, pid_namespace) = (this_machine(), this_pid_namespace());
        Self { text: text.into(), machine, id, pid: std::process::id(), pid_namespace }
    }
}

impl Lease {
    /// Is the process that holds it stopped (SIGSTOP, ctrl-Z, a debugger)? It keeps the lock and does nothing. Only for
    /// a lease whose holder is alive: then it is seen where its number means the same process, and nowhere else.
    pub fn is_stopped(&self) -> bool {
        let Holder { machine, pid, pid_namespace, .. } = &self.holder;
        let here = *machine == this_machine() && *pid_namespace == this_pid_namespace() && !pid_namespace.is_empty();
        // `4711 (name) T …`: the name may contain anything, also brackets.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        here && matches!(state, Some('T' | 't'))
    }
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

pub(crate) fn this_machine() -> String {
    format!("{} {}", line("/proc/sys/kernel/hostname"), line("/etc/machine-id"))
}

/// This boot of this machine's kernel: the same in all containers, another one in every clone.
pub(crate) fn this_boot() -> String {
    line("/proc/sys/kernel/random/boot_id")
}

fn this_pid_namespace() -> String {
    fs::read_link("/proc/self/ns/pid").unwrap_or_default().display().to_string()
}
