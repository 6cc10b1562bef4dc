//! The process that drives, and until when it holds the lease.

use std::fs;

use quorate_core::ids::{RunId, UnixMs};
use serde::{Deserialize, Serialize};

/// A process that drives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who and where, for people: `root@admin, process 4711`. No two drivers have the same.
    pub text: String,
    /// Its machine: host name and machine id. Machines that were cloned share one of them, rarely both.
    pub machine: String,
}

/// A lease as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub holder: Holder,
    /// The run that it drives.
    pub run: RunId,
    /// Its last sign of life, by the wall clock.
    pub renewed: UnixMs,
    /// Until when it holds without another one.
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
