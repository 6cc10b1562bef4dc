//! Who drives, and until when.

use std::fs;

use quorate_core::ids::{RunId, UnixMs};
use serde::{Deserialize, Serialize};

/// A process that drives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who and where, for people: `root@admin, process 4711`.
    pub text: String,
    /// Name of its machine.
    pub host: String,
    /// Boot id of its machine.
    pub boot: String,
    /// Its process id.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since boot: tells it from a later process with the same number.
    pub pid_start: u64,
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
        let pid = std::process::id();
        let pid_start = process_start(pid).unwrap_or(0);
        Self { text: text.into(), host: host(), boot: boot(), pid, pid_start }
    }

    /// Known to be dead: it ran on this machine and is not there any more. On another machine nobody can tell.
    pub fn is_gone(&self) -> bool {
        if self.host != host() {
            return false;
        }
        self.boot != boot() || process_start(self.pid) != Some(self.pid_start)
    }
}

impl Lease {
    /// Does it keep others out at `now`?
    pub fn is_live(&self, now: UnixMs) -> bool {
        now < self.expires && !self.holder.is_gone()
    }
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Field 22 of /proc/PID/stat. The name in field 2 may hold spaces and brackets: count from its last bracket.
fn process_start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    // A zombie is dead too.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
