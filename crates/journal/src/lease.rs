//! The lease: one driver at a time.
//!
//! A lease ends when it is released, when its time has passed, or when its holder is known to be dead: on the same
//! machine, a process that is not there any more holds nothing, so a run can be resumed at once after a crash.
//! Whoever lost the lease cannot append: a driver that slept through its time wakes up to an error.

use std::fs;

use quorate_core::ids::{RunId, UnixMs};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::error::{JournalError, Result};
use crate::{Journal, from_sql, to_sql};

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

impl Journal {
    /// The lease, live or not.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lease(&self) -> Result<Option<Lease>> {
        self.read_lease(&self.connection())
    }

    /// Takes the lease for `run` until `ttl_s` seconds from `now` (wall clock). From here on this handle appends only
    /// while the lease is its own.
    ///
    /// # Errors
    /// [`JournalError::Held`] names the driver that has it.
    pub fn acquire_lease(&self, holder: &Holder, run: &RunId, now: UnixMs, ttl_s: u64) -> Result<()> {
        self.write(|transaction| {
            if let Some(lease) = self.read_lease(transaction)?
                && lease.holder != *holder
                && lease.is_live(now)
            {
                return Err(JournalError::Held { path: self.path.clone(), lease: Box::new(lease) });
            }
            let text = serde_json::to_string(holder).expect("a holder is plain data and always serialises");
            let values = params![text, run.as_str(), to_sql(now.0), to_sql(now.plus_s(ttl_s).0)];
            transaction
                .execute(
                    "INSERT OR REPLACE INTO lease (only, holder, run, renewed_at, expires_at) VALUES (1, ?1, ?2, ?3, ?4)",
                    values,
                )
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })?;
        *self.holder() = Some(holder.clone());
        Ok(())
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// [`JournalError::LeaseLost`]: another driver has taken over, and this one must stop.
    pub fn renew_lease(&self, now: UnixMs, ttl_s: u64) -> Result<()> {
        self.write(|transaction| {
            self.demand_own_lease(transaction)?;
            let values = params![to_sql(now.0), to_sql(now.plus_s(ttl_s).0)];
            transaction
                .execute("UPDATE lease SET renewed_at = ?1, expires_at = ?2", values)
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })
    }

    /// Gives the lease back, if it is still ours.
    ///
    /// # Errors
    /// The file cannot be written; the lease then ends with this process.
    pub fn release_lease(&self) -> Result<()> {
        let Some(holder) = self.holder().take() else { return Ok(()) };
        self.write(|transaction| {
            if self.read_lease(transaction)?.is_some_and(|lease| lease.holder == holder) {
                transaction.execute("DELETE FROM lease", []).map_err(|source| self.write_failed(source))?;
            }
            Ok(())
        })
    }

    /// If this handle ever took the lease, it must still have it.
    pub(crate) fn demand_own_lease(&self, connection: &Connection) -> Result<()> {
        let Some(holder) = self.holder().clone() else { return Ok(()) };
        let lost = |now: String| Err(JournalError::LeaseLost { path: self.path.clone(), now });
        match self.read_lease(connection)? {
            Some(lease) if lease.holder == holder => Ok(()),
            Some(lease) => lost(format!("{} holds it", lease.holder.text)),
            None => lost("nobody holds it".to_owned()),
        }
    }

    fn read_lease(&self, connection: &Connection) -> Result<Option<Lease>> {
        let row = connection
            .query_row("SELECT holder, run, renewed_at, expires_at FROM lease", [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()
            .map_err(|source| self.read_failed(source))?;
        let Some((holder, run, renewed, expires)) = row else { return Ok(None) };
        let holder = serde_json::from_str(&holder).map_err(|error| JournalError::Unreadable {
            path: self.path.clone(),
            seq: 1,
            reason: format!("lease: {error}"),
        })?;
        let (renewed, expires) = (UnixMs(from_sql(renewed)), UnixMs(from_sql(expires)));
        Ok(Some(Lease { holder, run: RunId::new(run), renewed, expires }))
    }
}
