//! The lease: one driver at a time.
//!
//! On one machine a lock of the operating system decides: it is free as soon as its holder is gone, so a run can be
//! resumed at once after a crash. For drivers on other machines, with the journal on shared storage, a lease in the
//! journal ends when it is released or when its time has passed.
//! A driver that lost the lease cannot append: one that was suspended past its expiry gets an error when it wakes up.

use std::io;

use quorate_core::ids::{RunId, UnixMs};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{JournalError, Result};
use crate::holder::{Holder, Lease, this_machine};
use crate::{Journal, from_sql, lock, to_sql};

impl Journal {
    /// The lease of the driver that is at work at `now` (wall clock), if one is.
    ///
    /// # Errors
    /// The file, or its lock, cannot be read.
    pub fn driver(&self, now: UnixMs) -> Result<Option<Lease>> {
        let Some(lease) = self.read_lease(&self.connection())? else { return Ok(None) };
        let is_live = if !self.is_in_memory() && lease.holder.machine == this_machine() {
            lock::is_taken(&self.path).map_err(|error| self.lock_failed(&error))?
        } else {
            now < lease.expires
        };
        Ok(is_live.then_some(lease))
    }

    /// Takes the lease for `run` until `ttl_s` seconds from `now` (wall clock). From now on this handle can append only
    /// while it holds the lease.
    ///
    /// # Errors
    /// [`JournalError::Held`] names the driver that has it.
    pub fn acquire_lease(&self, holder: &Holder, run: &RunId, now: UnixMs, ttl_s: u64) -> Result<()> {
        self.take_lock()?;
        let taken = self.write(|transaction| {
            if let Some(lease) = self.read_lease(transaction)?
                // This machine's lock is ours, so a driver here that had the lease is gone.
                && lease.holder.machine != holder.machine
                && now < lease.expires
            {
                return Err(self.held(Some(lease)));
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
        });
        match taken {
            Ok(()) => *self.holder() = Some(holder.clone()),
            Err(_) if self.holder().is_none() => *self.lock() = None,
            Err(_) => {}
        }
        taken
    }

    fn take_lock(&self) -> Result<()> {
        if self.is_in_memory() || self.lock().is_some() {
            return Ok(());
        }
        match lock::take(&self.path).map_err(|error| self.lock_failed(&error))? {
            Some(file) => {
                *self.lock() = Some(file);
                Ok(())
            }
            None => Err(self.held(self.read_lease(&self.connection())?)),
        }
    }

    fn held(&self, lease: Option<Lease>) -> JournalError {
        JournalError::Held { path: self.path.clone(), lease: lease.map(Box::new) }
    }

    fn lock_failed(&self, error: &io::Error) -> JournalError {
        JournalError::Open {
            path: self.path.clone(),
            reason: format!("its lock file {}.lock: {error}", self.path.display()),
        }
    }

    /// Renews the lease.
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

    /// Releases the lease, if it is still ours.
    ///
    /// # Errors
    /// The file cannot be written; for other machines the lease then ends when it expires.
    pub fn release_lease(&self) -> Result<()> {
        let holder = self.holder().take();
        let released = match holder {
            Some(holder) => self.delete_lease(&holder),
            None => Ok(()),
        };
        *self.lock() = None;
        released
    }

    fn delete_lease(&self, holder: &Holder) -> Result<()> {
        self.write(|transaction| {
            if self.read_lease(transaction)?.is_some_and(|lease| lease.holder == *holder) {
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
            None => lost("no process holds it".to_owned()),
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
