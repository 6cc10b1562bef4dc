//! The process that drives a run, and how long it holds the lease.

use std::fs;

use quorate_core::ids::{RunId, UnixMs};
use serde::{Deserialize, Serialize};

/// A process that drives a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// User, host and process, for people: `root@admin, process 4711`. No two drivers have the same.
    pub text: String,
    /// Its machine: host name and machine id. Cloned machines may share one of them, rarely both.
    pub machine: String,
}

/// A lease as stored in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The process that holds it.
    pub holder: Holder,
    /// The run that this process drives.
    pub run: RunId,
    /// When the holder last renewed it, by the wall clock.
    pub renewed: UnixMs,
    /// When it expires unless renewed, by the wall clock.
    pub expires: UnixMs,
}

impl Holder {
    /// This process.
    pub fn this_process(text: impl Into<String>) -> Self {
        Self { text: text.into(), machine: this_machine() }
    }
}

pub(crate) fn this_machine() -> String {
    let line = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    format!("{} {}", line("/proc/sys/kernel/hostname"), line("/etc/machine-id"))
}
